"""``deeplab submit``: an archive for the VOC test server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.options import ModelOption, ThreadsOption
from deeplab.files import is_folder
from deeplab.progress import reporter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def submit(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The VOC development kit of the test photos.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The archive: .tgz, .tar.gz, .tar or .zip.")
    ] = Path("results.tgz"),
    split: Annotated[str, typer.Option(help="Which list of photos in ImageSets/Segmentation.")] = "test",
    ids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of photos of your own, one name a line.")
    ] = None,
    model: ModelOption = None,
    crf: Annotated[bool, typer.Option(help="Refine by the fully connected CRF.")] = True,
    predictions: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pack the label maps in this folder; no model is run.")
    ] = None,
    competition: Annotated[
        str, typer.Option(metavar="comp5|comp6", help="comp5: trained on VOC alone; comp6: on any data.")
    ] = "comp6",
    force: Annotated[bool, typer.Option("--force", help="Replace the archive.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Label the test photos of VOC 2012 and pack them as its server wants them.

    The archive holds results/VOC2012/Segmentation/comp6_test_cls/NAME.png, palette PNGs of the photos' sizes.

    Examples:
        deeplab submit --data data/voc2012 -o results.tgz
        deeplab submit --data data/voc2012 --predictions masks --competition comp5
    """
    from deeplab.checks import check_choice
    from deeplab.errors import InputError
    from deeplab.evaluation.submission import COMPETITIONS, read_ids, write_submission
    from deeplab.label_maps import read_label_map
    from deeplab.labels import VOC
    from deeplab.segment import Segmenter

    check_choice(competition, COMPETITIONS, "--competition")
    names = read_ids(ids or data / "ImageSets" / "Segmentation" / f"{split}.txt")
    if predictions is None:
        segmenter = Segmenter.from_pretrained(model, threads=threads)
        if segmenter.info.label_set.names != VOC.names:
            raise InputError(f"the model has the labels of {segmenter.info.label_set.name!r}; the server takes VOC's")

    photos = next((folder for folder in (data / "JPEGImages", data / "images") if is_folder(folder)), data)

    def label(photo: Path) -> NDArray[np.uint8]:
        if predictions is not None:
            return read_label_map(predictions / f"{photo.stem}.png")
        return segmenter.segment(photo, crf=crf).labels

    with reporter() as out:
        write_submission(
            output, names, photos, label,
            competition=competition, overwrite=force, show=out.show,
        )  # fmt: skip
        out.result(f"{output}: {len(names)} photos for {competition}")
