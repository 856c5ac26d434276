"""The dense CRF as a loss: what a network's soft labels pay for differing along a photo's even parts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_choice, thread_count
from deeplab.crf.checks import as_array, check_energies, check_probabilities, check_real
from deeplab.crf.terms import Kernel, check_kernels, make_term
from deeplab.errors import InputError


def dense_crf_loss(
    probabilities: npt.ArrayLike,
    kernels: Sequence[Kernel],
    *,
    weights: npt.ArrayLike | None = None,
    method: str = "lattice",
    threads: int | None = None,
) -> tuple[float, npt.NDArray[np.float32]]:
    """Return the CRF's pairwise energy of soft labels for each point, and its gradient.

    Tang et al., "On Regularized Losses for Weakly-supervised CNN Segmentation", ECCV 2018, equation 4: with S the
    probabilities, r the weights, and for each kernel its weight w and its matrix K, normalised as the kernel says,

        loss = Σ_k w Σ_l (r S_l)ᵀ K r (1 - S_l) / Σ r

    With the normalisation "after" and w = 1 it is the chance that a pixel and one that it hears differ in label, 0-1.
    A kernel with a compatibility μ pays w μ(l, l') (r S_l)ᵀ K (r S_l') for each two labels instead.

    >>> from deeplab.crf import bilateral_kernel
    >>> photo, torn = np.zeros((4, 6, 3), np.uint8), np.zeros((2, 4, 6))
    >>> torn[0, :, :3] = torn[1, :, 3:] = 1  # two labels on one even ground
    >>> kernel = bilateral_kernel(photo, xy_std_px=100, rgb_std=15, weight=1)
    >>> loss, gradient = dense_crf_loss(torn, [kernel])
    >>> round(loss, 2), gradient.shape
    (0.5, (2, 4, 6))

    Args:
        probabilities: S, (L, N) or (L, ...) float, 0-1, summing to one over the labels within 2 %.
        kernels: each over the same N points. They keep their lattices, so that further calls on a photo save that work.
        weights: r, of the points' shape, at least 0: how much each point counts, 0 for not at all. None: 1.
        method: "lattice" (approximate, linear in N) or "exact" (every pair of points: a few thousand at most).
        threads: None for as many as DEEPLAB_THREADS says, or every core. The result does not depend on it.

    Returns:
        The loss, and its derivative by each probability, float32 of their shape: that of what was computed, the lattice
        included. Where all weights are 0, both are.

    Raises:
        InputError: an array has the wrong shape, type or values, there is one label alone, the kernels are over other
            points, or `method` is unknown.
        MemoryError: a lattice does not fit in memory.
    """
    check_choice(method, ("lattice", "exact"), "method")
    count = thread_count(threads)
    given = as_array(probabilities, "probabilities")
    source = check_probabilities(given)
    chosen = check_kernels(kernels, given.shape)
    r = _weights(weights, given.shape[1:])
    spoken = source * r
    loss, gradient = 0.0, np.zeros_like(source)
    for kernel in chosen:
        term = make_term(kernel, source.shape, method, count)
        heard, everything = term.normalized(spoken), term.normalized(r)
        loss += float((spoken * term.cost(heard, everything)).sum(dtype=np.float64))
        gradient += term.cost(heard + term.normalized(spoken, transposed=True), everything)
    total = max(float(r.sum(dtype=np.float64)), float(np.finfo(np.float32).tiny))
    gradient *= r / np.float32(total)
    return loss / total, gradient.reshape(given.shape)


def _weights(given: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return the weights of points of a `shape` as (1, N)."""
    if given is None:
        return np.ones((1, int(np.prod(shape))), np.float32)
    weights = as_array(given, "weights")
    if weights.dtype != np.bool_:
        check_real(weights, "weights")
    if weights.shape != shape:
        raise InputError(f"weights have shape {weights.shape}; expected {shape} like the probabilities' points")
    with np.errstate(over="ignore"):
        flat = weights.astype(np.float32).reshape(1, -1)
    check_energies(flat, "weights")
    if flat.min() < 0:
        raise InputError(f"weights go down to {flat.min():.4g}; expected at least 0: 0 leaves a point out")
    return flat
