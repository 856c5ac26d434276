"""A CRF as a client asks for it: some of its parameters by name, and a model's own where nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping

from deeplab.crf import CRFSettings

__all__ = ["as_asked"]


def as_asked(crf: CRFSettings, asked: Mapping[str, float], grown: float = 1.0) -> CRFSettings:
    """Return a CRF with some of its parameters changed.

    Args:
        crf: what there is, its distances in pixels of what the network saw.
        asked: those of `CRFParams` and ``iterations``, by name; distances in pixels of a photo.
        grown: how many times larger that photo is than what the network saw.
    """
    return crf.changed({name: value / grown if name.endswith("_px") else value for name, value in asked.items()})
