"""Several photos at a time, each on a thread of its own; the results come in the photos' order."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from deeplab.errors import DeepLabError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

WAITING_PER_WORKER = 4
"""So many results at most wait for an earlier photo that takes long: memory does not grow with the folder."""

_NAME = "deeplab-photo"
_PATIENCE_S = 0.2


def in_order(
    work: Callable[[Item], Outcome], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Outcome | DeepLabError]]:
    """Yield every item with what `work` returned for it, or the DeepLabError it raised, in order.

    ONNX Runtime and the CRF's native core leave the interpreter to other threads while they compute, so `workers`
    threads, each computing on one core, keep as many cores busy.
    """

    def attempt(item: Item) -> Outcome | DeepLabError:
        try:
            return work(item)
        except DeepLabError as error:
            return error

    pool = ThreadPoolExecutor(workers, thread_name_prefix=_NAME)
    waiting: deque[tuple[Item, Future[Outcome | DeepLabError]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(attempt, item)))
            if len(waiting) >= WAITING_PER_WORKER * workers:
                item, future = waiting.popleft()
                yield item, future.result()
        while waiting:
            item, future = waiting.popleft()
            yield item, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def end_if_busy(status: int) -> None:
    """End the process at once where a photo is still in work: native code cannot be stopped, nor waited for.

    Only the main thread writes files, so nothing is left half-written.
    """
    for thread in threading.enumerate():
        if thread.name.startswith(_NAME):
            thread.join(_PATIENCE_S)
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
