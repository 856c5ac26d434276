"""Progress of a run on stderr: a live bar on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

__all__ = ["Say", "Show", "duration", "plain_show", "terminal_progress"]

Say = Callable[[str], None]
"""Takes a line that stays."""

Show = Callable[[str, int, int, str], None]
"""Takes how far a stage has come: its name, the steps done, all its steps, and facts in words."""

SECONDS_BETWEEN_LINES = 10.0


def plain_show(say: Say) -> Show:
    """Return a `Show` that says a line every ten seconds and at the end of a stage."""
    said = time.monotonic()

    def show(stage: str, done: int, total: int, facts: str) -> None:
        nonlocal said
        if done == total or time.monotonic() - said > SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            say(f"{stage} {done}/{total}  {facts}")

    return show


@contextmanager
def terminal_progress() -> Iterator[tuple[Say, Show]]:
    """Yield how to say a line and how to show progress on stderr: with a live bar where it is a terminal."""

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if not sys.stderr.isatty():
        yield say, plain_show(say)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None, facts="")

        def show(stage: str, done: int, total: int, facts: str) -> None:
            bar.update(task, description=stage, completed=done, total=total, facts=facts)

        yield lambda line: bar.console.out(line, highlight=False), show


def duration(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
