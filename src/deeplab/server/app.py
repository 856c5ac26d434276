"""The server as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from deeplab.server import label_studio_api, page_api, program_api, project_api, project_files_api, status
from deeplab.server.compute import Compute
from deeplab.server.errors import SafeJSON, add_handlers
from deeplab.server.guard import Guard
from deeplab.server.metrics import Metrics
from deeplab.server.photos import Photos
from deeplab.server.projects import projects_of
from deeplab.server.schemas import Failure
from deeplab.server.service import Service
from deeplab.server.settings import Settings, served_models

_API_VERSION = "1"  # as in the paths


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[ASGIApp]:
    """Start the workers and yield the application; at the end let running work finish, and end them.

    Raises:
        ModelError: the model does not exist or does not load.
        InputError, OutputError: the project's folder cannot be opened.
    """
    default, files = served_models(settings.model)
    compute = Compute(settings, files)
    try:
        models = await compute.start()
        photos = Photos(settings.photos, settings.photo_bytes, settings.photo_s)
        with projects_of(settings, default, models) as projects:
            service = Service(settings, compute, photos, projects, Metrics(), default, models)
            service.watch()
            yield Guard(make_app(service, label_studio=settings.label_studio is not None), service)
    finally:
        await compute.stop()


def make_app(service: Service, *, label_studio: bool = False) -> FastAPI:
    """Return the endpoints, with Label Studio's or without, and their OpenAPI description; no guard is before them."""
    app = FastAPI(
        title="deeplab",
        version=_API_VERSION,
        summary="Semantic segmentation along a photo's edges: DeepLab's network and fully connected CRF.",
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        default_response_class=SafeJSON,
        responses={"4XX": {"model": Failure}, "5XX": {"model": Failure}},
    )
    app.state.service = service
    add_handlers(app)
    for part in (page_api, program_api, project_api, project_files_api, status):
        app.include_router(part.router)
    if label_studio:
        app.include_router(label_studio_api.router)
    app.mount("/static", page_api.page_files())
    return app
