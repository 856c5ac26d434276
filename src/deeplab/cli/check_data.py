"""``deeplab check-data``: what would spoil training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.options import CrowdsOption, NamesOption, ReaderOption, ThreadsOption
from deeplab.progress import reporter


def check_data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The data set's folder.")],
    reader: ReaderOption = "auto",
    split: Annotated[str, typer.Option(metavar="A,B,…", help="The parts to check; all if not given.")] = "",
    names: NamesOption = None,
    crowds: CrowdsOption = "auto",
    examples: Annotated[int, typer.Option(min=0, help="Name so many files for each kind of finding.")] = 3,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write everything that was found here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Check labelled photos before training: missing, damaged or ill-fitting files, wrong labels, class frequencies.

    The exit status is 1 when there are problems.
    """
    from deeplab.checks import thread_count
    from deeplab.data.check import check_data as check
    from deeplab.data.check_report import format_report, to_json
    from deeplab.files import atomic_file, check_output

    if json_file is not None:
        check_output(json_file, overwrite=force)
    splits = tuple(part.strip() for part in split.split(",") if part.strip())
    with reporter() as out:
        report = check(
            folder, reader=reader, splits=splits, names=names, crowds=crowds, threads=thread_count(threads),
            show=out.show,
        )  # fmt: skip
    if json_file is not None:
        with atomic_file(json_file, overwrite=force) as file:
            file.write(json.dumps(to_json(report), indent=1, ensure_ascii=False).encode())
    print(format_report(report, examples))
    if report.problems:
        raise typer.Exit(1)
