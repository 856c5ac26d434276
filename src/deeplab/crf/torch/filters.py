"""The Gaussian filter as a differentiable function of its values and of its features."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from deeplab.checks import check_choice
from deeplab.crf.lattice import build_lattice
from deeplab.crf.torch.checks import check_features, check_values, working_dtype
from deeplab.crf.torch.compiling import uncompiled
from deeplab.crf.torch.exact import ExactSum
from deeplab.crf.torch.lattice import Lattice

METHODS = ("lattice", "exact")


@uncompiled
def gaussian_filter(values: Tensor, features: Tensor, *, method: str = "lattice") -> Tensor:
    """Return Σ_j exp(-|f_i - f_j|² / 2) · values_j for every point i, itself included. Differentiable in both.

    Args:
        values: (B, C, N) float.
        features: (B, N, d) float, each column divided by its standard deviation; (N, d) or (1, N, d) where all members
            of the batch share them.
        method: "exact", or "lattice": linear in N, and smaller by a factor (about 0.5 to 0.9) that dividing by the
            filtered ones takes out.

    Returns:
        (B, C, N), float64 where the values are and else float32.

    Raises:
        InputError: a shape, dtype or device does not fit, a value is not finite, `method` is unknown, or the features
            span too many standard deviations for the lattice.
    """
    check_choice(method, METHODS, "method")
    check_values(values)
    dtype = working_dtype(values)
    points = check_features(features, values).to(dtype)
    return filter_points(values.to(dtype), points, GaussianFilter(method))


class _Matrix(Protocol):
    """The filter over fixed points, as a linear map without gradients."""

    def __call__(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """Return K·values, (B, C, N) like the values; or Kᵀ·values."""


class GaussianFilter:
    """The filter over the features that its first call brings, built then and kept for all later calls.

    On the CPU in float32 the lattice is the native core's, and else PyTorch's; the exact sum in float32 on a GPU is
    Triton's where that is installed, and else PyTorch's.
    """

    def __init__(self, method: str) -> None:
        self._method = method
        self._matrix: _Matrix | None = None

    def __call__(self, values: Tensor, features: Tensor, transposed: bool) -> Tensor:
        """Filter values (B, C, N) over features (B, N, d), without gradients and whatever autocast says."""
        with torch.autocast(values.device.type, enabled=False):
            if self._matrix is None:
                self._matrix = _choose(self._method, features)(features)
            return self._matrix(values, transposed=transposed)


def filter_points(values: Tensor, features: Tensor, run: GaussianFilter) -> Tensor:
    """Filter `values` (B, C, N) over `features` (B, N, d) or, shared by all, (1, N, d)."""
    if len(features) == len(values):
        return _filter(values, features, run, False)
    filtered = _filter(values.flatten(0, 1)[None], features, run, False)  # the batch becomes channels
    return filtered.view(values.shape)


class _Filter(torch.autograd.Function):
    """K·v, with v (B, C, N) and features (B, N, d), or Kᵀ·v.

    With respect to the values, the gradient g comes back as Kᵀ·g: the transposed filter, exactly.

    With respect to the features, the derivative of a Gaussian is again a Gaussian times a distance,
    ∂k_ij/∂f_i = k_ij (f_j - f_i), so that ∂/∂f_i of Σ g·K·v is g_i Σ_j k_ij (f_j - f_i) v_j, which filters v·f and v,
    plus the same with v and g, K and Kᵀ exchanged. Exact for the exact sum. For the lattice it is the gradient of the
    Gaussian that the lattice stands for, evaluated by the lattice; the lattice's own is piecewise constant, and a worse
    guide.
    """

    @staticmethod
    def forward(values: Tensor, features: Tensor, run: GaussianFilter, transposed: bool) -> Tensor:
        return run(values, features, transposed)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, GaussianFilter, bool], output: Tensor) -> None:
        values, features, ctx.run, ctx.transposed = inputs
        # Without a gradient for the features, nothing of the values' size need be kept.
        ctx.save_for_backward(*((values, features, output) if features.requires_grad else (None, features, None)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        values, features, filtered = ctx.saved_tensors
        adjoint = _filter(gradient, features, ctx.run, not ctx.transposed)
        if not ctx.needs_input_grad[1]:
            return adjoint, None, None, None
        columns = []
        for f in features[:, None].unbind(-1):  # (B, 1, N) each
            heard = _filter(values * f, features, ctx.run, ctx.transposed) - f * filtered
            spoken = _filter(gradient * f, features, ctx.run, not ctx.transposed) - f * adjoint
            columns.append((gradient * heard + values * spoken).sum(1))
        return adjoint, torch.stack(columns, dim=-1), None, None


def _filter(values: Tensor, features: Tensor, run: GaussianFilter, transposed: bool) -> Tensor:
    filtered: Tensor = _Filter.apply(values, features, run, transposed)  # type: ignore[no-untyped-call]
    return filtered


class _NativeLattice:
    """The native core's lattices, one per member of the batch; values pass to it and back without a copy."""

    def __init__(self, features: Tensor) -> None:
        self._lattices = [build_lattice(f.contiguous().numpy(), torch.get_num_threads()) for f in features.detach()]

    def __call__(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        values = values.detach().contiguous()
        filtered = torch.empty_like(values)
        for lattice, one, out in zip(self._lattices, values, filtered, strict=True):
            lattice.filter(one.numpy(), out.numpy(), transposed, torch.get_num_threads())
        return filtered


def _choose(method: str, features: Tensor) -> Callable[[Tensor], _Matrix]:
    single = features.dtype == torch.float32
    if method == "lattice":
        return _NativeLattice if single and features.device.type == "cpu" else Lattice
    if single and features.is_cuda:
        try:
            from deeplab.crf.torch.triton_sum import TritonSum
        except ModuleNotFoundError:
            return ExactSum
        return TritonSum
    return ExactSum
