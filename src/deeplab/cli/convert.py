"""``deeplab convert``: label maps as other tools' annotations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.options import read_label_set
from deeplab.errors import ImageError
from deeplab.files import expanded
from deeplab.progress import Reporter, reporter

if TYPE_CHECKING:
    from deeplab.formats import Labelled


def convert(
    label_maps: Annotated[
        list[str], typer.Argument(metavar="LABELMAP…", help="Label maps, folders of them, or globs.")
    ],
    to: Annotated[
        str,
        typer.Option(metavar="FORMAT", help="coco, coco-uncompressed, coco-polygons, yolo, cvat or label-studio."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE|DIR", help="A .json or .zip file; for yolo a folder.")
    ],
    names: Annotated[
        str | None,
        typer.Option(metavar="voc|camvid|FILE", help="Class names, if the label maps hold none: one a line, or JSON."),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The photos' folder, for their names; else NAME.jpg.")
    ] = None,
    photo_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="What to put before a photo's name: a path or address.")
    ] = "",
    instances: Annotated[
        str, typer.Option(metavar="none|connected", help="One annotation a class, or one a connected part of it.")
    ] = "none",
    tolerance_px: Annotated[float, typer.Option(help="How far polygons may move to have fewer points.")] = 0.0,
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
) -> None:
    """Write label maps in the format of another tool: COCO, YOLO, CVAT or Label Studio.

    Label maps that deeplab wrote hold their class names; others need --names.

    Examples:
        deeplab convert results --to coco -o photos.json
        deeplab convert masks --to yolo -o yolo --names classes.txt
    """
    from deeplab.checks import check_choice
    from deeplab.formats import Options, read_labelled
    from deeplab.formats import convert as write

    label_set = None if names is None else read_label_set(names, in_order=True)
    by_part = check_choice(instances, ("none", "connected"), "instances") == "connected"
    paths = [path for argument in label_maps for path in _label_maps(argument)]

    def read(out: Reporter) -> Iterator[Labelled]:
        for done, path in enumerate(paths, start=1):
            yield read_labelled(path, label_set, photos)
            out.show("converting", done, len(paths), "")

    with reporter() as out:
        write(read(out), output, to, Options(by_part, tolerance_px, photo_prefix), overwrite=force)
        out.result(f"{len(paths)} label map{'s' * (len(paths) > 1)} → {output}")


def _label_maps(argument: str) -> list[Path]:
    """Return the label maps that an argument stands for: of a folder, every PNG, TIFF, BMP and GIF."""
    from deeplab.label_maps import LABEL_MAP_SUFFIXES

    def files_in(folder: Path) -> list[Path]:
        named = (file for file in folder.iterdir() if file.name[0] != ".")
        return sorted(file for file in named if file.suffix.lower() in LABEL_MAP_SUFFIXES)

    found = expanded(argument, files_in)
    if not found:
        raise ImageError(f"{argument}: no label maps there; expected {', '.join(sorted(LABEL_MAP_SUFFIXES))}")
    return found
