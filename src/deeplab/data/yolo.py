"""YOLO's segmentation labels: a text file of outlines for each photo, drawn as label maps in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.data.coco_masks import draw_polygons
from deeplab.data.folders import Pair, files_below, find_pairs, images_by_name, sample_name
from deeplab.data.lists import read_text
from deeplab.data.names import NAMES_FILE
from deeplab.data.samples import Listing, Sample
from deeplab.errors import DataError, ImageError, InputError
from deeplab.images import read_image
from deeplab.labels import LabelSet

__all__ = ["read_yolo", "yolo_splits"]

BACKGROUND = "background"
_LABELS = frozenset((".txt",))
_NOT_LABELS = ("classes.txt", "notes.txt")


def read_yolo(root: Path, split: str) -> Listing:
    """YOLO segmentation: ``images/`` and ``labels/``, or either of ``<split>/images/`` and ``images/<split>/``.

    A line of ``labels/x.txt`` is ``class x y x y …``, x and y in 0–1 of the photo. The classes are the ``names`` of
    ``data.yaml``, or else the lines of ``classes.txt``; label 0 is the background, which YOLO has no number for, so
    that its class 0 is label 1. Later objects lie in front of earlier ones. A photo without a file shows no object.
    """
    pairs = _find(root)
    if split not in pairs:
        raise DataError(f"there is no folder {root / 'images' / split}; splits found: {', '.join(pairs) or 'none'}")
    source, classes = _class_names(root)
    try:
        label_set = LabelSet("yolo", tuple(dict.fromkeys((BACKGROUND, *classes))))
    except InputError as error:
        raise DataError(f"{source}: {error}") from None
    values = {name: value for value, name in enumerate(label_set.names)}
    number_of = [values[name] for name in classes]
    photos, labels = images_by_name(pairs[split].photos), images_by_name(pairs[split].labels, _LABELS)
    samples = [
        Sample(
            sample_name(PurePosixPath(name)), photo, labels.pop(name, photo), label_set,
            read=partial(draw_lines, photo=photo, values=tuple(number_of)),
        )
        for name, photo in photos.items()
    ]  # fmt: skip
    strays = tuple(path for path in labels.values() if path.name not in _NOT_LABELS)
    named_by = source if source.name == NAMES_FILE else None
    return Listing(pairs[split].photos, tuple(samples), strays, values, by_name=True, named_by=named_by)


def yolo_splits(root: Path) -> list[str]:
    """Return the splits of a folder in YOLO's layout."""
    return list(_find(root))


def draw_lines(path: Path, photo: Path, values: tuple[int, ...]) -> NDArray[np.uint8]:
    """Draw the objects of one photo: (H, W) uint8 values, 0 where there is none.

    Args:
        path: of the labels, or the photo itself where it has none.
        photo: whose size the mask has.
        values: YOLO's class → value.

    Raises:
        ImageError: the photo cannot be read, or a line of the labels is no outline.
    """
    height, width = read_image(photo).shape[:2]
    drawn = np.zeros((height, width), dtype=np.uint8)
    if path != photo:
        for number, polygon in _outlines(path, len(values)):
            drawn[draw_polygons([polygon * (width, height)], (height, width))] = values[number]
    return drawn


def _outlines(path: Path, count: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the class and the points of every line, (N, 2) x, y in 0–1."""
    try:
        lines = read_text(path).splitlines()
    except DataError as error:
        raise ImageError(str(error)) from None
    for line, words in enumerate((line.split() for line in lines), start=1):
        numbers = _numbers(words)
        if not words:
            continue
        if numbers is None or len(numbers) < 5 or not 0 <= numbers[0] < count or numbers[0] % 1:
            raise ImageError(f"{path}: line {line}: expected a class of 0–{count - 1} and points x y x y … in 0–1")
        if len(numbers) == 5:
            raise ImageError(f"{path}: line {line} is a box, not an outline; export outlines (segmentation), not boxes")
        if len(numbers) % 2 == 0:
            raise ImageError(f"{path}: line {line}: a point lacks its y; expected a class and points x y x y …")
        if np.abs(numbers[1:]).max() > 2:  # a little outside is usual
            raise ImageError(f"{path}: line {line}: points are pixels; divide x by the photo's width, y by its height")
        yield int(numbers[0]), numbers[1:].reshape(-1, 2)


def _numbers(words: list[str]) -> NDArray[np.float64] | None:
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _find(root: Path) -> dict[str, Pair]:
    """Split → its folders of photos and labels; none where the files are something else."""
    pairs = find_pairs(root, ("labels",), _LABELS)
    files = (path for pair in pairs.values() for path in files_below(pair.labels) if path.suffix.lower() in _LABELS)
    first = next((path for path in files if path.name not in _NOT_LABELS and path.stat().st_size), None)
    if first is None:
        return {}
    with first.open(encoding="utf-8-sig", errors="replace") as file:
        return pairs if _numbers(file.readline().split()[:5]) is not None else {}


def _class_names(root: Path) -> tuple[Path, list[str]]:
    """The classes in the order of their numbers, and the file that says so."""
    files = (*root.glob("*.yaml"), *root.glob("*.yml"))
    for path in sorted(files, key=lambda path: (path.stem != "data", path)):
        names = _names_in(path)
        if names is not None:
            return path, names
    for path in (root / NAMES_FILE, root / "labels" / NAMES_FILE):
        if path.is_file():
            return path, [line.strip() for line in read_text(path).splitlines() if line.strip()]
    raise DataError(
        f"{root / 'data.yaml'} is missing; write one that names the classes in order, e.g. names: [cat, dog]"
    )


def _names_in(path: Path) -> list[str] | None:
    """The ``names`` of a YAML file, a list or by number; None where it has none."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise InputError(f"reading {path} needs PyYAML: run pip install pyyaml") from None
    try:
        content: Any = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise DataError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DataError(f"{path}: names has the numbers {sorted(names)}; expected 0, 1, 2 … without a gap")
        names = [names[number] for number in range(len(names))]
    return [str(name) for name in names] if isinstance(names, list) else None
