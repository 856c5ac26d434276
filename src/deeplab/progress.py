"""Progress of long work: a live bar where stderr is a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Say = Callable[[str], None]
"""Takes a line that stays."""

Show = Callable[[str, int, int, str], None]
"""Takes how far a stage has come: its name, the steps done, all its steps, and facts in words."""

SECONDS_BETWEEN_LINES = 10.0


class Reporter(NamedTuple):
    """The ways to speak to whoever runs a command.

    Attributes:
        result: takes a line of the command's output, for stdout.
        say: takes a line about what happens, for stderr.
        show: takes progress, for stderr.
    """

    result: Say
    say: Say
    show: Show


def silent(*facts: object, **more: object) -> None:
    """Take what is said, or how far work has come, and keep it."""


@contextmanager
def reporter() -> Iterator[Reporter]:
    """Yield a `Reporter` whose lines stand above a live bar while one is shown."""
    if not sys.stderr.isatty():
        say = partial(_print, sys.stderr)
        yield Reporter(partial(_print, sys.stdout), say, plain_show(say))
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
        yield Reporter(say if sys.stdout.isatty() else partial(_print, sys.stdout), say, show)


def _print(stream: TextIO, line: str) -> None:
    print(line, file=stream, flush=True)


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
