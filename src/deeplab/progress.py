"""Progress of long work: a live bar where stderr is a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import NamedTuple, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Say = Callable[[str], None]
"""Takes a line that stays."""

Show = Callable[[str, int, int, str], None]
"""Takes how far a stage has come: its name, the steps done, all its steps, and facts in words."""

SECONDS_BETWEEN_LINES = 10.0


class Manner(NamedTuple):
    """How much is said, and where.

    Attributes:
        quiet: nothing but results and errors.
        verbose: of an error also where it arose.
        data: standard output is for data that another program reads; lines of results go to stderr.
    """

    quiet: bool = False
    verbose: bool = False
    data: bool = False


manner = ContextVar("manner", default=Manner())  # noqa: B039 (a NamedTuple)
"""The manner in which every `reporter` speaks."""


class Reporter(NamedTuple):
    """The ways to speak to whoever runs a command.

    Attributes:
        result: takes a line of the command's output, for stdout.
        say: takes a line about what happens, for stderr.
        show: takes progress, for stderr.
        error: takes what went wrong while other work goes on, for stderr.
    """

    result: Say
    say: Say
    show: Show
    error: Callable[[Exception], None]


def silent(*facts: object, **more: object) -> None:
    """Take what is said, or how far work has come, and keep it."""


@contextmanager
def reporter() -> Iterator[Reporter]:
    """Yield a `Reporter` whose lines stand above a live bar while one is shown."""
    quiet, verbose, data = manner.get()
    out, err = partial(_print, sys.stdout), partial(_print, sys.stderr)
    if quiet:
        yield Reporter(silent if data else out, silent, silent, partial(_complain, err))
        return
    if not sys.stderr.isatty():
        yield Reporter(err if data else out, err, plain_show(err), partial(_complain, err, verbose=verbose))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False)
    with bar:
        task = bar.add_task("starting", total=None, facts="")

        def show(stage: str, done: int, total: int, facts: str) -> None:
            bar.update(task, description=stage, completed=done, total=total, facts=facts)

        say = partial(bar.console.out, highlight=False)
        result = say if data or sys.stdout.isatty() else out
        yield Reporter(result, say, show, partial(_complain, say, verbose=verbose))


def _print(stream: TextIO, line: str) -> None:
    print(line, file=stream, flush=True)


def _complain(say: Say, error: Exception, *, verbose: bool = False) -> None:
    if verbose:
        say("".join(traceback.format_exception(error)).rstrip())
    say(f"error: {error}")


def plain_show(say: Say) -> Show:
    """Return a `Show` that says a line every ten seconds, and one at the end of a stage that took over a second."""
    said = begun = time.monotonic()

    def show(stage: str, done: int, total: int, facts: str) -> None:
        nonlocal said, begun
        now = time.monotonic()
        if now - said > SECONDS_BETWEEN_LINES or (done == total and now - begun > 1):
            said = now
            say(f"{stage} {done}/{total}  {facts}".rstrip())
        if done == total:
            begun = now

    return show


def duration(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
