"""``deeplab masks-from-boxes``: label maps from boxes around things."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.options import NamesOption, ReaderOption, ThreadsOption, crf_options, run_jobs
from deeplab.data.folders import ALL
from deeplab.data.readers import AUTO
from deeplab.errors import DataError
from deeplab.progress import Reporter, reporter

if TYPE_CHECKING:
    from deeplab.boxes import BoxedPhoto


@crf_options("iterations")
def masks_from_boxes(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="The data set's folder, with photos and boxes.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder for the label maps.")],
    params: dict[str, float],
    boxes: Annotated[
        str,
        typer.Option(
            metavar="auto|DIR|FILE|masks",
            help="VOC's XML files, a COCO file, or masks to draw boxes around; if not given Annotations/*.xml, or else "
            "masks.",
        ),
    ] = AUTO,
    split: Annotated[str, typer.Option(metavar="NAME", help="Which part of the data set; all if not given.")] = ALL,
    reader: ReaderOption = AUTO,
    names: NamesOption = None,
    method: Annotated[
        str, typer.Option(metavar="bbox-seg|bbox-rect", help="Cut things out by the CRF, or fill the boxes.")
    ] = "bbox-seg",
    iterations: Annotated[int, typer.Option(min=0, help="Mean field updates.")] = 10,
    threads: ThreadsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing label maps.")] = False,
) -> None:
    """Make label maps of boxes around things: NAME.png in the classes' colours, one for each photo.

    Bbox-Seg (Papandreou et al. 2015) holds the middle fifth of each box to be its class and all outside the boxes to be
    background; the CRF decides on the rest. A photo that fails is reported and the others go on; the exit status is
    then 1.

    Examples:
        deeplab masks-from-boxes VOC2012 -o masks --split train
        deeplab masks-from-boxes photos -o masks --boxes photos/boxes.json
    """
    from deeplab.boxes import BOX_METHODS, mask_of, read_boxes
    from deeplab.boxes.masks import BBOX_SEG_CRF
    from deeplab.checks import choose
    from deeplab.files import make_folder
    from deeplab.images import read_image
    from deeplab.label_maps import write_label_map

    choose(method, BOX_METHODS, "method")
    crf = BBOX_SEG_CRF.changed({**params, "iterations": iterations})
    with reporter() as out:
        photos = read_boxes(data, split, boxes, reader=reader, names=names, show=out.show)
    if not photos:
        raise DataError(f"{data} has no photos with boxes in split {split!r}; check --split and --boxes")
    make_folder(output)

    def run(boxed: BoxedPhoto, out: Reporter) -> None:
        labels = mask_of(boxed, read_image(boxed.photo), method, crf, threads=threads)
        write_label_map(output / f"{boxed.name}.png", labels, boxed.label_set, overwrite=force)

    if run_jobs(method, photos, run):
        raise typer.Exit(1)
