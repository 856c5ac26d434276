"""The dense CRF as a loss between a network's scores and photos, differentiable."""

from collections.abc import Sequence

import torch
from torch import Tensor

from deeplab.checks import check_choice
from deeplab.crf.checks import check_label_count
from deeplab.crf.torch.checks import check_finite, check_logits, check_same_device, check_tensor, working_dtype
from deeplab.crf.torch.compiling import uncompiled
from deeplab.crf.torch.filters import METHODS
from deeplab.crf.torch.inference import Kernel, check_kernels, message_of
from deeplab.errors import InputError


@uncompiled
def dense_crf_loss(
    logits: Tensor, kernels: Sequence[Kernel], *, weights: Tensor | None = None, method: str = "lattice"
) -> Tensor:
    """Return the CRF's pairwise energy of a network's soft labels for each point: `deeplab.crf.dense_crf_loss`.

    Tang et al., "On Regularized Losses for Weakly-supervised CNN Segmentation", ECCV 2018, equation 4, where S =
    softmax(logits), averaged over all points of the batch by their weights. It is added, times a factor, to the
    cross-entropy over the pixels whose labels are known. Differentiable in the logits, the weights, and all that the
    kernels hold.

    >>> logits = torch.zeros(1, 2, 4, 6, requires_grad=True)
    >>> kernel = Kernel(bilateral_features(torch.zeros(1, 3, 4, 6, dtype=torch.uint8), 100, 15))
    >>> dense_crf_loss(logits, [kernel]).item()  # of 24 undecided pixels, any two differ as often as not
    0.5

    Args:
        logits: (B, L, N) or (B, L, ...) float: the network's scores, or log-probabilities.
        kernels: each over the same N points; one, of `bilateral_features(photos, 100, 15)`, in the paper.
        weights: (B, N) or (B, ...) float, at least 0: how much each point counts, 0 for not at all. None: 1.
        method: "lattice" (approximate, linear in N) or "exact" (every pair of points).

    Returns:
        A scalar; float64 where the logits are, and else float32, under autocast too. 0 where all weights are.

    Raises:
        InputError: a shape, dtype or device does not fit, a value is not finite, or an option is unknown.
    """
    check_choice(method, METHODS, "method")
    check_logits(logits)
    labels = logits.shape[1]
    check_label_count(labels, "logits", "for those of a foreground, x, torch.cat([torch.zeros_like(x), x], 1)")
    check_kernels(kernels)
    dtype = working_dtype(logits)
    with torch.autocast(logits.device.type, enabled=False):
        scores = logits.flatten(2).to(dtype)
        r = torch.ones_like(scores[:, :1]) if weights is None else _weights(weights, logits).to(dtype)
        spoken = scores.softmax(1) * r
        potts = 1 - torch.eye(labels, device=logits.device)
        total = scores.new_zeros(())
        for kernel in kernels:
            paid = kernel._replace(compatibility=potts) if kernel.compatibility is None else kernel
            total = total + (spoken * message_of(paid, scores, method)(spoken)).sum()
        return total / r.sum().clamp_min(torch.finfo(dtype).tiny)


def _weights(given: Tensor, logits: Tensor) -> Tensor:
    """Return the weights as (B, 1, N)."""
    check_tensor(given, "weights")
    expected = (logits.shape[0], *logits.shape[2:])
    if given.shape != expected:
        raise InputError(f"weights have shape {tuple(given.shape)}; expected {expected} like the logits' points")
    check_same_device(given, logits, "weights", "logits")
    check_finite(given, "weights")
    if bool((given.detach() < 0).any()):
        raise InputError(f"weights go down to {float(given.min()):.4g}; expected at least 0: 0 leaves a point out")
    return given.flatten(1)[:, None]
