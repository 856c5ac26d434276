"""The result of one photo: its label map and overlay as bytes, and facts worth saying of it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deeplab.batch.remote import RemotePhoto
from deeplab.checks import check_choice
from deeplab.crf import CRFSettings
from deeplab.errors import DeepLabError, ImageError, InputError
from deeplab.images import Reading, check_bands, check_range, encode_jpeg, read_photo
from deeplab.label_maps import encode_label_map
from deeplab.segment import Segmenter
from deeplab.views import QUALITIES


@dataclass(frozen=True)
class Settings:
    """How photos are segmented.

    >>> Settings(min_confidence=0.5).to_dict()["min_confidence"]
    0.5

    Attributes:
        crf: refine by the fully connected CRF as the model asks; or how else to.
        min_confidence: pixels whose label is less probable (0–1) become void; None: none do.
        quality: how photos are scored, a name in `deeplab.views.QUALITIES`.
        value_range: the values of photos that are black and white, as `deeplab.images.read_image` takes them.
        bands: the bands of photos that are read, as `deeplab.images.read_image` takes them.

    Raises:
        InputError: the confidence is outside 0–1, there is no such quality, or the range or the bands are unusable.
    """

    crf: bool | CRFSettings = True
    min_confidence: float | None = None
    quality: str = "fast"
    value_range: tuple[float, float] | None = None
    bands: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_range(self.value_range)
        check_bands(self.bands)
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise InputError(f"the least confidence must lie in 0–1, got {self.min_confidence}")
        check_choice(self.quality, tuple(QUALITIES), "quality")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        usual = {"value_range": None, "bands": None, "quality": "fast"}  # left out, as in earlier versions
        said = {name: value for name, value in asdict(self).items() if name not in usual or value != usual[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


@dataclass(frozen=True)
class Result:
    """A segmented photo, small enough to wait in line or to travel.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        classes: the share of pixels (0–1) of every class found, largest first; what they lack of 1 is void.
        confidence: the mean over all pixels of the probability of the most probable label, 0–1.
        seconds: the time it took, from reading the photo to the encoded results.
        label_map: a PNG.
        overlay: a JPEG; None where none was asked for.
        notes: what was assumed of the photo or left out, as in `deeplab.images.Reading`.
        value_range: the values that were taken for black and white, where the file's type does not say so.
    """

    width: int
    height: int
    classes: dict[str, float]
    confidence: float
    seconds: float
    label_map: bytes
    overlay: bytes | None
    notes: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None

    def facts(self) -> dict[str, Any]:
        """Return all but the results themselves as plain JSON values; what was assumed only where something was."""
        facts = asdict(self)
        del facts["label_map"], facts["overlay"]
        for name in ("notes", "value_range"):
            if not facts[name]:
                del facts[name]
        return facts


def segment_photo(
    segmenter: Segmenter, photo: Path | RemotePhoto, settings: Settings, *, overlay: bool = True
) -> Result:
    """Read and segment a photo, and encode the results.

    Raises:
        DeepLabError: the photo cannot be read, or does not fit in memory.
    """
    begun = time.perf_counter()
    try:
        reading = _read(photo, settings)
        found = segmenter.segment(reading.pixels, crf=settings.crf, quality=settings.quality)
        if settings.min_confidence is not None:
            found = found.with_min_confidence(settings.min_confidence)
        height, width = found.labels.shape
        return Result(
            width,
            height,
            found.shares(),
            float(found.confidence().mean()),
            label_map=encode_label_map(found.labels, found.label_set),
            overlay=encode_jpeg(np.asarray(found.overlay())) if overlay else None,
            seconds=time.perf_counter() - begun,
            notes=reading.notes,
            value_range=reading.value_range,
        )
    except MemoryError:
        raise ImageError(f"{photo} does not fit in memory; shrink it, or close other programs") from None


def _read(photo: Path | RemotePhoto, settings: Settings) -> Reading:
    if isinstance(photo, Path):
        return read_photo(photo, value_range=settings.value_range, bands=settings.bands)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "photo"
        copy.write_bytes(photo.read())
        try:
            return read_photo(copy, value_range=settings.value_range, bands=settings.bands)
        except DeepLabError as error:
            raise renamed(error, copy, photo) from None


def renamed(error: DeepLabError, found: Path, photo: Path | RemotePhoto) -> DeepLabError:
    """Return an error about the file that was found for a photo as one about the photo as it was given."""
    return type(error)(str(error).replace(str(found), str(photo)))
