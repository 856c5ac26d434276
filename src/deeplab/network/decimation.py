"""VGG-16's fully connected layers thinned out to a variant's (section 3.2 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from deeplab.errors import InputError, ModelError
from deeplab.network.variants import Variant

ChannelRule = Literal["even", "random"]


def decimate(
    tensors: Mapping[str, Tensor], variant: Variant, *, channels: ChannelRule = "even", seed: int = 0
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Thin the fully connected layers out to a variant's kernel and channels.

    Taps are taken at even steps, first and last included: of 7, {0, 2, 4, 6} for a kernel of 4 and {0, 3, 6} for one of
    3. Where channels are too many, every (wide / narrow)-th one is kept, or a seeded random choice; which ones the
    authors kept for LargeFOV is not published. fc7 reads the channels kept of fc6, and fc8 those kept of fc7.

    Args:
        tensors: by parameter name; ``fc6.weight`` (O, 512, K, K), ``fc7.weight`` (O, O, 1, 1), ``fc8.weight``
            (L, O, 1, 1) and the biases are thinned out, everything else passes. Without fc6 nothing changes.
        variant: gives the kernel k and the number of channels wanted.
        channels: ``"even"`` or ``"random"``.
        seed: for ``"random"``.

    Returns:
        The tensors, and the rule as JSON values: ``fc6_taps``, ``fc_channels`` (the rule, or ``"all"``), and ``seed``
        where chance was asked.

    Raises:
        InputError: the channel rule is unknown.
        ModelError: the kernel cannot be thinned out to the variant's, or there are too few channels.
    """
    if channels not in ("even", "random"):
        raise InputError(f"unknown channel rule {channels!r}; choose 'even' or 'random'")
    if "fc6.weight" not in tensors:
        return dict(tensors), {}
    width, _, size, _ = tensors["fc6.weight"].shape
    step, rest = divmod(size - 1, variant.fc6_kernel - 1)
    if rest or step < 1 or width < variant.fc_channels:
        raise ModelError(
            f"fc6 of {width} channels and {size}x{size} taps cannot be thinned out to {variant.title}'s "
            f"{variant.fc_channels} and {variant.fc6_kernel}x{variant.fc6_kernel}; start from VGG-16's own"
        )
    taps = torch.arange(0, size, step)
    generator = np.random.default_rng(seed)
    kept6, kept7 = (_kept(width, variant.fc_channels, channels, generator) for _ in range(2))
    thinned = dict(tensors)
    thinned["fc6.weight"] = tensors["fc6.weight"][kept6][:, :, taps][..., taps]
    thinned["fc6.bias"] = tensors["fc6.bias"][kept6]
    thinned["fc7.weight"] = tensors["fc7.weight"][kept7][:, kept6]
    thinned["fc7.bias"] = tensors["fc7.bias"][kept7]
    if "fc8.weight" in tensors:
        thinned["fc8.weight"] = tensors["fc8.weight"][:, kept7]
    rule = {"fc6_taps": taps.tolist(), "fc_channels": "all" if width == variant.fc_channels else channels}
    return thinned, {**rule, "seed": seed} if rule["fc_channels"] == "random" else rule


def _kept(width: int, wanted: int, channels: ChannelRule, generator: np.random.Generator) -> Tensor:
    if channels == "even" or wanted == width:
        return torch.arange(wanted) * width // wanted
    return torch.from_numpy(np.sort(generator.choice(width, wanted, replace=False)))
