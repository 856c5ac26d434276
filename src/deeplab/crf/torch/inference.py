"""Mean field inference with unrolled updates, differentiable from end to end.

Krähenbühl & Koltun 2011, algorithm 1, as the layers of a network: Zheng et al. 2015, section 4.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from deeplab.checks import check_choice, check_count
from deeplab.crf.checks import check_label_count
from deeplab.crf.kernels import NORMALIZATIONS
from deeplab.crf.torch.checks import (
    check_features,
    check_finite,
    check_logits,
    check_same_device,
    check_tensor,
    working_dtype,
)
from deeplab.crf.torch.compiling import uncompiled
from deeplab.crf.torch.filters import METHODS, GaussianFilter, filter_points
from deeplab.errors import InputError

Message: TypeAlias = Callable[[Tensor], Tensor]


_EPSILON = 1e-20  # keeps a point that nothing speaks to from dividing by zero


class Kernel(NamedTuple):
    """One term of the pairwise energy, w · μ(l, l') · exp(-|f_i - f_j|² / 2) over all pairs of points i, j.

    Krähenbühl & Koltun 2011, equations 2 and 3. Any tensor here may require a gradient.

    Attributes:
        features: (B, N, d), or (N, d) to share them over the batch; float, each column divided by its standard
            deviation.
        weight: w, a number or a scalar tensor; or (L,), how much each label's belief counts (Zheng et al. 2015,
            section 4.2.2). Any sign.
        compatibility: μ, (L, L): row l, column l' is the cost of label l where l' is heard. None: the Potts model.
        normalization: "after", "symmetric", "before" or "none", as in `deeplab.crf.GaussianKernel`.
    """

    features: Tensor
    weight: float | Tensor = 1.0
    compatibility: Tensor | None = None
    normalization: str = "after"


@uncompiled
def mean_field(logits: Tensor, kernels: Sequence[Kernel], *, iterations: int = 10, method: str = "lattice") -> Tensor:
    """Return the logarithm of the CRF's marginals after `iterations` mean field updates.

    Logits come in and logits come out, now normalised: a loss such as cross-entropy, and argmax, stay as they were, and
    `.exp()` gives the marginals. With the same kernels, those are `deeplab.crf.DenseCRF`'s.

    Args:
        logits: (B, L, N) or (B, L, ...) float: the network's scores, or log-probabilities, or the negative unary
            energy. All axes but the first two are the points, in row-major order.
        kernels: each over the same N points.
        iterations: updates, at least 0; 0 gives log_softmax(logits).
        method: "lattice" (approximate, linear in N) or "exact" (every pair of points).

    Returns:
        The logits' shape; float64 where the logits are, and else float32, under autocast too.

    Raises:
        InputError: a shape, dtype or device does not fit, a value is not finite, or an option is unknown.
    """
    check_choice(method, METHODS, "method")
    count = check_count(iterations, 0, "iterations")
    check_logits(logits)
    check_label_count(logits.shape[1], "logits", "for those of a foreground, x, torch.cat([torch.zeros_like(x), x], 1)")
    check_kernels(kernels)
    dtype = working_dtype(logits)
    with torch.autocast(logits.device.type, enabled=False):
        start = logits.flatten(2).to(dtype)
        messages = [message_of(kernel, start, method) for kernel in kernels]
        scores = start
        for _ in range(count):
            belief = scores.softmax(1)
            scores = start
            for message in messages:
                scores = scores - message(belief)
        return scores.log_softmax(1).view(logits.shape)


def check_kernels(kernels: Any) -> None:
    """Raise unless `kernels` is a sequence of nothing but kernels."""
    if isinstance(kernels, Kernel) or not isinstance(kernels, Sequence):
        raise InputError(f"kernels is {type(kernels).__name__}; expected a sequence of kernels, such as [kernel]")
    if strange := [type(kernel).__name__ for kernel in kernels if not isinstance(kernel, Kernel)]:
        raise InputError(f"kernels hold {strange[0]}; expected nothing but deeplab.crf.torch.Kernel")


def message_of(kernel: Kernel, like: Tensor, method: str) -> Message:
    """Return the function that takes beliefs (B, L, N) to the energy one kernel adds, up to a constant per point."""
    check_choice(kernel.normalization, NORMALIZATIONS, "normalization")
    features = check_features(kernel.features, like).to(like.dtype)
    cost = _costs(kernel, like)
    run = GaussianFilter(method)
    before, after = _norms(
        filter_points(like.new_ones(len(features), 1, like.shape[2]), features, run), kernel.normalization
    )

    def message(belief: Tensor) -> Tensor:
        heard = filter_points(belief if before is None else belief * before, features, run)
        return cost(heard if after is None else heard * after)

    return message


def _costs(kernel: Kernel, like: Tensor) -> Message:
    """Return the function that takes what each label hears (B, L, N) to what that costs it, up to a constant per point.

    Potts: hearing any label costs all others as much, which up to a constant is a reward to the label itself.
    """
    weight = _weight(kernel.weight, like)
    if kernel.compatibility is None:
        reward = -(weight[:, None] if weight.ndim else weight)
        return lambda heard: reward * heard
    costs = (_compatibility(kernel.compatibility, like) * weight).expand(len(like), -1, -1)
    return lambda heard: costs @ heard


def _norms(k: Tensor, normalization: str) -> tuple[Tensor | None, Tensor | None]:
    """What a belief is multiplied by before and after the filter (None: one), given k = K·1, (B, 1, N)."""
    inverse = (k + _EPSILON).reciprocal()
    match normalization:
        case "symmetric":
            root = inverse.sqrt()
            return root, root
        case "before":
            return inverse, None
        case "after":
            return None, inverse
        case _:
            return None, None


def _weight(given: float | Tensor, like: Tensor) -> Tensor:
    """Return the weight as (), or (L,) for one per label."""
    labels = like.shape[1]
    if not isinstance(given, (Tensor, int, float)):
        raise InputError(f"weight is {given!r}; expected a number or a tensor")
    weight = given.to(like.dtype) if isinstance(given, Tensor) else like.new_tensor(given)
    if weight.shape not in ((), (labels,)):
        raise InputError(f"weight has shape {tuple(weight.shape)}; expected a number or ({labels},), one per label")
    check_same_device(weight, like, "weight", "logits")
    check_finite(weight, "weight")
    return weight


def _compatibility(given: Tensor, like: Tensor) -> Tensor:
    check_tensor(given, "compatibility")
    labels = like.shape[1]
    if given.shape != (labels, labels):
        raise InputError(f"compatibility has shape {tuple(given.shape)}; expected ({labels}, {labels})")
    check_same_device(given, like, "compatibility", "logits")
    check_finite(given, "compatibility")
    return given.to(like.dtype)
