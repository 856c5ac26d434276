"""The same work on a Ray cluster: workers read and segment, the results come back to be written in one place.

Ray Data starts a worker that dies, and its photo, anew. As only this process writes files and the manifest, a photo
that was segmented twice for it is written once.
"""

from __future__ import annotations

import logging
import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.data

from deeplab.batch.jobs import Job
from deeplab.batch.results import Result, Settings, renamed, segment_photo
from deeplab.errors import DeepLabError, InputError
from deeplab.models import read_model
from deeplab.segment import Segmenter

MOST_TASKS = 10_000
"""Up to so many photos each is a task of its own, so that a lost worker costs one photo."""


class _Worker:
    """A process of the cluster with one loaded model."""

    def __init__(self, model: Any, settings: Settings) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            file.write_bytes(ray.get(model))
            self._segmenter = Segmenter.from_pretrained(file, threads=1)
        self._settings = settings

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        job: Job = pickle.loads(row["job"])
        place = Path(row["folder"]) / job.photo if isinstance(job.photo, Path) else job.photo
        outcome: Result | DeepLabError
        try:
            outcome = segment_photo(self._segmenter, place, self._settings, overlay=job.overlay is not None)
        except DeepLabError as error:
            outcome = renamed(error, place, job.photo) if isinstance(place, Path) else error
        return {"number": row["number"], "outcome": pickle.dumps(outcome)}


def on_cluster(
    jobs: Sequence[Job], model: Path, settings: Settings, *, address: str | None = None, workers: int | None = None
) -> Iterator[tuple[Job, Result | DeepLabError]]:
    """Yield every job with its result, or the DeepLabError it ended with, as they become ready, each once.

    Every machine of the cluster needs deeplab, and must find local photos under the same paths; the model travels.

    Args:
        jobs: what to do.
        model: the model file.
        settings: how to segment.
        address: the cluster's, as `ray.init` takes it; None: the one that the environment variable RAY_ADDRESS names,
            or one of this machine's cores for as long as this takes.
        workers: at most so many processes, of one core each; None: as many as the cluster has cores.

    Raises:
        InputError: there is no cluster at the address.
        ModelError: the model file cannot be read.
    """
    if not jobs:
        return
    content = read_model(model)
    with _cluster(address, workers):
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        folder = str(Path.cwd())
        rows = [{"number": number, "folder": folder, "job": pickle.dumps(job)} for number, job in enumerate(jobs)]
        outcomes = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_TASKS)).map(
            _Worker,
            fn_constructor_kwargs={"model": ray.put(content), "settings": settings},
            compute=ray.data.ActorPoolStrategy(size=min(workers or cores, cores, len(rows))),
            num_cpus=1,
        )
        waiting = dict(enumerate(jobs))
        for row in outcomes.iter_rows():
            if row["number"] in waiting:
                yield waiting.pop(row["number"]), pickle.loads(row["outcome"])


@contextmanager
def _cluster(address: str | None, workers: int | None) -> Iterator[None]:
    """Connect to a cluster, or start one here, unless that is done."""
    if ray.is_initialized():
        yield
        return
    own = address is None and not os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if own else {"address": address}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # a cluster started here reports nothing to Ray's makers
    try:
        ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray raises errors of many kinds, some of no narrower class
        reason = " ".join(str(error).split())
        raise InputError(
            f"no Ray cluster at {address or 'RAY_ADDRESS'} ({reason}); start one: ray start --head"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()
