"""Stored scores: what a network said of each photo, on disk, so that CRF work never runs the network again.

A folder holds ``scores.json``, which says whose scores these are, and one ``<photo>.npz`` a photo: ``scores`` (L, h, w)
float16; ``photo_size`` and ``network_size``, both (2,) int32, height and width in pixels of the photo and of the copy
of it that the network saw; and ``photo_sha256``, of the photo's file, in hexadecimal digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.arrays import open_npz
from deeplab.data.samples import Sample
from deeplab.documents import parse_json, read_json
from deeplab.errors import MALFORMED, DataError, ImageError, InputError, ModelError, OutputError
from deeplab.files import atomic_file, is_file, make_folder, sha256_of
from deeplab.models import ModelInfo
from deeplab.progress import Show, silent
from deeplab.segment import Segmenter

_HEADER = "scores.json"
_FORMAT = 1


class PhotoScores(NamedTuple):
    """The scores of one photo.

    Attributes:
        scores: (L, h, w) float32, log-probabilities up to a constant per position.
        photo_size: (H, W) of the photo in pixels.
        network_size: (H, W) of the copy of it that the network saw.
        photo_sha256: of the photo's file, in hexadecimal digits.
    """

    scores: NDArray[np.float32]
    photo_size: tuple[int, int]
    network_size: tuple[int, int]
    photo_sha256: str


@dataclass(frozen=True)
class StoredScores:
    """A folder of stored scores.

    Attributes:
        folder: where they lie.
        info: what the model's file says about itself: labels, output stride, its CRF parameters.
        model_sha256: of the model's file, in hexadecimal digits.
    """

    folder: Path
    info: ModelInfo
    model_sha256: str

    def path(self, photo: str) -> Path:
        """Where the scores of a photo lie, by the photo's name."""
        return self.folder / f"{photo}.npz"

    def load(self, photo: str) -> PhotoScores:
        """Load the scores of a photo, by the photo's name.

        Raises:
            DataError: the file is missing, truncated, damaged, or not of this kind.
        """
        path = self.path(photo)
        if not is_file(path):
            raise DataError(f"{path} is missing; store the scores of all photos first")
        try:
            with open_npz(path) as archive:
                scores, *sizes = (archive[key] for key in ("scores", "photo_size", "network_size"))
                photo_sha256 = str(archive["photo_sha256"])
        except InputError as error:
            raise DataError(f"{path} is damaged or truncated ({error}); store the scores again") from None
        if scores.ndim != 3 or len(scores) != len(self.info.label_set) or any(size.shape != (2,) for size in sizes):
            wanted = f"({len(self.info.label_set)}, h, w)"
            raise DataError(f"{path} holds scores {scores.shape}, expected {wanted}; store the scores again")
        if not np.isfinite(scores).all():
            raise DataError(f"{path} holds NaN or infinite scores; store the scores again")
        photo_size, network_size = ((int(size[0]), int(size[1])) for size in sizes)
        return PhotoScores(scores.astype(np.float32), photo_size, network_size, photo_sha256)


def open_scores(folder: Path) -> StoredScores:
    """Open a folder of stored scores.

    Raises:
        DataError: it is none, or its ``scores.json`` is damaged.
    """
    header = folder / _HEADER
    if not is_file(header):
        raise DataError(f"{folder} holds no stored scores ({_HEADER} is missing); check the path")
    try:
        content = read_json(header)
        if content["format"] != _FORMAT:
            raise DataError(f"{header} has format {content['format']!r}, expected {_FORMAT}; store the scores again")
        return StoredScores(folder, ModelInfo.from_json(json.dumps(content["model"])), str(content["model_sha256"]))
    except (ModelError, *MALFORMED) as error:
        raise DataError(f"{header} is damaged ({error}); store the scores again with --force") from None


def store_scores(
    samples: Iterable[Sample],
    folder: Path,
    segmenter: Segmenter,
    *,
    force: bool = False,
    show: Show = silent,
) -> StoredScores:
    """Score photos and keep the scores; photos unchanged since, with intact scores, are not scored again.

    Args:
        samples: the photos; their masks are not read.
        folder: where the scores go, made if missing.
        segmenter: the model, which looks at them.
        force: replace the scores of another model in this folder.
        show: takes progress after each photo.

    Raises:
        ImageError: a photo cannot be read.
        ModelError: the network fails, or its scores are not finite float16 numbers (L, h, w).
        DataError: the folder's ``scores.json`` is damaged, and not `force`.
        OutputError: the folder holds another model's scores, and not `force`; or other archives; or cannot be written.
    """
    stored = _claim(StoredScores(folder, segmenter.info, segmenter.network.sha256), force)
    samples = list(samples)
    for done, sample in enumerate(samples, start=1):
        photo_sha256 = sha256_of(sample.photo, ImageError)
        if not _is_intact(stored, sample.name, photo_sha256):
            look = segmenter.look(sample.photo)
            scores = _compact(look.scores, sample, len(look.info.label_set))
            sizes = np.array([look.photo.shape[:2], look.seen], dtype=np.int32)
            with atomic_file(stored.path(sample.name), overwrite=True) as file:
                np.savez(
                    file, scores=scores, photo_size=sizes[0], network_size=sizes[1], photo_sha256=np.array(photo_sha256)
                )
        show("scoring", done, len(samples), "")
    return stored


def _claim(stored: StoredScores, force: bool) -> StoredScores:
    """Make the folder this model's own, unless it is another's."""
    folder = stored.folder
    make_folder(folder)
    try:
        old = sorted(folder.glob("*.npz"))
        if old and not is_file(folder / _HEADER):
            raise OutputError(f"{folder} holds .npz files that are no stored scores of ours; give another folder")
        if old and _is_foreign(stored, force):
            for path in old:
                path.unlink()
    except OSError as error:
        raise OutputError(f"cannot use folder {folder}: {error.strerror}; give another one") from None
    content = {"format": _FORMAT, "model_sha256": stored.model_sha256, "model": parse_json(stored.info.to_json())}
    with atomic_file(folder / _HEADER, overwrite=True) as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=1).encode())
    return stored


def _is_foreign(stored: StoredScores, force: bool) -> bool:
    """Whether the folder holds another model's scores, or no one can tell; that is an error unless `force`."""
    try:
        owner = open_scores(stored.folder)
    except DataError:
        if force:
            return True
        raise
    if owner.model_sha256 == stored.model_sha256:
        return False
    if force:
        return True
    raise OutputError(
        f"{stored.folder} holds scores of another model, {owner.info.name!r} ({owner.model_sha256[:12]}…), "
        f"not of {stored.info.name!r} ({stored.model_sha256[:12]}…); give another folder, or --force to replace them"
    )


def _is_intact(stored: StoredScores, photo: str, photo_sha256: str) -> bool:
    try:
        return stored.load(photo).photo_sha256 == photo_sha256
    except DataError:
        return False


def _compact(scores: NDArray[np.floating], sample: Sample, labels: int) -> NDArray[np.float16]:
    """Check scores and bring them to float16, the best at each position 0: there float16 is finest."""
    if scores.ndim != 3 or len(scores) != labels:
        raise ModelError(f"the network gave scores {scores.shape} for {sample.photo}, expected ({labels}, h, w)")
    with np.errstate(over="ignore", invalid="ignore"):
        compact: NDArray[np.float16] = (scores - scores.max(axis=0)).astype(np.float16)
    if not np.isfinite(compact).all():
        raise ModelError(f"the network gave NaN or huge scores for {sample.photo}; its weights may be damaged")
    return compact
