"""Ctrl-C while training: the iteration is finished and its state saved, then the run ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from deeplab.progress import Say

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_requests(say: Say, *, alone: bool) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C or a termination signal has come.

    Args:
        say: takes a line when it has.
        alone: a second signal acts at once. Not so under ``torchrun``, which passes every Ctrl-C on a second time.
    """
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and alone:
            raise KeyboardInterrupt
        asked = True
        say("stopping after this iteration" + ("; once more to stop at once" if alone else ""))

    if threading.current_thread() is not threading.main_thread():  # Python hands signals to the main thread alone
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
