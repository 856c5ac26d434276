"""YOLO's segmentation labels: a text file of outlines for each photo, drawn as label maps in the order of the file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.data.coco_masks import check_outlines, draw_polygons
from deeplab.data.folders import Pair, files_below, find_pairs, images_by_name, names_elsewhere, sample_name
from deeplab.data.lists import read_text
from deeplab.data.names import NAMES_FILE
from deeplab.data.samples import Listing, Remark, Sample
from deeplab.errors import DataError, InputError
from deeplab.files import is_file, is_folder
from deeplab.images import read_image
from deeplab.labels import LabelSet
from deeplab.yaml_documents import read_yaml

BACKGROUND, VOID = "background", 255
_LABELS = frozenset((".txt",))
_NOT_LABELS = ("classes.txt", "notes.txt")
_FARTHEST = 2  # in sides of the photo; a little outside is usual, pixels are not

Points = NDArray[np.float32]


def read_yolo(root: Path, split: str) -> Listing:
    """YOLO segmentation: ``images/`` and ``labels/``, or either of ``<split>/images/`` and ``images/<split>/``.

    A line of ``labels/x.txt`` is ``class x y x y …``, x and y in 0–1 of the photo. The classes are the ``names`` of
    ``data.yaml``, which may also say in which folders ``train``, ``val`` and ``test`` lie, or else the lines of
    ``classes.txt``; label 0 is the background, which YOLO has no number for, so
    that its class 0 is label 1. Later objects lie in front of earlier ones. A photo without a file shows no object. A
    line that is no outline is void in its box; where it has none, it is left out.
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
    photos, labels = images_by_name(pairs[split].photos), images_by_name(pairs[split].labels, _LABELS)
    samples, remarks, found = [], list[Remark](), 0
    for name, photo in photos.items():
        path = labels.pop(name, None)
        objects, lost = ([], []) if path is None else _read_objects(path, [values[kind] for kind in classes])
        read = partial(draw_objects, photo=photo, objects=tuple(objects))
        samples.append(Sample(sample_name(PurePosixPath(name)), photo, path or photo, label_set, read=read))
        remarks += [Remark("objects", samples[-1].name, said) for said in lost]
        found += sum(value != label_set.void for value, _ in objects)
    if remarks and not found:
        raise DataError(
            f"{pairs[split].labels}: none of its objects can be drawn ({remarks[0].detail.partition(';')[0]}); export "
            "outlines (segmentation), not boxes"
        )
    others = names_elsewhere(pairs, split)
    strays = tuple(path for path in labels.values() if path.name not in _NOT_LABELS and path.stem not in others)
    named_by = source if source.name == NAMES_FILE else None
    return Listing(
        pairs[split].photos, tuple(samples), strays, values, by_name=True, named_by=named_by, remarks=tuple(remarks)
    )


def yolo_splits(root: Path) -> list[str]:
    """Return the splits of a folder in YOLO's layout."""
    return list(_find(root))


def draw_objects(path: Path, photo: Path, objects: Sequence[tuple[int, Points]]) -> NDArray[np.uint8]:
    """Draw the objects of one photo one over another: (H, W) uint8 values, 0 where there is none.

    Args:
        path: of the labels; they have been read already.
        photo: whose size the mask has.
        objects: (value, outline) of each, the points (N, 2) x, y in 0–1.

    Raises:
        ImageError: the photo cannot be read, or the outlines are beyond drawing.
    """
    height, width = read_image(photo).shape[:2]
    check_outlines(path, (outline * (width, height) for _, outline in objects), height)
    drawn = np.zeros((height, width), dtype=np.uint8)
    for value, outline in objects:
        drawn[draw_polygons([outline * (width, height)], (height, width))] = value
    return drawn


def _read_objects(path: Path, values: Sequence[int]) -> tuple[list[tuple[int, Points]], list[str]]:
    """The value and outline of every line, and what is said of those that are none; they are void where they lie."""
    objects, lost = list[tuple[int, Points]](), list[str]()
    for line, words in enumerate((line.split() for line in read_text(path).splitlines()), start=1):
        if not words:
            continue
        numbers = _numbers(words)
        wrong = _what_is_wrong(numbers, len(values))
        outline = None if numbers is None else _outline(numbers[1:])
        if wrong:
            lost.append(f"line {line}: {wrong}; {'left out' if outline is None else 'void there'}")
        if outline is not None:
            objects.append((VOID if wrong or numbers is None else values[int(numbers[0])], outline))
    return objects, lost


def _what_is_wrong(numbers: NDArray[np.float64] | None, classes: int) -> str:
    """What is wrong with a line, in words."""
    if numbers is None or len(numbers) < 5:
        return "expected a class and points x y x y …"
    if not 0 <= numbers[0] < classes or numbers[0] % 1:
        return f"its class is {numbers[0]:g}; expected 0–{classes - 1}"
    if len(numbers) == 5:
        return "it is a box, not an outline"
    if _outline(numbers[1:]) is None:
        return "expected points x y x y … in 0–1 of the photo's sides"
    return ""


def _outline(numbers: NDArray[np.float64]) -> Points | None:
    """The points (N, 2) of an outline x y x y …, or of a box by its centre and sides; None for anything else."""
    if len(numbers) < 4 or len(numbers) % 2 or np.abs(numbers).max() > _FARTHEST:
        return None
    if len(numbers) > 4:
        return numbers.reshape(-1, 2).astype(np.float32)
    return (numbers[:2] + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * numbers[2:]).astype(np.float32)


def _numbers(words: list[str]) -> NDArray[np.float64] | None:
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _find(root: Path) -> dict[str, Pair]:
    """Split → its folders of photos and labels; none where the files are something else."""
    pairs = find_pairs(root, ("labels",), _LABELS)
    known = {pair.photos.resolve() for pair in pairs.values()}
    pairs |= {split: pair for split, pair in _splits_said(root).items() if pair.photos.resolve() not in known}
    files = (path for pair in pairs.values() for path in files_below(pair.labels) if path.suffix.lower() in _LABELS)
    first = next((path for path in files if path.name not in _NOT_LABELS and path.stat().st_size), None)
    if first is None:
        return {}
    with first.open(encoding="utf-8-sig", errors="replace") as file:
        return pairs if _numbers(file.readline().split()[:5]) is not None else {}


def _splits_said(root: Path) -> dict[str, Pair]:
    """The splits whose folders of photos ``data.yaml`` names, below its ``path`` or its own folder, ``..`` or not.

    Labels lie where ``labels`` stands in place of the last ``images`` of the path, or beside the photos.
    """
    try:
        content = _content(root / "data.yaml") if is_file(root / "data.yaml") else None
    except (DataError, InputError):
        return {}
    said = content if isinstance(content, dict) else {}
    tops = [root / str(said.get("path") or ""), root]
    found: dict[str, Pair] = {}
    for split in ("train", "val", "test"):
        named = str(said.get(split) or "").replace("\\", "/")
        inside = "/".join(part for part in named.split("/") if part not in ("..", "."))
        places = (*(top / named for top in tops), root / inside)
        photos = next((place for place in places if named and is_folder(place)), None)
        if photos is not None and photos.resolve() != root.resolve():
            parts = photos.parts[::-1]
            at = len(parts) - 1 - parts.index("images") if "images" in parts else None
            labels = photos if at is None else Path(*photos.parts[:at], "labels", *photos.parts[at + 1 :])
            found |= {split: Pair(photos, labels)} if is_folder(labels) else {}
    return found


def _class_names(root: Path) -> tuple[Path, list[str]]:
    """The classes in the order of their numbers, and the file that says so."""
    files = (*root.glob("*.yaml"), *root.glob("*.yml"))
    for path in sorted(files, key=lambda path: (path.stem != "data", path)):
        names = _names_in(path)
        if names is not None:
            return path, names
    for path in (root / NAMES_FILE, root / "labels" / NAMES_FILE):
        if is_file(path):
            return path, [line.strip() for line in read_text(path).splitlines() if line.strip()]
    raise DataError(
        f"{root / 'data.yaml'} is missing; write one that names the classes in order, e.g. names: [cat, dog]"
    )


def _names_in(path: Path) -> list[str] | None:
    """The ``names`` of a YAML file, a list or by number; None where it has none."""
    content = _content(path)
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise DataError(f"{path}: names has the numbers {str(list(names))[:80]}; expected 0, 1, 2 … without a gap")
        names = [names[number] for number in range(len(names))]
    return [str(name) for name in names] if isinstance(names, list) else None


def _content(path: Path) -> Any:
    """What a YAML file holds."""
    try:
        return read_yaml(path)
    except InputError as error:
        raise DataError(str(error)) from None
