"""Mean field inference in a fully connected CRF with any number of Gaussian kernels.

Krähenbühl & Koltun 2011, algorithm 1: each update sends every belief through every kernel (filtering), weighs it by the
label compatibility, adds the unary energy, and normalises.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from deeplab.crf import _native
from deeplab.crf.checks import check_choice, check_count, check_energies, check_real, thread_count
from deeplab.crf.exact import filter_exactly
from deeplab.crf.kernels import GaussianKernel
from deeplab.crf.lattice import build_lattice, filter_by_lattice
from deeplab.errors import InputError

__all__ = ["DenseCRF"]

Array: TypeAlias = npt.NDArray[np.float32]
Filter: TypeAlias = Callable[[Array], Array]

_EPSILON = np.float32(1e-20)  # keeps a point that nothing speaks to from dividing by zero


@dataclass(frozen=True)
class _Term:
    """A kernel made ready: its filter, what each point is multiplied by before and after it (None: one), and their sum.

    `total` is what a belief of one everywhere becomes.
    """

    kernel: GaussianKernel
    filter: Filter
    lattice: _native.Lattice | None
    before: Array | None
    after: Array | None
    total: Array


class DenseCRF:
    """A fully connected CRF: unary energies and Gaussian kernels over the same points.

    Building it builds the lattices; every inference then starts afresh, so one object may serve several threads.

    Args:
        unary: (L, N) or (L, ...) float, -log of each label's probability at each point (lower is likelier). All axes
            but the first are the points, in row-major order.
        kernels: each over the same N points.
        method: "lattice" (approximate, linear in N) or "exact" (every pair of points: a few thousand at most).
        threads: None for every core this process may use. The result does not depend on it.

    Raises:
        InputError: an array has the wrong shape, type or values, or `method` or `threads` is unknown or too small.
    """

    def __init__(
        self,
        unary: npt.ArrayLike,
        kernels: Sequence[GaussianKernel],
        *,
        method: str = "lattice",
        threads: int | None = None,
    ) -> None:
        given = np.asarray(unary)
        check_choice(method, ("lattice", "exact"), "method")
        self._threads = thread_count(threads)
        self._shape = given.shape
        self._unary = _check_unary(given)
        self._terms = [_ready(kernel, self._unary.shape, method, self._threads) for kernel in kernels]

    def infer(self, iterations: int = 10) -> Array:
        """Return the beliefs after `iterations` mean field updates; 0 gives softmax(-unary).

        Returns:
            float32 of the unary's shape, in 0-1, summing to one over the labels.

        Raises:
            InputError: `iterations` is not an integer, at least 0.
        """
        count = check_count(iterations, 0, "iterations")
        field = self._native_field()
        if field is None:
            return next(islice(self._iterate_in_numpy(), count, None))
        field.step(count, self._threads)
        return self._read(field)

    def iterate(self) -> Iterator[Array]:
        """Yield the beliefs before the first update, after the first, the second, and so on without end.

        Each as `infer` returns them. The paper's figure 2 shows such a sequence.
        """
        field = self._native_field()
        if field is None:
            yield from self._iterate_in_numpy()
            return
        while True:
            yield self._read(field)
            field.step(1, self._threads)

    def _native_field(self) -> _native.MeanField | None:
        """Return the fused loop at its start, or None where a kernel is not a lattice's or not a Potts model's."""
        kernels = [
            (term.lattice, term.kernel.weight, term.before, term.after, term.total)
            for term in self._terms
            if term.lattice is not None and term.kernel.compatibility is None
        ]
        fusible = len(kernels) == len(self._terms)
        return _native.MeanField(self._unary, kernels, self._threads) if fusible else None

    def _read(self, field: _native.MeanField) -> Array:
        belief = np.empty(self._unary.shape, np.float32)
        field.belief(belief, self._threads)
        return belief.reshape(self._shape)

    def _iterate_in_numpy(self) -> Iterator[Array]:
        belief = _softmax(-self._unary)
        while True:
            yield belief.reshape(self._shape)
            belief = _softmax(-self._unary - sum(_message(term, belief) for term in self._terms))


def _check_unary(given: npt.NDArray[Any]) -> Array:
    check_real(given, "unary")
    if given.ndim < 2 or given.size == 0:
        raise InputError(
            f"unary has shape {given.shape}; expected (labels, points) or (labels, ...), at least one of each"
        )
    with np.errstate(over="ignore"):
        unary = np.ascontiguousarray(given.reshape(given.shape[0], -1), dtype=np.float32)
    check_energies(unary, "unary")
    return unary


def _ready(kernel: GaussianKernel, shape: tuple[int, ...], method: str, threads: int) -> _Term:
    labels, points = shape
    if kernel.features.shape[0] != points:
        raise InputError(f"a kernel has {kernel.features.shape[0]} points; expected {points} like the unary")
    if kernel.compatibility is not None and kernel.compatibility.shape[0] != labels:
        raise InputError(f"compatibility has shape {kernel.compatibility.shape}; expected ({labels}, {labels})")
    if method == "exact":
        lattice, gaussian = None, partial(filter_exactly, kernel.features)
    else:
        lattice = build_lattice(kernel.features, threads)
        gaussian = partial(filter_by_lattice, lattice, threads=threads)
    k = gaussian(np.ones((1, points), np.float32))
    inverse: Array = np.reciprocal(k + _EPSILON)
    match kernel.normalization:
        case "symmetric":
            root: Array = np.sqrt(inverse)
            return _Term(kernel, gaussian, lattice, root, root, root * gaussian(root))
        case "before":
            return _Term(kernel, gaussian, lattice, inverse, None, gaussian(inverse))
        case "after":
            return _Term(kernel, gaussian, lattice, None, inverse, k * inverse)
        case _:
            return _Term(kernel, gaussian, lattice, None, None, k)


def _message(term: _Term, belief: Array) -> Array:
    """Return the energy that one kernel adds to each label at each point, up to a constant per point."""
    before = belief if term.before is None else belief * term.before
    filtered = term.filter(before)
    if term.after is not None:
        filtered *= term.after
    if term.kernel.compatibility is None:
        return -term.kernel.weight * filtered
    return term.kernel.weight * (term.kernel.compatibility @ filtered)


def _softmax(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max(axis=0))
    belief: Array = exponentials / exponentials.sum(axis=0)
    return belief
