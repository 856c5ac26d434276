"""A CRF as a client asks for it: some of its parameters by name, and a model's own where nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping

from deeplab.crf import CRFSettings


def requested_crf(crf: CRFSettings, changes: Mapping[str, float], enlargement: float = 1.0) -> CRFSettings:
    """Return a CRF with some of its parameters changed.

    Args:
        crf: what there is, its distances in pixels of what the network saw.
        changes: those of `CRFParams` and ``iterations``, by name; distances in pixels of a photo.
        enlargement: how many times larger that photo is than what the network saw.
    """
    in_network_px = {name: value / enlargement for name, value in changes.items() if name.endswith("_px")}
    return crf.changed({**changes, **in_network_px})
