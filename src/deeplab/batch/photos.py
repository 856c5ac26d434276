"""Which photos are meant: files, folders and globs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from deeplab.errors import DeepLabError, ImageError
from deeplab.files import expanded, is_file, is_folder
from deeplab.images import PHOTO_SUFFIXES, not_taken
from deeplab.label_maps import is_label_map

Photo = TypeVar("Photo")

MANIFEST_NAME = "manifest.jsonl"


def find_photos(arguments: Iterable[str], tell: Callable[[str], None] | None = None) -> Iterator[Path | DeepLabError]:
    """Yield the photos that files, folders and globs stand for, in order, each once.

    A folder gives the photos in it by name, not those in its subfolders, and not the results of an earlier run beside
    ``cat.jpg``: ``cat_overlay.jpg``, and ``cat.png`` if it is a palette PNG. Another ``cat.png`` is a photo, and
    `plan_jobs` reports the clash. An empty argument, and a folder or glob without photos, yields an ImageError in its
    place; a missing file is left for the reader to report.

    Args:
        arguments: paths and globs.
        tell: takes a line for each folder with files that are not taken: how many, which, and what to do.
    """
    return each_once(arguments, partial(photos_at, tell=tell))


def each_once(arguments: Iterable[str], photos_of: Callable[[str], Sequence[Photo]]) -> Iterator[Photo | DeepLabError]:
    """Yield the photos that arguments stand for, each once, and in the place of an argument without any its error."""
    seen: set[str] = set()
    for argument in arguments:
        try:
            photos = photos_of(argument)
        except OSError as error:
            yield ImageError(f"{argument}: {error.strerror}; give a photo, a folder or a glob")
            continue
        except ImageError as error:
            yield error
            continue
        for photo in photos:
            place = os.path.realpath(photo) if isinstance(photo, Path) else str(photo)
            if place not in seen:
                seen.add(place)
                yield photo


def photos_at(argument: str, tell: Callable[[str], None] | None) -> list[Path]:
    """Return the photos that a path or glob stands for, as `find_photos` does.

    Raises:
        OSError: no file can have such a name, or a folder cannot be read.
        ImageError: there are none.
    """
    if not argument:
        raise ImageError("an empty argument ('') names no photo; give a photo, a folder or a glob (. is this folder)")
    photos = expanded(argument, _photos_in)
    if is_folder(argument):
        left_out = what_is_not_taken(file.name for file in Path(argument).iterdir() if is_file(file))
        if not photos:
            raise no_photos(argument, left_out)
        if tell is not None:
            for line in left_out:
                tell(f"{argument}: {line}")
    if not photos:
        raise ImageError(f"{argument}: no file matches; check the pattern")
    return photos


def _photos_in(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.iterdir()) if is_photo_name(path.name) and is_file(path)]
    results = {folder / name for photo in files for name in result_names(photo.stem) if name != photo.name}
    return [path for path in files if path not in results or (path.suffix == ".png" and not is_label_map(path))]


def what_is_not_taken(names: Iterable[str]) -> list[str]:
    """Say which files of a folder are no photos, manifests apart: a line for each kind."""
    return not_taken((name for name in names if name != MANIFEST_NAME), PHOTO_SUFFIXES)


def no_photos(folder: str, left_out: Sequence[str]) -> ImageError:
    """Return the error of a folder in which nothing is taken, with what is there instead."""
    return ImageError(
        "; ".join((f"{folder}: no photos in this folder", *left_out, f"expected {', '.join(sorted(PHOTO_SUFFIXES))}"))
    )


def is_photo_name(name: str) -> bool:
    """Tell whether a file in a folder is taken for a photo: by its ending, and unless it is hidden."""
    return PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES and not name.startswith(".")


def result_names(stem: str) -> tuple[str, str]:
    """Return what the results of a photo called ``stem.*`` are called: the label map and the overlay."""
    return f"{stem}.png", f"{stem}_overlay.jpg"
