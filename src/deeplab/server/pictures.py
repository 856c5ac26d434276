"""Results as files to download: PNG and JPEG in memory, and names that are safe to save them under."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.cutout import cutout
from deeplab.images import encode_jpeg, overlay_image
from deeplab.label_maps import encode_label_map
from deeplab.labels import LabelSet
from deeplab.segmentation import Segmentation

_MOST_CHARACTERS = 80


def _mask_png(found: Segmentation, wanted: Sequence[int]) -> bytes:
    return encode_label_map(only(found.labels, wanted, found.label_set), found.label_set)


def _overlay_jpeg(found: Segmentation, wanted: Sequence[int]) -> bytes:
    labels = only(found.labels, wanted, found.label_set)
    return encode_jpeg(overlay_image(found.image, labels, found.label_set))


def _cutout_png(found: Segmentation, wanted: Sequence[int]) -> bytes:
    """Return the things of the labels that are wanted as an RGBA PNG, or all but the background; void is nothing."""
    pixels = cutout(found, list(wanted) or None)
    pixels[found.labels == found.label_set.void] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


class Picture(NamedTuple):
    """A kind of result.

    Attributes:
        render: a function of what was found in a photo, and the labels that are wanted; () wants all.
        ending: what the file's name gets after the photo's.
        media_type: of the file.
    """

    render: Callable[[Segmentation, Sequence[int]], bytes]
    ending: str
    media_type: str


PICTURES: Mapping[str, Picture] = MappingProxyType(
    {
        "mask": Picture(_mask_png, ".png", "image/png"),
        "overlay": Picture(_overlay_jpeg, "_overlay.jpg", "image/jpeg"),
        "cutout": Picture(_cutout_png, "_cutout.png", "image/png"),
    }
)


def only(labels: NDArray[np.uint8], wanted: Sequence[int], label_set: LabelSet) -> NDArray[np.uint8]:
    """Return labels (H, W) in which all that is not wanted is background; () wants all.

    Where background itself is wanted, or the set has none, the rest is void.
    """
    if not wanted:
        return labels
    background = label_set.background
    other = label_set.void if background is None or background in wanted else background
    return np.where(np.isin(labels, wanted), labels, np.uint8(other))


def clean_name(name: str | None) -> str:
    """Return a client's file name without folders, control characters and other surprises, at most 80 characters."""
    last = re.split(r"[/\\]", name or "")[-1]
    clean = "".join(character for character in last if character.isprintable()).strip(" .")
    return clean[-_MOST_CHARACTERS:] or "photo"


def attachment(photo_name: str, ending: str) -> str:
    """Return a ``Content-Disposition`` under which a photo's result is saved as NAME`ending` (RFC 6266)."""
    stem = re.sub(r'[<>:"|?*]', "_", clean_name(photo_name).rpartition(".")[0] or clean_name(photo_name))
    plain = re.sub(r"[^\w.-]", "_", stem, flags=re.ASCII)
    return f"attachment; filename=\"{plain}{ending}\"; filename*=UTF-8''{quote(stem + ending, safe='')}"
