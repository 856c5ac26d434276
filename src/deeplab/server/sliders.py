"""The CRF's parameters as the page's sliders have them: where they start, how far they go, what they were set to."""

from __future__ import annotations

from deeplab.crf import CRFSettings
from deeplab.server.asked import as_asked
from deeplab.server.errors import ApiError
from deeplab.server.photos import KeptPhoto
from deeplab.server.schemas import AskedParameters, Parameters

__all__ = ["chosen", "defaults", "limits"]

_ENDS = {
    "bilateral_weight": (0, 20), "bilateral_xy_std_px": (2, 200), "bilateral_rgb_std": (1, 50),
    "spatial_weight": (0, 20), "spatial_xy_std_px": (0.5, 20), "iterations": (0, 20),
}  # fmt: skip
"""Distances in pixels of what the network saw."""


def defaults(photo: KeptPhoto, crf: CRFSettings) -> Parameters:
    """Return a model's parameters, their distances grown to the working copy of a photo."""
    return Parameters(**crf.params.scaled(photo.opened.look.enlargement).to_dict(), iterations=crf.iterations)


def limits(photo: KeptPhoto, crf: CRFSettings) -> dict[str, tuple[float, float]]:
    """Return the least and the largest value of each parameter; the defaults are always among them."""
    starts, grown = defaults(photo, crf).model_dump(), photo.opened.look.enlargement
    scaled = {
        name: (least * grown, most * grown) if name.endswith("_px") else (least, most)
        for name, (least, most) in _ENDS.items()
    }
    return {name: (min(least, starts[name]), max(most, starts[name])) for name, (least, most) in scaled.items()}


def chosen(photo: KeptPhoto, crf: CRFSettings, asked: AskedParameters) -> CRFSettings:
    """Return the CRF's settings as asked, a model's own where nothing is, in pixels of what the network saw.

    Raises:
        ApiError: a parameter is out of its limits.
    """
    given, bounds = asked.given(), limits(photo, crf)
    for name, value in given.items():
        least, most = bounds[name]
        if not least <= value <= most:
            raise ApiError(422, "invalid_input", f"{name} is {value:g}; expected {least:g} to {most:g}")
    return as_asked(crf, given, photo.opened.look.enlargement)
