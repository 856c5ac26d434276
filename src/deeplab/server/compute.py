"""The server's side of the workers: a bounded queue, time limits, cancellation, a new process where one died."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deeplab.checks import thread_count
from deeplab.errors import DeepLabError
from deeplab.models import ModelInfo
from deeplab.server.errors import ApiError
from deeplab.server.logs import log
from deeplab.server.settings import Settings
from deeplab.server.worker import Failed, Job, Ready, work

_GRACE_S = 2.0  # how long an abandoned job may take to its next step before its process is ended

_PAUSE_S = 1.0  # between attempts to replace a worker

_SPAWN = multiprocessing.get_context("spawn")


class _WorkerDiedError(Exception):
    """The worker's process ended before it answered."""


class Compute:
    """Runs jobs in worker processes, each in its turn.

    Attributes:
        waiting: the requests that wait for a worker.
        restarts: the workers that had to be replaced since the start.
    """

    def __init__(self, settings: Settings, models: Mapping[str, Path]) -> None:
        self._settings = settings
        threads = max(1, thread_count() // settings.workers)
        self._workers = [_Worker(models, settings.max_pixels, threads) for _ in range(settings.workers)]
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._mean_s = 1.0
        self._closing = False
        self.waiting = 0
        self.restarts = 0

    @property
    def busy(self) -> int:
        """The workers at work, or being replaced."""
        return len(self._workers) - self._idle.qsize()

    @property
    def full(self) -> bool:
        """Whether another job would be refused."""
        return self.waiting >= self._settings.queue and self._idle.empty()

    async def start(self) -> dict[str, ModelInfo]:
        """Start the workers, and return what each served model says about itself once all are ready.

        Raises:
            ModelError: a model does not load.
        """
        ready = [await asyncio.to_thread(worker.ready) for worker in self._workers]
        for worker in self._workers:
            self._idle.put_nowait(worker)
        return dict(ready[0])

    async def stop(self) -> None:
        """Let running jobs finish, then end the workers."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.timeout_s)
        for worker in self._workers:
            worker.end()

    async def run(self, job: Job) -> Any:
        """Return what a job computes. Where the caller is cancelled, the job is dropped, or ends at its next step.

        A worker that dies need not have died of the job, but of what happened before: another one tries once more.

        Raises:
            ApiError: too many wait already, the time is up, or two workers died.
            Exception: whatever the job raises.
        """
        if self.full:
            raise self._refusal()
        deadline = time.monotonic() + self._settings.timeout_s
        with suppress(_WorkerDiedError):
            return await self._try(job, deadline)
        try:
            return await self._try(job, deadline)
        except _WorkerDiedError:
            raise _died() from None

    async def _try(self, job: Job, deadline: float) -> Any:
        worker = await self._take(deadline)
        gone = asyncio.Event()
        running = asyncio.create_task(self._run(worker, job, deadline, gone))
        self._keep(running)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            gone.set()
            running.add_done_callback(asyncio.Task.exception)  # nobody else will ask for it
            raise

    async def _take(self, deadline: float) -> _Worker:
        """Return a worker that is idle and alive, and let those that died meanwhile be replaced."""
        self.waiting += 1
        try:
            while True:
                worker = await asyncio.wait_for(self._idle.get(), deadline - time.monotonic())
                if worker.process.is_alive():
                    return worker
                self._lose(worker)
        except asyncio.TimeoutError:
            raise self._refusal() from None
        finally:
            self.waiting -= 1

    async def _run(self, worker: _Worker, job: Job, deadline: float, gone: asyncio.Event) -> Any:
        started = time.monotonic()
        exchange = asyncio.create_task(asyncio.to_thread(worker.do, job))
        client = asyncio.create_task(gone.wait())
        stopped = False
        try:
            await asyncio.wait((exchange, client), timeout=deadline - started, return_when=asyncio.FIRST_COMPLETED)
            if gone.is_set():
                worker.abandon()
                await asyncio.wait((exchange,), timeout=_GRACE_S)
            if not exchange.done():
                stopped = True
                worker.process.kill()
            result = await exchange
        except Exception:  # the process ended, or sent what cannot be read
            self._lose(worker)
            raise self._too_long() if stopped else _WorkerDiedError from None
        finally:
            client.cancel()
        self._idle.put_nowait(worker)
        self._mean_s += 0.1 * (time.monotonic() - started - self._mean_s)
        if isinstance(result, Failed):
            raise result.error
        return result

    def _lose(self, worker: _Worker) -> None:
        log("worker lost", exit_code=worker.process.exitcode)
        self._keep(asyncio.create_task(self._replace(worker)))

    async def _replace(self, worker: _Worker) -> None:
        """Start a worker's process anew; it takes jobs when its models are loaded, which is no job's time."""
        while not self._closing:
            self.restarts += 1
            try:
                await asyncio.to_thread(worker.restart)
            except (EOFError, OSError, DeepLabError):
                log("worker lost", failed=True)
                await asyncio.sleep(_PAUSE_S)
            else:
                self._idle.put_nowait(worker)
                return

    def _keep(self, task: asyncio.Task[Any]) -> None:
        """Hold on to a task until it ends; the event loop itself does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _too_long(self) -> ApiError:
        message = f"this took longer than {self._settings.timeout_s:g} s and was stopped; send a smaller photo"
        return ApiError(504, "time_limit", message)

    def _refusal(self) -> ApiError:
        wait_s = math.ceil(self._mean_s * (self.waiting + 1) / len(self._workers))
        return ApiError(
            503, "busy", f"{self.waiting} requests wait already; try again in {wait_s} s", retry_after_s=min(wait_s, 60)
        )


class _Worker:
    """One worker process, the connections to it, and its folder for temporary files."""

    process: BaseProcess
    _jobs: Connection
    _abandoned: Connection

    def __init__(self, models: Mapping[str, Path], max_pixels: int, threads: int) -> None:
        self._arguments = (models, max_pixels, threads)
        self._number = 0
        self._start()

    def restart(self) -> None:
        """Start another process in the place of one that failed, and wait until its models are loaded.

        Raises:
            EOFError: it died, too.
            ModelError: a model does not load any more.
        """
        self.end()
        self._start()
        self.ready()

    def _start(self) -> None:
        self._jobs, jobs = _SPAWN.Pipe()
        abandoned, self._abandoned = _SPAWN.Pipe(duplex=False)
        self._folder = TemporaryDirectory(prefix="deeplab-", ignore_cleanup_errors=True)
        arguments = (jobs, abandoned, self._folder.name, *self._arguments)
        self.process = _SPAWN.Process(target=work, args=arguments, daemon=True)
        self.process.start()
        jobs.close()
        abandoned.close()

    def ready(self) -> Mapping[str, ModelInfo]:
        """Wait until the models are loaded, and return what each says about itself."""
        first: Ready | Failed = self._jobs.recv()
        if isinstance(first, Failed):
            raise first.error
        return first.models

    def do(self, job: Job) -> Any:
        """Send a job and wait for its result or `Failed`; EOFError or OSError where the process ends meanwhile."""
        self._number += 1
        self._jobs.send((self._number, job))
        return self._jobs.recv()

    def abandon(self) -> None:
        """Let the present job end at its next step."""
        with suppress(OSError):  # where it died, its exchange ends too
            self._abandoned.send(self._number)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self._jobs.close()
        self._abandoned.close()
        self._folder.cleanup()


def _died() -> ApiError:
    message = "two processes in turn died at this and were replaced; send another photo"
    return ApiError(500, "worker_died", message)
