"""``deeplab cutout``: photos in, things on a transparent ground out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.options import ModelOption, ThreadsOption, run_jobs
from deeplab.cli.streams import names_file
from deeplab.errors import ImageError, InputError, OutputError
from deeplab.files import make_output
from deeplab.progress import Reporter, reporter

if TYPE_CHECKING:
    from deeplab.segmentation import Segmentation

_THING = "thing"


def cutout(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO…", help="Photos, folders or globs.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR|FILE", help="Folder for the results, or one photo's FILE.png."),
    ] = Path(),
    kept: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="NAME", help="Keep this class; may be repeated. All but the background if not given."
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="X0,Y0,X1,Y1", help="Keep the thing in this box, whatever it is; pixels of the photo."),
    ] = None,
    model: ModelOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Cut things out of photos: write NAME_cutout.png, transparent around them, with a soft edge.

    A photo in which nothing of the kind is found, or which cannot be read, is reported and the others go on; the exit
    status is then 1.

    Examples:
        deeplab cutout dog.jpg                       dog_cutout.png, the dog alone
        deeplab cutout photos -o cut --class person  of each the people alone
        deeplab cutout cup.jpg --box 40,30,200,180   whatever is in the box
    """
    from deeplab.batch.photos import find_photos
    from deeplab.cutout import cutout as cut_out
    from deeplab.cutout import write_cutout

    segment = _in_box(box, model, threads) if box else _by_class(kept, model, threads)
    if box and kept:
        raise InputError("--box keeps whatever is in the box, and --class a class; give one of the two")
    with reporter() as out:
        found = list(find_photos(photos, out.say))
    if names_file(output) and output.suffix.lower() != ".png":
        raise OutputError(f"{output}: cut-outs are written as PNG; let the name end in .png, or name a folder")
    folder, stem = make_output(output, len(found), is_file=names_file(output))

    def run(photo: Path, out: Reporter) -> None:
        result, labels = segment(photo)
        target = folder / f"{stem or photo.stem + '_cutout'}.png"
        share = sum(result.shares().get(result.label_set.names[label], 0.0) for label in labels)
        if share == 0:
            names = ", ".join(result.label_set.names[label] for label in labels)
            raise ImageError(f"{photo}: nothing found of {names}; name a box around the thing (--box X0,Y0,X1,Y1)")
        write_cutout(target, cut_out(result, labels), photo=photo, overwrite=force)
        out.result(f"{photo} → {target}: {100 * share:.1f} % of it")

    if run_jobs("cutting out", found, run):
        raise typer.Exit(1)


def _by_class(
    names: list[str] | None, model: str | None, threads: int | None
) -> Callable[[Path], tuple[Segmentation, list[int]]]:
    from deeplab.checks import choose
    from deeplab.segment import Segmenter

    segmenter = Segmenter.from_pretrained(model, threads=threads)
    label_set = segmenter.info.label_set
    table = {name: label for label, name in enumerate(label_set.names)}
    wanted = [name for name in label_set.names if table[name] != label_set.background] if names is None else names
    labels = [choose(name, table, "class") for name in wanted]
    return lambda photo: (segmenter.segment(photo), labels)


def _in_box(box: str, model: str | None, threads: int | None) -> Callable[[Path], tuple[Segmentation, list[int]]]:
    from deeplab.teach import Box, Teacher

    try:
        x0, y0, x1, y1 = map(float, box.split(","))
    except ValueError:
        raise InputError(f"expected --box X0,Y0,X1,Y1 in pixels, such as 40,30,200,180, got {box!r}") from None
    around = Box(_THING, x0, y0, x1, y1)

    def segment(photo: Path) -> tuple[Segmentation, list[int]]:
        teacher = Teacher(("background", _THING), model, threads=threads)
        teacher.mark(photo, around)
        return teacher.segment(photo), [1]

    return segment
