"""Kernels made ready for inference: their filters, their normalisation, and the native term."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from deeplab.crf import _native
from deeplab.crf.checks import labels_first
from deeplab.crf.exact import filter_exactly
from deeplab.crf.kernels import GaussianKernel, GridKernel
from deeplab.crf.lattice import filter_by_lattice
from deeplab.errors import InputError

Array: TypeAlias = npt.NDArray[np.float32]
Kernel: TypeAlias = GaussianKernel | GridKernel


class Filter(Protocol):
    """A kernel's matrix K without normalisation or weight, or a lattice's approximation of it."""

    def __call__(self, values: Array, *, transposed: bool = False) -> Array:
        """Return K·values, (C, N) float32 like the values; or Kᵀ·values."""


_EPSILON = np.float32(1e-20)  # keeps a point that nothing speaks to from dividing by zero


@dataclass(frozen=True)
class Term:
    """A kernel made ready; a lattice's does without the features, so that they need not stay in memory.

    Attributes:
        weight: how much the term counts.
        compatibility: the cost of two labels side by side, as the kernel has it.
        normalization: "after", "symmetric", "before" or "none".
        filter: (C, N) float32 → the same, filtered without normalisation or weight; or by the transpose.
        points: N.
        natives: what adds up to the same in the fused loop; none where the filter is exact.
    """

    weight: float
    compatibility: Array | None
    normalization: str
    filter: Filter
    points: int
    natives: tuple[_native.Pairwise, ...] = ()

    @cached_property
    def k(self) -> Array:
        """K·1 (N,), what the filter makes of ones."""
        k: Array = self.filter(np.ones((1, self.points), np.float32))[0]
        return k

    def normalized(self, values: Array, *, transposed: bool = False) -> Array:
        """Return `values` (C, N) float32 filtered with the normalisation, without the weight; or by the transpose."""
        before, after = _normalization(self.normalization, self.k)
        if transposed:
            before, after = after, before
        filtered = self.filter(values if before is None else values * before, transposed=transposed)
        return filtered if after is None else filtered * after

    def cost(self, heard: Array, everything: Array) -> Array:
        """Return what each label pays (L, N) where the labels are heard (L, N), `everything` (1, N) in all."""
        costs = self.compatibility
        if costs is None:
            return self.weight * (everything - heard)
        return self.weight * (costs[:, None] * heard if costs.ndim == 1 else costs @ heard)

    def message(self, belief: Array) -> Array:
        """Return the energy (L, N) that `belief` (L, N) adds to each label at each point."""
        return self.cost(self.normalized(belief), self.normalized(np.ones_like(belief[:1])))


def check_kernels(kernels: Any, shape: tuple[int, ...]) -> tuple[Kernel, ...]:
    """Return the kernels if they are over the points of a unary of `shape` (L, ...), and over one grid if any.

    Raises:
        InputError: it is no sequence of kernels, or one is over another number of points or over other sides.
    """
    try:
        given, points = tuple(kernels), shape[1:]
    except TypeError:
        kind = type(kernels).__name__
        raise InputError(f"kernels is {kind}; expected a sequence of kernels, such as [kernel]") from None
    grid = points if len(points) == 2 and 1 not in points else None
    for kernel in given:
        if not isinstance(kernel, Kernel):
            raise InputError(
                f"kernels hold {type(kernel).__name__}; expected nothing but GaussianKernel and GridKernel, such as "
                "bilateral_kernel gives"
            )
        if kernel.points != prod(points):
            turned = len(shape) > 1 and kernel.points == prod(shape[:-1])
            hint = f": the labels come first, so pass {labels_first('unary', len(shape))}" if turned else ""
            raise InputError(f"a kernel has {kernel.points} points; expected {prod(points)} like the unary{hint}")
        grid = grid or kernel.grid
        if kernel.grid not in (None, grid):
            raise InputError(
                f"a kernel is over (height, width) {kernel.grid}, the unary or another kernel over {grid}; expected "
                "one image: height comes before width"
            )
    return given


def make_term(kernel: Kernel, shape: tuple[int, ...], method: str, threads: int) -> Term:
    """Make a kernel ready: build its lattice, unless it has one, and work out its normalisation.

    Args:
        kernel: what to make ready.
        shape: (L, N), the labels and points of the unary.
        method: "lattice" or "exact".
        threads: at least 1.

    Raises:
        InputError: the kernel's compatibility is of other labels, or as `build_lattice` raises it.
    """
    labels, points = shape
    costs = kernel.compatibility
    if costs is not None and costs.shape[0] != labels:
        raise InputError(
            f"compatibility has shape {costs.shape}; expected ({labels},) or ({labels}, {labels}) for {labels} labels"
        )
    matrix = np.diag(costs) if costs is not None and costs.ndim == 1 else costs
    if method == "exact":
        return Term(kernel.weight, costs, kernel.normalization, _exact_filter(kernel), points)
    if isinstance(kernel, GridKernel):
        return _grid_term(kernel, costs, matrix)
    if kernel.unknown is not None:
        return _term_with_unknown(kernel, kernel.unknown, costs, matrix, threads)
    lattice, k = kernel.lattice.over(kernel.features, threads)
    by_lattice = partial(filter_by_lattice, lattice, threads=threads)
    before, after = _normalization(kernel.normalization, k)
    native = _native.lattice_term(lattice, kernel.weight, before, after, matrix)
    return Term(kernel.weight, costs, kernel.normalization, by_lattice, points, (native,))


def _exact_filter(kernel: Kernel) -> Filter:
    exactly = _symmetric(partial(filter_exactly, kernel.features))
    if isinstance(kernel, GridKernel) or kernel.unknown is None:
        return exactly
    return _Mixed(kernel.unknown, exactly, _symmetric(partial(filter_exactly, kernel.features[:, :-1])))


def _term_with_unknown(
    kernel: GaussianKernel, unknown: npt.NDArray[np.bool_], costs: Array | None, matrix: Array | None, threads: int
) -> Term:
    """Three filters: one of all features among the points that know the last, and one without it to and from others."""
    lattice, _ = kernel.lattice.over(kernel.features, threads)
    rougher, _ = kernel.lattice_without_last.over(np.ascontiguousarray(kernel.features[:, :-1]), threads)
    by_both = _Mixed(unknown, *(partial(filter_by_lattice, each, threads=threads) for each in (lattice, rougher)))
    ones = np.ones((1, kernel.points), np.float32)
    before, after = (
        ones[0] if norm is None else norm for norm in _normalization(kernel.normalization, by_both(ones)[0])
    )
    others, own = unknown.astype(np.float32), (~unknown).astype(np.float32)
    natives = tuple(
        _native.lattice_term(each, kernel.weight, before * spoken, after * heard, matrix)
        for each, spoken, heard in ((lattice, own, own), (rougher, ones[0], others), (rougher, others, own))
    )
    return Term(kernel.weight, costs, kernel.normalization, by_both, kernel.points, natives)


@dataclass(frozen=True)
class _Mixed:
    """K of all features among the points that know the last one, and of the features before it for all other pairs."""

    unknown: npt.NDArray[np.bool_]
    with_last: Filter
    without: Filter

    def __call__(self, values: Array, *, transposed: bool = False) -> Array:
        unknown, known = self.unknown.astype(np.float32), (~self.unknown).astype(np.float32)
        among_known = self.with_last(values * known, transposed=transposed)
        from_unknown = self.without(values * unknown, transposed=transposed)
        mixed: Array = known * (among_known + from_unknown) + unknown * self.without(values, transposed=transposed)
        return mixed


def _symmetric(run: Callable[[Array], Array]) -> Filter:
    def filter_(values: Array, *, transposed: bool = False) -> Array:
        return run(values)

    return filter_


def _normalization(name: str, k: Array) -> tuple[Array | None, Array | None]:
    """Return what to multiply by before and after the filter, from k = K·1."""
    if name == "none":
        return None, None
    inverse = np.add(k, _EPSILON, out=_native.empty(k.shape))
    np.reciprocal(inverse, out=inverse)
    if name == "symmetric":
        np.sqrt(inverse, out=inverse)
        return inverse, inverse
    return (inverse, None) if name == "before" else (None, inverse)


def _grid_term(kernel: GridKernel, costs: Array | None, matrix: Array | None) -> Term:
    """All of it is a product of columns and rows: the filter, k, and with them the normalisation."""
    taps = kernel.taps()
    grid = _native.Grid(taps, *_along_side(kernel, taps, kernel.width), *_along_side(kernel, taps, kernel.height))
    native = _native.grid_term(grid, kernel.weight, matrix)
    by_sums = _symmetric(partial(_filter_grid, (kernel.height, kernel.width), taps))
    return Term(kernel.weight, costs, kernel.normalization, by_sums, kernel.points, (native,))


def _along_side(kernel: GridKernel, taps: Array, length: int) -> tuple[Array, Array, Array]:
    """Return along one side: what to multiply by before and after the sums, and what ones then become."""
    ones = np.ones(length, np.float32)
    before, after = _normalization(kernel.normalization, _sums_along(ones, taps))
    before, after = ones if before is None else before, ones if after is None else after
    return before, after, after * _sums_along(before, taps)


def _filter_grid(shape: tuple[int, int], taps: Array, values: Array) -> Array:
    image = values.reshape(-1, *shape)
    columns = _sums_along(image.swapaxes(1, 2), taps).swapaxes(1, 2)
    return np.ascontiguousarray(_sums_along(columns, taps)).reshape(values.shape)


def _sums_along(values: Array, taps: Array) -> Array:
    """Return the sums of `taps` over the last axis on either side; what lies beyond its ends is zero."""
    sums: Array = taps[0] * values
    for distance, tap in enumerate(taps[1 : values.shape[-1]], start=1):
        sums[..., distance:] += tap * values[..., :-distance]
        sums[..., :-distance] += tap * values[..., distance:]
    return sums
