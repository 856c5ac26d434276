"""Checks of the arguments of the layer's public functions."""

from typing import Any

import torch
from torch import Tensor

from deeplab.checks import LARGEST
from deeplab.errors import InputError


def working_dtype(tensor: Tensor) -> torch.dtype:
    """Return the dtype to compute in: float64 for float64, and float32 for all lesser ones, autocast or not."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def check_finite(tensor: Tensor, name: str) -> None:
    """Raise unless every value is finite and of a size that float32 can add up."""
    if bool((tensor.detach().abs() <= LARGEST).all()):
        return
    bad = int((~tensor.detach().isfinite()).sum())
    if bad:
        raise InputError(f"{name} has {bad} NaN or infinite values; expected finite ones: replace them before the CRF")
    raise InputError(
        f"{name} reaches {float(tensor.detach().abs().max()):.3g}; expected magnitudes up to {LARGEST:.0e}: clip them"
    )


def check_same_device(tensor: Tensor, other: Tensor, name: str, other_name: str) -> None:
    """Raise unless both tensors lie on one device."""
    if tensor.device != other.device:
        raise InputError(
            f"{name} is on {tensor.device} and {other_name} on {other.device}; move one to the other with .to()"
        )


def check_logits(logits: Tensor) -> None:
    """Raise unless the logits are (B, L, ...) finite floats, at least one of each."""
    _check_float(logits, "logits")
    if logits.ndim < 3 or logits.numel() == 0:
        raise InputError(
            f"logits have shape {tuple(logits.shape)}; expected (batch, labels, points) or (batch, labels, height, "
            "width), at least one of each: a single photo takes logits[None]"
        )
    check_finite(logits, "logits")


def check_values(values: Tensor) -> None:
    """Raise unless the values are (B, C, N) finite floats, at least one of each."""
    _check_float(values, "values")
    if values.ndim != 3 or values.numel() == 0:
        raise InputError(
            f"values have shape {tuple(values.shape)}; expected (batch, channels, points), at least one of each"
        )
    check_finite(values, "values")


def check_features(features: Tensor, values: Tensor) -> Tensor:
    """Return `features` as (B, N, d) or (1, N, d), where `values` are (B, C, N)."""
    _check_float(features, "features")
    batch, _, points = values.shape
    shared = features[None] if features.ndim == 2 else features
    if shared.ndim != 3 or shared.shape[0] not in (1, batch) or shared.shape[1] != points or shared.shape[2] == 0:
        raise InputError(
            f"features have shape {tuple(features.shape)}; expected ({batch}, {points}, features), or "
            f"({points}, features) to share them over the batch"
        )
    check_same_device(features, values, "features", "what is filtered")
    check_finite(features, "features")
    return shared


def check_tensor(tensor: Any, name: str) -> None:
    """Raise unless `tensor` is one."""
    if not isinstance(tensor, Tensor):
        kind = type(tensor).__name__
        raise InputError(f"{name}: expected a torch.Tensor, not a value of type {kind}: pass torch.as_tensor({name})")


def _check_float(tensor: Tensor, name: str) -> None:
    check_tensor(tensor, name)
    if not tensor.is_floating_point():
        raise InputError(f"{name} have dtype {tensor.dtype}; expected a float type: pass {name}.float()")
