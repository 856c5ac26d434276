"""``deeplab segment``: photos in, label maps out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.options import ModelOption, ThreadsOption, make_folder, percent, run_jobs
from deeplab.progress import Reporter

__all__ = ["segment"]


def segment(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO…", help="Photos, folders of photos, or globs.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results, made if missing.")
    ] = Path(),
    model: ModelOption = None,
    crf: Annotated[bool, typer.Option(help="Refine by the fully connected CRF.")] = True,
    overlay: Annotated[bool, typer.Option(help="Also write the photo tinted by class.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Segment photos: write NAME.png (labels) and NAME_overlay.jpg, and print the classes found.

    Results go to the current folder, or to the one that -o names. An earlier result is replaced with --force only, a
    photo never. A photo that fails is reported and the others go on; the exit status is then 1.
    """
    from deeplab.batch import Job, find_photos, plan_jobs
    from deeplab.segment import Segmenter

    make_folder(output)
    plan = plan_jobs(find_photos(photos), output, overlay=overlay, overwrite=force)
    segmenter = Segmenter.from_pretrained(model, threads=threads)

    def run(job: Job, out: Reporter) -> None:
        shares = job.run(segmenter, crf=crf, overwrite=force).shares()
        classes = ", ".join(f"{name} {percent(share)}" for name, share in shares.items())
        out.result(f"{job.photo} → {', '.join(map(str, job.outputs))}: {classes}")

    run_jobs("segmenting", plan, run)
