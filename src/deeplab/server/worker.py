"""The process that computes: it decodes what strangers sent and runs the networks, so that only it can come to harm."""

from __future__ import annotations

import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image

from deeplab.errors import DeepLabError
from deeplab.segment import Segmenter


class AbandonedError(Exception):
    """The client has gone: the job ends at the next step."""


@dataclass(frozen=True)
class JobContext:
    """What jobs work with.

    Attributes:
        segmenters: the served models, loaded, by name.
        max_pixels: the largest photo that is decoded.
        threads: at most this many; None: one per core.
        step: called between the steps of a job; raises `AbandonedError` when its client has gone.
    """

    segmenters: Mapping[str, Segmenter]
    max_pixels: int
    threads: int | None
    step: Callable[[], None]


Job = Callable[[JobContext], Any]
"""Computes something; it is sent to the worker, and its result or what it raises is sent back."""


@dataclass(frozen=True)
class Ready:
    """What the worker sends first: what each served model says about itself."""

    models: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """What the worker sends in place of a result."""

    error: Exception


def work(
    jobs: Connection,
    abandoned: Connection,
    folder: str,
    models: Mapping[str, Path],
    max_pixels: int,
    threads: int | None,
) -> None:
    """Load the models, then do one job after the other until the connection ends.

    Args:
        jobs: receives (number, `Job`), and sends the result, or `Failed`.
        abandoned: receives the numbers of jobs that nobody waits for any more.
        folder: for temporary files, emptied by the server even where this process is killed.
        models: the files of the served models, by name.
        max_pixels: the largest photo that is decoded.
        threads: at most this many; None: one per core.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server ends this process
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory ends, this process ends before others
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about a photo's metadata; what matters raises
    Image.MAX_IMAGE_PIXELS = max_pixels // 2  # Pillow refuses what has over twice as many
    tempfile.tempdir = folder
    current = -1

    def step() -> None:
        while abandoned.poll():
            if abandoned.recv() == current:
                raise AbandonedError

    try:
        segmenters = {name: Segmenter.from_pretrained(path, threads=threads) for name, path in models.items()}
        context = JobContext(segmenters, max_pixels, threads, step)
        jobs.send(Ready({name: segmenter.info for name, segmenter in segmenters.items()}))
    except Exception as error:  # a model that does not load is the server's to report
        jobs.send(Failed(error))
        return
    while True:
        try:
            current, job = jobs.recv()
            jobs.send(_result(job, context))
        except (EOFError, OSError):  # the server has ended
            shutil.rmtree(folder, ignore_errors=True)  # which it did itself, unless it was killed
            return


def _result(job: Job, context: JobContext) -> Any:
    try:
        return job(context)
    except (DeepLabError, MemoryError, AbandonedError) as error:
        return Failed(error)
    except Exception:  # not every exception can be sent
        return Failed(RuntimeError(traceback.format_exc()))
