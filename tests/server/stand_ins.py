"""Jobs that misbehave, for the worker to do in place of real ones."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from deeplab.server.program_jobs import Done
from deeplab.server.uploads import Upload
from deeplab.server.worker import JobContext


def sleep(_: JobContext, *, seconds: float = 60.0, **__: Any) -> Done:
    """Work without a step between."""
    time.sleep(seconds)
    return Done(b"done", 1)


def step_until_abandoned(context: JobContext, *, file: str, **__: Any) -> Done:
    """Work in steps of 10 ms, for at most 10 s, and note in a file how it ended."""
    path = Path(file)
    path.write_text("started")
    try:
        for _ in range(1000):
            time.sleep(0.01)
            context.step()
    except BaseException as error:
        path.write_text(type(error).__name__)
        raise
    return Done(b"done", 1)


def crash(_: JobContext, *, file: str, photo: Upload, **__: Any) -> Done:
    """Die as by a segmentation fault, with a photo in a temporary file, whose name is noted in `file`."""
    handle, name = tempfile.mkstemp()
    os.write(handle, photo.data)
    Path(file).write_text(name)
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def crash_once(_: JobContext, *, file: str, **__: Any) -> Done:
    """Die if the file is not there yet, and leave it."""
    if not Path(file).exists():
        Path(file).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Done(b"done", 1)


def stumble(_: JobContext, **__: Any) -> Done:
    """Fail in a way nobody foresaw."""
    raise KeyError("a secret of the server")


def run_out(_: JobContext, **__: Any) -> Done:
    raise MemoryError
