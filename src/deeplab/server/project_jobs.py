"""The worker's computations for projects: each a function of the `JobContext`, sent as a `functools.partial` of it."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, ZipFile

from deeplab.errors import ModelError
from deeplab.formats import FORMATS, Labelled, convert
from deeplab.images import encode_jpeg, overlay_image, read_image
from deeplab.label_maps import encode_label_map
from deeplab.segment import Segmenter
from deeplab.server import pictures
from deeplab.server.page_jobs import as_bytes
from deeplab.server.uploads import Upload, read_photo
from deeplab.server.worker import JobContext
from deeplab.teach import ProjectPhoto, ProjectSegmenter, ProjectState
from deeplab.teach.project_segmenter import shrunk_to

THUMBNAIL_SIDE_PX = 160

_MOST_OPEN = 2  # projects, in each worker

_segmenters: OrderedDict[Path, ProjectSegmenter] = OrderedDict()  # the worker's own, the last used at the end


@dataclass(frozen=True)
class At:
    """A project as a job finds it.

    Attributes:
        folder: the project's.
        state: what it says.
    """

    folder: Path
    state: ProjectState


class Facts(NamedTuple):
    """What a photo's file is: (H, W) of it, upright, and what was assumed of it."""

    size: tuple[int, int]
    notes: tuple[str, ...]


def look_at(context: JobContext, *, photo: Upload) -> Facts:
    """Decode a photo's file.

    Raises:
        ImageError: it cannot be read or is too large.
    """
    reading = read_photo(photo)
    return Facts(reading.pixels.shape[:2], reading.notes)


def copy_of(context: JobContext, *, at: At, photo: ProjectPhoto, side_px: int | None) -> bytes:
    """Return the working copy of a photo as JPEG, or a smaller one.

    Raises:
        ImageError: its file is gone or another one.
    """
    copy = read_image(_segmenter(context, at).copy(photo))
    return encode_jpeg(copy if side_px is None else shrunk_to(copy, side_px))


def segment(context: JobContext, *, at: At, photo_id: str, crf: Mapping[str, float] | bool) -> bytes:
    """Segment the working copy of a photo, and return it as `page_jobs.as_bytes` does.

    Raises:
        ImageError, InputError, ModelError: as `ProjectSegmenter.segment` raises them.
    """
    return as_bytes(_segmenter(context, at).segment(at.state, photo_id, crf))


def keep(context: JobContext, *, at: At, photo_id: str, made_of: str) -> dict[str, Any]:
    """Segment a photo at its full size and keep the result; see `ProjectSegmenter.keep`."""
    return _segmenter(context, at).keep(at.state, photo_id, made_of)


def draw(context: JobContext, *, at: At, photo_id: str, made_of: str, picture: str, wanted: Sequence[int]) -> bytes:
    """Return one of `pictures.PICTURES` of a photo at its full size, with the labels that are wanted; () for all."""
    segmenter = _segmenter(context, at)
    if picture == "cutout":
        return pictures.PICTURES["cutout"].render(segmenter.segment(at.state, photo_id, full=True), wanted)
    labels, label_set = segmenter.labels(at.state, photo_id, made_of), at.state.label_set
    if picture == "mask":
        return encode_label_map(pictures.only(labels, wanted, label_set), label_set)
    photo = segmenter.photo(at.state.photos[photo_id])
    return encode_jpeg(overlay_image(photo, pictures.only(labels, wanted, label_set), label_set))


def refresh(context: JobContext, *, at: At, photo_id: str, made_of: str) -> None:
    """Keep a photo's result, unless the one that is kept would be the same."""
    _segmenter(context, at).labels(at.state, photo_id, made_of)


def annotated(context: JobContext, *, at: At, photos: Mapping[str, str], made_of: Mapping[str, str], to: str) -> bytes:
    """Return photos' label maps as another tool's annotations, a file, or of several files a zip archive.

    Args:
        context: the worker's networks and limits.
        at: the project.
        photos: by id the names that are written, no two of one stem.
        made_of: by id, see `ProjectSegmenter.labels`.
        to: one of `deeplab.formats.FORMATS`.

    Raises:
        InputError: the format cannot hold a class's name.
    """
    segmenter = _segmenter(context, at)

    def labelled(photo_id: str) -> Labelled:
        labels = segmenter.labels(at.state, photo_id, made_of[photo_id])
        context.step()
        return Labelled(photos[photo_id], labels, at.state.label_set)

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"annotations{FORMATS[to].suffix}"
        convert(map(labelled, photos), target, to)
        if target.is_file():
            return target.read_bytes()
        return zipped({path.relative_to(target).as_posix(): path for path in sorted(target.rglob("*.*"))}, folder)


def model_file(context: JobContext, *, at: At, name: str) -> bytes:
    """Return the model file of the classes that are taught."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        _segmenter(context, at).save(at.state, path)
        return path.read_bytes()


def zipped(files: Mapping[str, Path], folder: str) -> bytes:
    """Return files by their names as a zip archive, made in a folder."""
    archive = Path(folder) / "archive.zip"
    with ZipFile(archive, "w", ZIP_STORED) as target:
        for name, path in files.items():
            target.write(path, name)
    return archive.read_bytes()


def _segmenter(context: JobContext, at: At) -> ProjectSegmenter:
    """Return what this worker has open of a project; another worker, or a new one, opens it again."""

    def load(name: str) -> Segmenter:
        if name not in context.segmenters:
            raise ModelError(f"there is no model {name!r}; served are {', '.join(context.segmenters)}")
        return context.segmenters[name]

    found = _segmenters.pop(at.folder, None) or ProjectSegmenter(at.folder, load, context.threads)
    _segmenters[at.folder] = found
    while len(_segmenters) > _MOST_OPEN:
        _segmenters.popitem(last=False)
    return found
