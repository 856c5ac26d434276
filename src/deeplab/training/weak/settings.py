"""Weak labels in a recipe: which methods there are, and their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from deeplab.boxes.masks import BBOX_SEG_CRF
from deeplab.crf import CRFSettings
from deeplab.errors import InputError

STROKES = "strokes"

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "bbox-seg": "boxes",
        "bbox-rect": "boxes",
        "bbox-em-fixed": "boxes",
        "em-adapt": "image",
        "em-fixed": "image",
    }
)
"""The methods by the paper's names → the labels that they are for; the first of each kind is its default."""

ESTIMATED = ("bbox-em-fixed", "em-adapt", "em-fixed")
"""Those whose labels are estimated anew from the network's scores of every crop."""


@dataclass(frozen=True)
class WeakLabels:
    """The numbers of the methods for weak labels; the defaults are the papers'.

    Attributes:
        foreground_bias, background_bias: what EM-Fixed and Bbox-EM-Fixed add to the scores of a photo's own classes and
            of the background before the likeliest label counts.
        foreground_share, background_share: the least share of a crop's cells that EM-Adapt gives to each of a photo's
            classes and to the background, 0–1; all less by one factor where they add up to more than 1.
        crf: parameters of Bbox-Seg's CRF by name, where they differ from `deeplab.boxes.masks.BBOX_SEG_CRF`; distances
            in pixels of the photo.
        crf_loss: the factor of the dense CRF loss beside the cross-entropy on strokes; 0 leaves it out.
        crf_loss_xy_std_px, crf_loss_rgb_std: the standard deviations of its kernel, in pixels of what the network sees
            and in levels of 0–255.
    """

    foreground_bias: float = 5.0
    background_bias: float = 3.0
    foreground_share: float = 0.2
    background_share: float = 0.4
    crf: dict[str, float] = field(default_factory=dict)
    crf_loss: float = 1.0
    crf_loss_xy_std_px: float = 100.0
    crf_loss_rgb_std: float = 15.0

    def __post_init__(self) -> None:
        self.bbox_seg_crf  # noqa: B018  # says what is wrong
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not isinstance(value, float):
                continue
            most = 1.0 if entry.name.endswith("_share") else math.inf
            least = "above 0" if "_std" in entry.name else "0 or more"
            if not 0 <= value <= most or value == math.inf or (value == 0 and "_std" in entry.name):
                raise InputError(
                    f"weak.{entry.name} must be a number {least}{' and at most 1' * (most == 1)}, got {value}"
                )

    @property
    def bbox_seg_crf(self) -> CRFSettings:
        """How the CRF of Bbox-Seg runs."""
        return BBOX_SEG_CRF.changed(self.crf)
