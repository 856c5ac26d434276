"""The formats by name, and how each is written to disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

from deeplab.checks import check_choice
from deeplab.errors import InputError
from deeplab.files import atomic_file, make_folder
from deeplab.formats.coco import coco_document
from deeplab.formats.cvat import write_cvat
from deeplab.formats.label_studio import label_studio_tasks
from deeplab.formats.labelled import Labelled
from deeplab.formats.options import DEFAULTS, Options
from deeplab.formats.yolo import yolo_lines, yolo_names
from deeplab.labels import LabelSet

Items = Iterable[Labelled]


class Format(NamedTuple):
    """One way to write label maps for another tool.

    Attributes:
        title: what it is.
        suffix: the ending of the file it writes; empty for a folder.
        write: takes the label maps, their label set, the target, the options, and whether to replace files.
    """

    title: str
    suffix: str
    write: Callable[[Items, LabelSet, Path, Options, bool], None]


def convert(items: Items, target: Path, to: str, options: Options = DEFAULTS, *, overwrite: bool = False) -> None:
    """Write label maps in another tool's format, one after the other: they are never all in memory.

    Args:
        items: the label maps, all of one label set.
        target: the file or folder to write.
        to: one of `FORMATS`.
        options: see `Options`.
        overwrite: replace existing files.

    Raises:
        InputError: there is no such format, there are no label maps, they differ in their label sets, two are of
            photos of one name, or the format cannot hold a class name.
        OutputError: the target's name has another ending, exists, or cannot be written.
    """
    chosen = FORMATS[check_choice(to, tuple(FORMATS), "format")]
    if chosen.suffix and target.suffix.lower() != chosen.suffix:
        raise InputError(
            f"{target}: {chosen.title} is written as a file that ends in {chosen.suffix}; name one with -o"
        )
    items = iter(items)
    first = next(items, None)
    if first is None:
        raise InputError("there are no label maps to convert; give some")
    chosen.write(_of_one_set(chain([first], items), first.label_set), first.label_set, target, options, overwrite)


def _of_one_set(items: Items, label_set: LabelSet) -> Iterator[Labelled]:
    names: set[str] = set()
    for item in items:
        if item.label_set != label_set:
            raise InputError(
                f"the label map of {item.photo} has label set {item.label_set.name!r}, the first one "
                f"{label_set.name!r}, with other names or colours; convert them apart, or give one by --names"
            )
        stem = PurePath(item.photo).stem
        if stem in names:
            raise InputError(f"two label maps are called {stem}; convert the folders apart")
        names.add(stem)
        yield item


def _write_json(content: Any, target: Path, overwrite: bool) -> None:
    with atomic_file(target, overwrite=overwrite) as file:
        file.write(json.dumps(content, ensure_ascii=False).encode())


def _coco(
    items: Items, label_set: LabelSet, target: Path, options: Options, overwrite: bool, *, segmentation: str
) -> None:
    _write_json(coco_document(items, label_set, options, segmentation=segmentation), target, overwrite)


def _yolo(items: Items, label_set: LabelSet, target: Path, options: Options, overwrite: bool) -> None:
    make_folder(target / "labels")
    for item in items:
        with atomic_file(target / "labels" / f"{PurePath(item.photo).stem}.txt", overwrite=overwrite) as file:
            file.write("".join(f"{line}\n" for line in yolo_lines(item, options)).encode())
    with atomic_file(target / "data.yaml", overwrite=overwrite) as file:
        file.write(yolo_names(label_set).encode())


def _cvat(items: Items, label_set: LabelSet, target: Path, options: Options, overwrite: bool) -> None:
    with atomic_file(target, overwrite=overwrite) as file:
        write_cvat(file, items, label_set, options)


def _label_studio(items: Items, label_set: LabelSet, target: Path, options: Options, overwrite: bool) -> None:
    _write_json(label_studio_tasks(items, options), target, overwrite)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "coco": Format("COCO with compressed run lengths", ".json", partial(_coco, segmentation="rle")),
        "coco-uncompressed": Format(
            "COCO with plain run lengths", ".json", partial(_coco, segmentation="uncompressed")
        ),
        "coco-polygons": Format("COCO with polygons", ".json", partial(_coco, segmentation="polygons")),
        "yolo": Format("YOLO's segmentation labels", "", _yolo),
        "cvat": Format('CVAT\'s "Segmentation mask 1.1"', ".zip", _cvat),
        "label-studio": Format("Label Studio's tasks", ".json", _label_studio),
    }
)
"""The formats by the names that `deeplab convert --to` takes."""
