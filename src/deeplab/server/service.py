"""The state that all endpoints share, and how a request waits for its result without outliving its client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request, UploadFile

from deeplab.models import ModelInfo
from deeplab.server.compute import Compute
from deeplab.server.errors import ApiError
from deeplab.server.metrics import Metrics
from deeplab.server.photos import Photos
from deeplab.server.pictures import clean_name
from deeplab.server.projects import Projects
from deeplab.server.schemas import CRFRequest
from deeplab.server.settings import Settings
from deeplab.server.uploads import TooManyPixelsError, Upload
from deeplab.server.worker import JobContext

ModelName = Annotated[str | None, Query(max_length=200, description="A served model; the default one if not given.")]
Classes = Annotated[
    tuple[str, ...], Query(alias="class", max_length=255, description="Keep these classes only; may be repeated.")
]


CRFQuery = Annotated[CRFRequest, Depends(CRFRequest)]
"""The CRF's parameters in a query."""

Result = TypeVar("Result")


@dataclass
class Service:
    """The parts of a running server.

    Attributes:
        settings: how it runs.
        compute: the workers.
        photos: the page's photos.
        projects: the open projects.
        metrics: what is counted.
        default_model: the name of the model that is used where a request names none.
        models: what each served model says about itself, by name.
    """

    settings: Settings
    compute: Compute
    photos: Photos
    projects: Projects
    metrics: Metrics
    default_model: str
    models: Mapping[str, ModelInfo]

    def watch(self) -> None:
        """Let the metrics show the state of the workers and the photos."""
        for name, meaning, value in (
            ("deeplab_queue_waiting", "Requests that wait for a worker.", lambda: self.compute.waiting),
            ("deeplab_workers_busy", "Workers at work, or being replaced.", lambda: self.compute.busy),
            ("deeplab_worker_restarts", "Workers replaced since the start.", lambda: self.compute.restarts),
            ("deeplab_photos_kept", "Photos of the page that are kept.", lambda: len(self.photos)),
            ("deeplab_photos_bytes", "Memory that they take.", lambda: self.photos.bytes),
            ("deeplab_projects_open", "Projects that are open.", lambda: len(self.projects)),
        ):
            self.metrics.watch(name, meaning, value)

    def model(self, asked: str | None) -> str:
        """Return the name of a served model.

        Raises:
            ApiError: there is none of that name.
        """
        name = asked or self.default_model
        if name not in self.models:
            raise ApiError(404, "unknown_model", f"there is no model {name!r}; served are {', '.join(self.models)}")
        return name


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(_service)]


async def compute(request: Request, job: Callable[..., Result], /, **arguments: Any) -> Result:
    """Return what a function of `page_jobs` or `program_jobs` computes; it is given up where the client goes away.

    Raises:
        ApiError: the server is busy, the time is up, the photo is too large, or the worker died.
        DeepLabError: whatever the job raises.
    """
    service = _service(request)
    work: Callable[[JobContext], Result] = partial(job, **arguments)
    result = asyncio.ensure_future(service.compute.run(work))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((result, gone), return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            service.metrics.cancelled.inc()
            raise ApiError(499, "client_gone", "the client went away")
        value: Result = result.result()
        return value
    except TooManyPixelsError as error:
        raise ApiError(413, "too_many_pixels", str(error)) from None
    except MemoryError as error:
        raise ApiError(413, "too_large", f"{error or 'this does not fit in memory'}; send a smaller photo") from None
    finally:
        gone.cancel()
        result.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def received(file: UploadFile) -> Upload:
    """Return an uploaded file.

    Raises:
        ApiError: it is empty.
    """
    data = await file.read()
    if not data:
        raise ApiError(422, "empty_file", f"{clean_name(file.filename)} is empty (0 bytes); copy or download it again")
    return Upload(clean_name(file.filename), data)


def took_in(request: Request, service: Service, pixels: int) -> None:
    """Count the pixels of a photo, and let the log have them."""
    service.metrics.pixels.inc(pixels)
    request.state.pixels = pixels
