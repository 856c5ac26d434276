"""A project's photos, segmented: corrected along the marks, or by the classes that the marks teach."""

from __future__ import annotations

import json
import os
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.crf import CRFSettings
from deeplab.documents import read_json
from deeplab.errors import ImageError, InputError, ModelError
from deeplab.files import atomic_file, atomic_files, is_file, sha256_of
from deeplab.images import read_image, read_photo, shrunk
from deeplab.label_maps import encode_label_map, read_label_map
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.segment import Segmenter
from deeplab.segmentation import Segmentation
from deeplab.teach.held import HeldCRF
from deeplab.teach.marks import Mark, draw, scaled
from deeplab.teach.project_file import ProjectPhoto, ProjectState
from deeplab.teach.teacher import Teacher

WORKING_SIDE_PX = 1024
"""The longest side of the copy of a photo that is worked on."""

_LOUDNESS = 100.0  # of strokes that correct: docs/teach.md has the measurements
_UNKNOWN = np.float32(1e-2)  # the probability, where nothing is marked, of a class that the model does not know
_MOST_LOOKS = 8  # that are kept in memory


class ProjectSegmenter:
    """Segments a project's photos as they are marked so far; what it saw of them is kept, so that a stroke is quick.

    >>> project = Project.open("cats", use="correct", classes=VOC)
    >>> photo = project.add("examples/cat.jpg")
    >>> found = ProjectSegmenter(project.folder).segment(project.state, photo.id)
    >>> list(found.shares())[0]
    'cat'
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        load: Callable[[str], Segmenter] = Segmenter.from_pretrained,
        threads: int | None = None,
    ) -> None:
        """Work in a project's folder.

        Args:
            folder: the project's, where copies of photos and their features are kept.
            load: gives the segmenter of a model's name.
            threads: at most this many; None: as many as DEEPLAB_THREADS says, or one per core.
        """
        self._folder, self._load, self._threads = Path(folder), load, threads
        self._held = HeldCRF(threads)
        self._looks: OrderedDict[tuple[str, str], Look] = OrderedDict()
        self._teacher: tuple[str, Teacher] | None = None
        self._taught: dict[Path, tuple[Mark, ...]] = {}

    def segment(
        self, state: ProjectState, photo_id: str, crf: Mapping[str, float] | bool = True, *, full: bool = False
    ) -> Segmentation:
        """Segment a photo.

        Args:
            state: what the project says.
            photo_id: which of its photos.
            crf: whether the CRF runs as the project has it; or which of its parameters are others, by name, distances
                in pixels of what the network sees.
            full: segment the photo itself, not the working copy of at most `WORKING_SIDE_PX`.

        Raises:
            ImageError: the photo's file is gone, or another one than was marked.
            InputError: fewer than two classes are taught, or a parameter is unusable.
            ModelError: there is no such model, or it has no trunk to teach by.
        """
        photo = state.photo(photo_id)
        settings = self.crf(state).changed(crf if isinstance(crf, Mapping) else {}) if crf is not False else None
        path = self.copy(photo)
        at = self.photo(photo) if full else None
        if state.use == "teach":
            return self._by_marks(state).segment(path, settings or False, at=at)
        look = self._look(state, photo, path)
        return self._held.segment(
            look if at is None else look.at(at),
            photo.sha256,
            lambda size: draw(photo.marks, photo.size, state.label_set, size),
            settings,
            _LOUDNESS,
        )

    def crf(self, state: ProjectState) -> CRFSettings:
        """Return how the CRF runs in a project, distances in pixels of what the network sees."""
        own = self._load(state.model).info.crf if state.use == "correct" else CRFSettings()
        return own.changed(state.crf)

    def save(self, state: ProjectState, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model file of the classes that are taught; see `Teacher.save`."""
        self._by_marks(state).save(path, overwrite=overwrite)

    def keep(self, state: ProjectState, photo_id: str, made_of: str) -> dict[str, Any]:
        """Segment a photo at its full size, and keep the label map in the project.

        Args:
            state: what the project says.
            photo_id: which of its photos.
            made_of: `Project.made_of`, by which it is known later whether the result is still the same.

        Returns:
            ``made_of``, and ``classes``: of each class found its index, name, share and mean confidence.
        """
        found = self.segment(state, photo_id, full=True)
        height, width = shrunk_size(found.labels.shape)
        confidence = np.rint(found.confidence() * 255).astype(np.uint8)
        small = b"".join(_sampled(plane, (height, width)).tobytes() for plane in (found.labels, confidence))
        sums = np.bincount(found.labels.ravel(), found.confidence().ravel(), 256)
        counts = np.bincount(found.labels.ravel(), minlength=256)
        classes = [
            {
                "index": (index := found.label_set.names.index(name)),
                "name": name,
                "share": round(share, 6),
                "confidence": round(float(sums[index] / counts[index]), 4),
            }
            for name, share in found.shares().items()
        ]
        about = {"made_of": made_of, "classes": classes}
        cached = self._folder / "cache" / photo_id
        paths = [Path(f"{cached}.json"), Path(f"{cached}.planes"), self._folder / "results" / f"{photo_id}.png"]
        with atomic_files(*paths, overwrite=True) as (of_about, of_planes, of_labels):
            of_about.write(json.dumps(about).encode())
            of_planes.write(zlib.compress(small, 1))
            of_labels.write(encode_label_map(found.labels, found.label_set))
        return about

    def labels(self, state: ProjectState, photo_id: str, made_of: str) -> NDArray[np.uint8]:
        """Return a photo's labels at its full size, (H, W) uint8: those kept, or new ones where they would differ."""
        path = self._folder / "results" / f"{photo_id}.png"
        if kept_result(self._folder, photo_id).get("made_of") != made_of or not is_file(path):
            self.keep(state, photo_id, made_of)
        return read_label_map(path)

    def copy(self, photo: ProjectPhoto) -> Path:
        """Return the working copy of a photo, a PNG, made where it is missing."""
        path = self._folder / "cache" / f"{photo.id}-{photo.sha256[:16]}.png"
        if not is_file(path):
            small = shrunk_to(self.photo(photo), WORKING_SIDE_PX)
            with atomic_file(path, overwrite=True) as file:
                Image.fromarray(small).save(file, format="PNG", compress_level=1)
        return path

    def photo(self, photo: ProjectPhoto) -> NDArray[np.uint8]:
        """Return the photo itself, (H, W, 3) uint8 RGB.

        Raises:
            ImageError: its file is gone, or another one than was marked.
        """
        path = self._folder / photo.file
        if not (is_file(path) and path.resolve().is_relative_to(self._folder.resolve())):
            raise ImageError(f"{photo.file} is gone from the project; put it back, or take it out")
        if sha256_of(path) != photo.sha256:
            raise ImageError(f"{photo.file} was replaced since it was marked; take it as it is now, or put it back")
        return read_photo(path).pixels

    def _look(self, state: ProjectState, photo: ProjectPhoto, path: Path) -> Look:
        """Return what the model sees in a photo, with further classes as unlikely ones."""
        key = state.model, path.name
        if key not in self._looks:
            self._looks[key] = self._load(state.model).look(read_image(path))
            while len(self._looks) > _MOST_LOOKS:
                self._looks.popitem(last=False)
        self._looks.move_to_end(key)
        return with_classes(self._looks[key], state.label_set)

    def _by_marks(self, state: ProjectState) -> Teacher:
        """Return a teacher that was given the project's marks."""
        if self._teacher is None or self._teacher[0] != state.model or len(state.label_set) < len(self._classes()):
            network = self._load(state.model).network
            try:
                teacher = Teacher(state.label_set, network.path, cache=self._folder / "cache", threads=self._threads)
            except ModelError:
                raise InputError(
                    f"the model {state.model!r} cannot teach, for it has no int8 trunk; choose a shipped one, or one "
                    "that `deeplab export --precision int8` made"
                ) from None
            self._teacher, self._taught = (state.model, teacher), {}
        teacher = self._teacher[1]
        if teacher.label_set != state.label_set:
            teacher.rename(state.label_set)
        marked = {self.copy(photo): photo for photo in state.photos.values() if photo.marks}
        for path in self._taught.keys() - marked.keys():
            teacher.replace(path, [])
            del self._taught[path]
        for path, photo in marked.items():
            if self._taught.get(path) != photo.marks:
                y, x = (small / whole for small, whole in zip(shrunk_size(photo.size), photo.size, strict=True))
                teacher.replace(path, [scaled(mark, y, x) for mark in photo.marks])
                self._taught[path] = photo.marks
        return teacher

    def _classes(self) -> LabelSet:
        assert self._teacher is not None
        return self._teacher[1].label_set


def kept_result(folder: Path, photo_id: str) -> dict[str, Any]:
    """Return what `ProjectSegmenter.keep` returned when it kept a photo's result last; {} where there is none."""
    path = folder / "cache" / f"{photo_id}.json"
    try:
        about = read_json(path) if is_file(path) else {}
    except InputError:  # it can be made again
        return {}
    return about if isinstance(about, dict) else {}


def kept_planes(folder: Path, photo_id: str) -> bytes | None:
    """Return the labels of a photo's kept result at the working copy's pixels, row by row, then their confidence."""
    path = folder / "cache" / f"{photo_id}.planes"
    try:
        return zlib.decompress(path.read_bytes()) if is_file(path) else None
    except (OSError, zlib.error):
        return None


def with_classes(look: Look, label_set: LabelSet) -> Look:
    """Return a look at a photo with the classes of a label set: the model's own, and unlikely ones after them.

    Raises:
        InputError: they are fewer than the model's.
    """
    known, more = len(look.scores), len(label_set) - len(look.scores)
    if more < 0:
        raise InputError(f"there are {len(label_set)} classes; the model has {known}")
    scores = look.scores
    if more:
        top = scores.max(axis=0)
        total = top + np.log(np.exp(scores - top).sum(axis=0))
        scores = np.concatenate([scores, np.broadcast_to(total + np.log(_UNKNOWN), (more, *total.shape))])
    return replace(look, scores=scores, info=replace(look.info, label_set=label_set))


def shrunk_to(photo: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Return a copy of a photo (H, W, 3) of at most so many pixels a side."""
    return shrunk(photo, side_px / max(photo.shape[:2]))


def shrunk_size(size: tuple[int, ...]) -> tuple[int, int]:
    """Return (h, w) of the working copy of a photo of (H, W)."""
    factor = min(1.0, WORKING_SIDE_PX / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _sampled(plane: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    rows, columns = (
        ((np.arange(small) + 0.5) * whole / small).astype(np.intp)
        for small, whole in zip(size, plane.shape, strict=True)
    )
    sampled: NDArray[np.uint8] = plane[rows[:, None], columns]
    return sampled
