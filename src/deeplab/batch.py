"""Many photos in, files out: which photos are meant, where their results go, and never over one another."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deeplab.errors import DeepLabError, ImageError, OutputError
from deeplab.files import check_output
from deeplab.images import PHOTO_SUFFIXES, is_label_map, write_jpeg
from deeplab.segment import Segmentation, Segmenter

__all__ = ["Job", "find_photos", "plan_jobs"]


@dataclass(frozen=True)
class Job:
    """One photo and the files it becomes.

    Attributes:
        photo: the photo's path.
        label_map: where its label map goes, ``NAME.png``.
        overlay: where its overlay goes, ``NAME_overlay.jpg``, or None for no overlay.
    """

    photo: Path
    label_map: Path
    overlay: Path | None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files to write."""
        return (self.label_map,) if self.overlay is None else (self.label_map, self.overlay)

    def run(self, segmenter: Segmenter, *, crf: bool = True, overwrite: bool = False) -> Segmentation:
        """Segment the photo and write its files.

        Raises:
            DeepLabError: the photo cannot be read, does not fit in memory, or a result cannot be written.
        """
        try:
            result = segmenter.segment(self.photo, crf=crf)
        except MemoryError:
            raise ImageError(f"{self.photo} does not fit in memory; shrink it, or close other programs") from None
        result.save(self.label_map, overwrite=overwrite)
        if self.overlay is not None:
            write_jpeg(self.overlay, np.asarray(result.overlay()), overwrite=overwrite)
        return result


def find_photos(arguments: Iterable[str]) -> Iterator[Path | DeepLabError]:
    """Yield the photos that files, folders and globs stand for, in order, each once.

    A folder gives the photos in it by name, not those in its subfolders, and not the results of an earlier run beside
    ``cat.jpg``: ``cat_overlay.jpg``, and ``cat.png`` if it is a palette PNG. Another ``cat.png`` is a photo, and
    `plan_jobs` reports the clash. An empty argument, and a folder or glob without photos, yields an ImageError in its
    place; a missing file is left for the reader to report.
    """
    seen: set[str] = set()
    for argument in arguments:
        try:
            photos = _expand(argument)
        except OSError as error:
            yield ImageError(f"{argument}: {error.strerror}; give a photo, a folder or a glob")
            continue
        except ImageError as error:
            yield error
            continue
        for photo in photos:
            place = os.path.realpath(photo)
            if place not in seen:
                seen.add(place)
                yield photo


def _expand(argument: str) -> list[Path]:
    if not argument:
        raise ImageError("an empty argument ('') names no photo; give a photo, a folder or a glob (. is this folder)")
    path = Path(argument)
    if path.is_dir():
        photos = _photos_in(path)
        if not photos:
            raise ImageError(f"{argument}: no photos in this folder; expected {', '.join(sorted(PHOTO_SUFFIXES))}")
        return photos
    if glob.has_magic(argument) and not path.exists():
        matches = glob.glob(argument, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
        photos = [Path(match) for match in sorted(matches) if Path(match).is_file()]
        if not photos:
            raise ImageError(f"{argument}: no file matches; check the pattern")
        return photos
    return [path]


def _photos_in(folder: Path) -> list[Path]:
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    results = {output for photo in files for output in _job(photo, folder, overlay=True).outputs if output != photo}
    return [path for path in files if path not in results or (path.suffix == ".png" and not is_label_map(path))]


def _job(photo: Path, folder: Path, *, overlay: bool) -> Job:
    return Job(photo, folder / f"{photo.stem}.png", folder / f"{photo.stem}_overlay.jpg" if overlay else None)


def plan_jobs(
    found: Iterable[Path | DeepLabError], folder: Path, *, overlay: bool = True, overwrite: bool = False
) -> list[Job | DeepLabError]:
    """Decide where each photo's results go; what may not be written becomes an OutputError in that photo's place.

    Args:
        found: what `find_photos` yields; errors pass through.
        folder: where the results go.
        overlay: whether overlays are written.
        overwrite: replace existing files; never a photo, and never another photo's result.
    """
    found = list(found)
    photos = {os.path.realpath(photo) for photo in found if isinstance(photo, Path)}
    owner: dict[Path, Path] = {}

    def plan(photo: Path) -> Job | OutputError:
        job = _job(photo, folder, overlay=overlay)
        for output in job.outputs:
            if os.path.realpath(output) in photos:
                return OutputError(f"{photo}: its result would replace the photo {output}; choose a folder with -o")
            if output in owner:
                return OutputError(
                    f"{photo}: its result {output} is already that of {owner[output]}; "
                    "segment the two into separate folders with -o"
                )
            try:
                check_output(output, overwrite=overwrite)
            except OutputError as error:
                return error
        owner.update(dict.fromkeys(job.outputs, photo))
        return job

    return [plan(item) if isinstance(item, Path) else item for item in found]
