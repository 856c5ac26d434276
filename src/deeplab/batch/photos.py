"""Which photos are meant: files, folders and globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from deeplab.errors import DeepLabError, ImageError
from deeplab.files import is_file, is_folder
from deeplab.images import PHOTO_SUFFIXES, not_taken
from deeplab.label_maps import is_label_map

__all__ = ["MANIFEST_NAME", "find_photos", "is_photo_name", "no_photos", "result_names", "what_is_not_taken"]

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
    seen: set[str] = set()
    for argument in arguments:
        try:
            photos = _expand(argument, tell)
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


def _expand(argument: str, tell: Callable[[str], None] | None) -> list[Path]:
    if not argument:
        raise ImageError("an empty argument ('') names no photo; give a photo, a folder or a glob (. is this folder)")
    path = Path(argument)
    if is_folder(path):
        photos, left_out = _photos_in(path), what_is_not_taken(file.name for file in path.iterdir() if is_file(file))
        if not photos:
            raise no_photos(argument, left_out)
        if tell is not None:
            for line in left_out:
                tell(f"{argument}: {line}")
        return photos
    if glob.has_magic(argument) and not path.exists():
        matches = glob.glob(argument, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
        photos = [Path(match) for match in sorted(matches) if is_file(match)]
        if not photos:
            raise ImageError(f"{argument}: no file matches; check the pattern")
        return photos
    return [path]


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
