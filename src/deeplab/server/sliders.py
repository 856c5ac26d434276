"""The CRF's parameters as the page's sliders have them: where they start, how far they go, what they were set to."""

from __future__ import annotations

from deeplab.crf import CRFParams, CRFSettings
from deeplab.server.errors import ApiError
from deeplab.server.photos import KeptPhoto
from deeplab.server.schemas import Parameters, RefineRequest

__all__ = ["chosen", "defaults", "limits"]

_ENDS = {
    "bilateral_weight": (0, 20), "bilateral_xy_std_px": (2, 200), "bilateral_rgb_std": (1, 50),
    "spatial_weight": (0, 20), "spatial_xy_std_px": (0.5, 20), "iterations": (0, 20),
}  # fmt: skip
"""Distances in pixels of what the network saw."""


def defaults(photo: KeptPhoto, crf: CRFSettings) -> Parameters:
    """Return a model's parameters, their distances grown to the working copy of a photo."""
    return Parameters(**crf.params.scaled(_grown(photo)).to_dict(), iterations=crf.iterations)


def limits(photo: KeptPhoto, crf: CRFSettings) -> dict[str, tuple[float, float]]:
    """Return the least and the largest value of each parameter; the defaults are always among them."""
    starts, grown = defaults(photo, crf).model_dump(), _grown(photo)
    scaled = {
        name: (least * grown, most * grown) if name.endswith("_px") else (least, most)
        for name, (least, most) in _ENDS.items()
    }
    return {name: (min(least, starts[name]), max(most, starts[name])) for name, (least, most) in scaled.items()}


def chosen(photo: KeptPhoto, crf: CRFSettings, asked: RefineRequest) -> CRFSettings:
    """Return the CRF's settings as asked, a model's own where nothing is.

    Raises:
        ApiError: a parameter is out of its limits.
    """
    values = {
        **defaults(photo, crf).model_dump(),
        **asked.model_dump(exclude_none=True, exclude={"every_iteration"}),
    }
    for name, (least, most) in limits(photo, crf).items():
        if not least <= values[name] <= most:
            raise ApiError(422, "invalid_input", f"{name} is {values[name]:g}; expected {least:g} to {most:g}")
    iterations = values.pop("iterations")
    return CRFSettings(CRFParams(**values), iterations, crf.normalization)


def _grown(photo: KeptPhoto) -> float:
    """Return how much larger the working copy is than what the network saw."""
    height, width = photo.opened.image.shape[:2]
    return float(max(height, width) / max(photo.opened.network_size))
