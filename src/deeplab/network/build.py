"""From a row of the table to its network."""

from __future__ import annotations

from typing import TypeAlias

from deeplab.network.fcn import FCN8s
from deeplab.network.variants import Variant
from deeplab.network.vgg import DeepLab

Network: TypeAlias = DeepLab | FCN8s
"""What can be trained, stored and exported."""


def build_network(variant: Variant, classes: int) -> Network:
    """Build the network of a variant for `classes` labels, with random weights."""
    return FCN8s(variant, classes) if variant.skips else DeepLab(variant, classes)
