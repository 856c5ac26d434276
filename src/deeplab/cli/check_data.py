"""``deeplab check-data``: what would spoil training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.manners import JsonOption, json_output
from deeplab.cli.options import CrowdsOption, NamesOption, ReaderOption, ThreadsOption
from deeplab.progress import reporter


def check_data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The data set's folder.")],
    reader: ReaderOption = "auto",
    split: Annotated[str, typer.Option(metavar="A,B,…", help="The parts to check; all if not given.")] = "",
    names: NamesOption = None,
    crowds: CrowdsOption = "auto",
    examples: Annotated[int, typer.Option(min=0, help="Name so many files for each kind of finding.")] = 3,
    as_json: JsonOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Check labelled photos before training: missing, damaged or ill-fitting files, wrong labels, class frequencies.

    The exit status is 1 when there are problems.

    Examples:
        deeplab check-data data/camvid
        deeplab check-data photos --reader folder --json > found.json
    """
    from deeplab.checks import thread_count
    from deeplab.data.check import check_data as check
    from deeplab.data.check_report import format_report, to_json

    splits = tuple(part.strip() for part in split.split(",") if part.strip())
    with json_output("check-data", asked=as_json) as document, reporter() as out:
        report = check(
            folder, reader=reader, splits=splits, names=names, crowds=crowds, threads=thread_count(threads),
            show=out.show,
        )  # fmt: skip
        document["result"] = to_json(report)
        out.result(format_report(report, examples))
    if report.problems:
        raise typer.Exit(1)
