"""Mean field inference in a fully connected CRF with any number of Gaussian kernels.

Krähenbühl & Koltun 2011, algorithm 1: each update sends every belief through every kernel (filtering), weighs it by the
label compatibility, adds the unary energy, and normalises.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_choice, check_count, check_number, thread_count
from deeplab.crf import _native
from deeplab.crf.checks import (
    as_array,
    check_energies,
    check_label_count,
    check_labels,
    check_mask,
    check_probabilities,
    check_real,
)
from deeplab.crf.memory import memory_for
from deeplab.crf.terms import Kernel, Term, check_kernels, make_term
from deeplab.crf.unary import softmax_in_place
from deeplab.errors import InputError

Array: TypeAlias = npt.NDArray[np.float32]


class DenseCRF:
    """A fully connected CRF: unary energies and Gaussian kernels over the same points.

    Building it builds the lattices; every inference then starts afresh, so one object may serve several threads.

    Args:
        unary: (L, N) or (L, ...) float, -log of each label's probability at each point (lower is likelier). All axes
            but the first are the points, in row-major order. Not copied where it is float32 and contiguous: leave it
            as it is while the CRF lives.
        kernels: each over the same N points.
        fixed: bool of the points' shape, True for those that speak and do not hear: they keep softmax(-unary), and the
            beliefs of the others are those given theirs. None: no point.
        method: "lattice" (approximate, linear in N) or "exact" (every pair of points: a few thousand at most).
        prune_below: leave out of an update the labels whose belief is below this at every point (0-1): they then hear
            only each other. 0 leaves out none. Without effect where a kernel has a compatibility of its own.
        threads: None for as many as DEEPLAB_THREADS says, or every core. The result does not depend on it.

    Raises:
        InputError: an array has the wrong shape, type or values, there is one label alone, the kernels are over other
            points or sides, or `method` or a number is unknown or out of range.
        MemoryError: a lattice, or at inference the beliefs, do not fit in memory.
    """

    def __init__(
        self,
        unary: npt.ArrayLike,
        kernels: Sequence[Kernel],
        *,
        fixed: npt.NDArray[np.bool_] | None = None,
        method: str = "lattice",
        prune_below: float = 0.0,
        threads: int | None = None,
    ) -> None:
        given = as_array(unary, "unary")
        self._setup(given.shape, _check_unary(given), False, kernels, fixed, method, prune_below, threads)

    @classmethod
    def from_probabilities(
        cls,
        probabilities: npt.ArrayLike,
        kernels: Sequence[Kernel],
        *,
        fixed: npt.NDArray[np.bool_] | None = None,
        method: str = "lattice",
        prune_below: float = 0.0,
        threads: int | None = None,
    ) -> "DenseCRF":
        """Return the CRF whose unary energy is -log of `probabilities` (L, N) or (L, ...), without a copy for it.

        They are 0-1 and sum to one over the labels within 2 %; zeros count as 1.2e-38. All else as for the class.
        """
        crf = cls.__new__(cls)
        given = as_array(probabilities, "probabilities")
        crf._setup(given.shape, check_probabilities(given), True, kernels, fixed, method, prune_below, threads)
        return crf

    def _setup(
        self,
        shape: tuple[int, ...],
        source: Array,
        probabilities: bool,
        kernels: Sequence[Kernel],
        fixed: npt.NDArray[np.bool_] | None,
        method: str,
        prune_below: float,
        threads: int | None,
    ) -> None:
        self._method = check_choice(method, ("lattice", "exact"), "method")
        self._prune_below = check_number(prune_below, "prune_below", most=1.0)
        self._threads = thread_count(threads)
        self._shape, self._source, self._probabilities = shape, source, probabilities
        self._kernels = check_kernels(kernels, shape)
        self._fixed = None
        if fixed is not None:
            self._fixed = check_mask(fixed, shape[1:], "fixed", "points that keep their beliefs").ravel()
        self._terms = [make_term(kernel, source.shape, method, self._threads) for kernel in self._kernels]

    def infer(self, iterations: int = 10) -> Array:
        """Return the beliefs after `iterations` mean field updates; 0 gives softmax(-unary).

        Returns:
            float32 of the unary's shape, in 0-1, summing to one over the labels.

        Raises:
            InputError: `iterations` is not an integer, at least 0.
        """
        count = check_count(iterations, 0, "iterations")
        if self._method == "exact":
            return next(islice(self._iterate_exactly(), count, None))
        belief = infer_by_terms(
            self._source,
            self._probabilities,
            self._terms,
            count,
            fixed=self._fixed,
            prune_below=self._prune_below,
            threads=self._threads,
        )
        return belief.reshape(self._shape)

    def iterate(self) -> Iterator[Array]:
        """Yield the beliefs before the first update, after the first, the second, and so on without end.

        Each as `infer` returns them. The paper's figure 2 shows such a sequence.
        """
        if self._method == "exact":
            yield from self._iterate_exactly()
            return
        field = _field(self._source, self._probabilities, self._terms, self._fixed, self._prune_below, self._threads)
        while True:
            yield _read(field, self._source.shape, self._threads).reshape(self._shape)
            field.step(1, self._threads)

    def kl_divergence(self, belief: npt.ArrayLike) -> float:
        """Return the KL divergence of `belief` from the CRF's distribution, less the constant log Z.

        Σ_i Σ_l Q_i(l) (log Q_i(l) + U_i(l)) + ½ Σ_ij Σ_ll' Q_i(l) Q_j(l') w μ(l, l') k(i, j), where the pairs count
        i = j as the updates do. It falls as inference goes on, and lower is closer; as log Z is left out it may be
        negative. `belief` is of the unary's shape, 0-1.

        Raises:
            InputError: `belief` has another shape or values.
        """
        given = as_array(belief, "belief")
        if given.shape != self._shape:
            raise InputError(f"belief has shape {given.shape}; expected {self._shape} like the unary")
        q = check_probabilities(given)
        entropy = (q * np.log(np.maximum(q, np.finfo(np.float32).tiny))).sum(dtype=np.float64)
        return float(entropy + (q * self._unary()).sum(dtype=np.float64) + self._pairwise_energy(q))

    def energy(self, labels: npt.ArrayLike) -> float:
        """Return the Gibbs energy of a labelling, U + ½ Σ_ij w μ(x_i, x_j) k(i, j); lower is likelier.

        Krähenbühl & Koltun 2011, equation 1, with each pair once and with i = j, which the Potts model does not charge.
        Its exponential over Z is the labelling's probability. `labels` are integers 0 … L-1 of the points' shape.

        Raises:
            InputError: `labels` has another shape, type or range.
        """
        given = check_labels(labels, self._shape)
        one_hot = (given.ravel() == np.arange(self._shape[0])[:, None]).astype(np.float32)
        return float((one_hot * self._unary()).sum(dtype=np.float64) + self._pairwise_energy(one_hot))

    def _pairwise_energy(self, belief: Array) -> float:
        return float(sum((belief * term.message(belief)).sum(dtype=np.float64) / 2 for term in self._terms))

    def _unary(self) -> Array:
        if not self._probabilities:
            return self._source
        unary: Array = -np.log(np.maximum(self._source, np.finfo(np.float32).tiny))
        return unary

    def _iterate_exactly(self) -> Iterator[Array]:
        unary = self._unary()
        belief = softmax_in_place(-unary)
        while True:
            yield belief.reshape(self._shape)
            messages = sum((term.message(belief) for term in self._terms), np.zeros_like(unary))
            if self._fixed is not None:
                messages[:, self._fixed] = 0
            belief = softmax_in_place(-unary - messages)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_terms"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        shape = self._source.shape
        self._terms = [make_term(kernel, shape, self._method, self._threads) for kernel in self._kernels]


def infer_by_terms(
    source: Array,
    probabilities: bool,
    terms: Iterable[Term],
    iterations: int,
    *,
    fixed: npt.NDArray[np.bool_] | None = None,
    prune_below: float,
    threads: int,
) -> Array:
    """Return the beliefs (L, N) after `iterations` updates of the fused loop, for arguments that have been checked.

    Args:
        source: (L, N) float32, contiguous: unary energies, or the probabilities whose -log they are.
        probabilities: which of the two.
        terms: the kernels made ready, none of them exact. Where nobody else holds them, as with those from a generator,
            they go before the result takes their memory.
        iterations: at least 0.
        fixed: (N,) bool, as for `DenseCRF`.
        prune_below: as for `DenseCRF`.
        threads: at least 1.
    """
    field = _field(source, probabilities, terms, fixed, prune_below, threads)
    with _beliefs_in_memory(source.shape):
        field.step(iterations, threads)
        field.release()  # before the result takes its memory
        return _read(field, source.shape, threads)


def _field(
    source: Array,
    probabilities: bool,
    terms: Iterable[Term],
    fixed: npt.NDArray[np.bool_] | None,
    prune_below: float,
    threads: int,
) -> _native.MeanField:
    native = [native for term in terms for native in term.natives]
    held = None if fixed is None else np.ascontiguousarray(fixed)
    with _beliefs_in_memory(source.shape):
        return _native.MeanField(source, probabilities, native, prune_below, threads, held)


def _beliefs_in_memory(shape: tuple[int, ...]) -> AbstractContextManager[None]:
    labels, points = shape
    what = f"mean field inference of {labels} labels at {points:,} points"
    return memory_for(4 * labels * points, what, "use fewer points or labels")


def _read(field: _native.MeanField, shape: tuple[int, ...], threads: int) -> Array:
    belief = _native.empty(shape)
    field.belief(belief, threads)
    return belief


def _check_unary(given: npt.NDArray[Any]) -> Array:
    check_real(given, "unary")
    if given.ndim < 2 or given.size == 0:
        raise InputError(
            f"unary has shape {given.shape}; expected (labels, points) or (labels, ...), at least one of each"
        )
    check_label_count(
        len(given), "a unary", "for the probabilities p of a foreground, unary_from_probabilities(np.stack([1 - p, p]))"
    )
    with np.errstate(over="ignore"):
        unary = np.require(given.reshape(given.shape[0], -1), np.float32, ("C", "A"))
    check_energies(unary, "unary")
    return unary
