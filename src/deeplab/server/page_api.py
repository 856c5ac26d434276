"""The page, and the endpoints it works with: a photo is sent once, and refined as often as a slider moves."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from deeplab.images import encode_jpeg
from deeplab.server import page_jobs, pictures, sliders
from deeplab.server.photos import KeptPhoto
from deeplab.server.schemas import OCTETS, Limits, PhotoInfo, RefineRequest, binary, described_labels
from deeplab.server.service import Classes, CRFQuery, ModelName, Service, TheService, compute, received, took_in

WORKING_SIDE_PX = 1024
"""The longest side of the copy that the page works on: larger photos would not refine as fast as a slider moves."""

_PAGE = Path(__file__).parent / "page"
_NOT_STORED = {"Cache-Control": "no-store"}
_REVALIDATED = {"Cache-Control": "no-cache"}  # or an upgrade would meet old modules in the browser

router = APIRouter()


class _PageFiles(StaticFiles):
    def file_response(self, *given: Any, **named: Any) -> Response:
        response = super().file_response(*given, **named)
        response.headers.update(_REVALIDATED)
        return response


def page_files() -> StaticFiles:
    """Return the app that serves the page's files."""
    return _PageFiles(directory=_PAGE, check_dir=False)


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """Return the page."""
    return FileResponse(_PAGE / "index.html", headers=_REVALIDATED)


@router.get("/api/v1/limits", tags=["photos"])
async def limits(service: TheService) -> Limits:
    """Return how large a photo may be."""
    settings = service.settings
    return Limits(max_pixels=settings.max_pixels, max_upload_bytes=settings.max_upload_bytes)


@router.post("/api/v1/photos", status_code=201, tags=["photos"])
async def add_photo(request: Request, service: TheService, photo: UploadFile, model: ModelName = None) -> PhotoInfo:
    """Take a photo in, run the network on it, and keep its scores for `refine`."""
    name, upload = service.model(model), await received(photo)
    opened = await compute(request, page_jobs.open_photo, photo=upload, model=name, side_px=WORKING_SIDE_PX)
    took_in(request, service, math.prod(opened.size))
    kept = KeptPhoto(upload, name, opened)
    return _described(service, service.photos.keep(kept), kept)


@router.get("/api/v1/photos/{photo_id}", tags=["photos"])
async def photo_info(service: TheService, photo_id: str) -> PhotoInfo:
    """Return what is known of a kept photo."""
    return _described(service, photo_id, service.photos.find(photo_id))


@router.delete("/api/v1/photos/{photo_id}", status_code=204, response_model=None, tags=["photos"])
async def forget_photo(service: TheService, photo_id: str) -> None:
    """Forget a photo."""
    service.photos.forget(photo_id)


@router.get(
    "/api/v1/photos/{photo_id}/photo.jpg", tags=["photos"], response_class=Response, responses=binary("image/jpeg")
)
async def photo_jpeg(service: TheService, photo_id: str) -> Response:
    """Return the upright working copy of a photo, JPEG."""
    content = await asyncio.to_thread(encode_jpeg, service.photos.find(photo_id).opened.look.photo)
    return Response(content, 200, _NOT_STORED, "image/jpeg")


@router.get("/api/v1/photos/{photo_id}/network", tags=["photos"], response_class=Response, responses=binary(OCTETS))
async def network(service: TheService, photo_id: str) -> Response:
    """Return 2 H W bytes: the labels by the network alone, row by row, then their confidence, 255 for 1."""
    return Response(service.photos.find(photo_id).opened.network, 200, _NOT_STORED, OCTETS)


@router.post("/api/v1/photos/{photo_id}/refine", tags=["photos"], response_class=Response, responses=binary(OCTETS))
async def refine(request: Request, service: TheService, photo_id: str, crf_request: RefineRequest) -> Response:
    """Run the CRF, and return 2 H W bytes: labels, then confidence; or as many for each iteration from 0 on."""
    kept = service.photos.find(photo_id)
    crf = sliders.chosen(kept, service.models[kept.model].crf, crf_request)
    request.state.pixels = math.prod(kept.opened.look.photo.shape[:2])
    every = crf_request.every_iteration
    beliefs = await compute(request, page_jobs.refine_photo, photo=kept.opened, crf=crf, every_iteration=every)
    return Response(b"".join(beliefs), 200, _NOT_STORED, OCTETS)


@router.get(
    "/api/v1/photos/{photo_id}/{result}",
    tags=["photos"],
    response_class=Response,
    responses=binary("image/png", "image/jpeg"),
)
async def download(
    request: Request,
    service: TheService,
    photo_id: str,
    result: Literal["mask.png", "overlay.jpg", "cutout.png"],
    crf_request: CRFQuery,
    classes: Classes = (),
) -> Response:
    """Refine a photo at its full size, and return a file: palette label map, photo tinted by class, or RGBA cutout.

    The CRF's parameters are those of `refine`, distances in pixels of the working copy.

    All but the classes named, if any are, becomes background, or void where that is named. The cutout holds the classes
    named, or all but the background, and is transparent elsewhere.
    """
    kept = service.photos.find(photo_id)
    info = service.models[kept.model]
    request.state.pixels = math.prod(kept.opened.size)
    kind = result.partition(".")[0]
    content = await compute(
        request,
        page_jobs.draw_photo,
        photo=kept.upload,
        look=kept.opened.look,
        crf=sliders.chosen(kept, info.crf, crf_request),
        picture=kind,
        wanted=info.label_set.labels_of(classes),
    )
    _, ending, media_type = pictures.PICTURES[kind]
    headers = {**_NOT_STORED, "Content-Disposition": pictures.attachment(kept.upload.name, ending)}
    return Response(content, 200, headers, media_type)


def _described(service: Service, photo_id: str, kept: KeptPhoto) -> PhotoInfo:
    (height, width), (full_height, full_width) = kept.opened.look.photo.shape[:2], kept.opened.size
    label_set = service.models[kept.model].label_set
    return PhotoInfo(
        id=photo_id,
        name=kept.upload.name,
        width=width,
        height=height,
        full_width=full_width,
        full_height=full_height,
        model=kept.model,
        labels=described_labels(label_set),
        background=label_set.background,
        parameters=sliders.defaults(kept, service.models[kept.model].crf),
        limits=sliders.limits(kept, service.models[kept.model].crf),
        notes=kept.opened.notes,
        expires_in_s=round(service.photos.keep_s),
    )
