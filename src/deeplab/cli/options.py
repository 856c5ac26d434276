"""What several commands share: options, output folders, jobs one by one, and advice where an extra is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from deeplab.errors import DeepLabError, InputError, OutputError
from deeplab.progress import Reporter, reporter

__all__ = ["ModelOption", "NamesOption", "ReaderOption", "ThreadsOption", "extra", "make_folder", "percent", "run_jobs"]

ModelOption = Annotated[
    str | None, typer.Option(metavar="NAME|PATH", help="A shipped model (see `deeplab models`) or an .onnx file.")
]
ReaderOption = Annotated[
    str, typer.Option(metavar="LAYOUT", help="Its layout: voc, camvid, folder, coco …; docs/data.md has all.")
]
NamesOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A names file; classes.txt in DIR, if any, if not given.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads to use; all cores if not given.")]

Job = TypeVar("Job")


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing package of the extra `name` into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this command needs {error.name}: run pip install '.[{name}]' in deeplab's folder") from None


def make_folder(folder: Path) -> None:
    """Make a folder for results, and those above it, unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}; choose another with -o") from error


def percent(share: float) -> str:
    """Return a share of 0–1 in words."""
    return f"{100 * share:.1f} %" if share >= 0.0005 or share == 0 else "<0.1 %"


def run_jobs(stage: str, plan: Sequence[Job | DeepLabError], run: Callable[[Job, Reporter], None]) -> None:
    """Run every job of a plan; what fails is reported and the others go on. The exit status is then 1."""
    failed = False
    with reporter() as out:
        for done, job in enumerate(plan, start=1):
            try:
                if isinstance(job, DeepLabError):
                    raise job
                run(job, out)
            except DeepLabError as error:
                failed = True
                out.say(f"error: {error}")
            out.show(stage, done, len(plan), "")
    if failed:
        raise typer.Exit(1)
