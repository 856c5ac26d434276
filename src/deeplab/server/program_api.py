"""The endpoints for programs: one request, one answer, nothing kept."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, UploadFile
from fastapi.responses import Response

from deeplab.crf import CRFSettings
from deeplab.server import pictures, program_jobs
from deeplab.server.crf_request import requested_crf
from deeplab.server.errors import SafeJSON
from deeplab.server.schemas import OCTETS, Model, Models, Segmented, binary, described_labels
from deeplab.server.service import Classes, CRFQuery, ModelName, Service, TheService, compute, received, took_in

router = APIRouter(prefix="/api/v1")

_FILES = {
    **{name: (picture.media_type, picture.ending) for name, picture in pictures.PICTURES.items()},
    "npz": (OCTETS, ".npz"),
}  # format → media type, and what the file's name gets after the photo's


@router.get("/models", tags=["models"])
def models(service: TheService) -> Models:
    """List the served models."""
    return Models(
        models=[
            Model(
                name=name,
                default=name == service.default_model,
                variant=info.variant,
                labels=described_labels(info.label_set),
                background=info.label_set.background,
                crf=info.crf.to_dict(),
                card=dict(info.card),
            )
            for name, info in service.models.items()
        ]
    )


@router.post(
    "/segment", tags=["segment"], response_model=Segmented, responses=binary("image/png", "image/jpeg", OCTETS)
)
async def segment(
    request: Request,
    service: TheService,
    photo: UploadFile,
    crf_request: CRFQuery,
    model: ModelName = None,
    crf: Annotated[bool, Query(description="Refine by the fully connected CRF.")] = True,
    form: Annotated[Literal["json", "mask", "overlay", "cutout", "npz"], Query(alias="format")] = "json",
    min_confidence: Annotated[float, Query(ge=0, le=1, description="Pixels below it become void.")] = 0.0,
    classes: Classes = (),
) -> Response:
    """Segment a photo; the answer is JSON, or a file of the photo's own size.

    The CRF's parameters are the model's own where they are not given; distances are in pixels of the photo.
    """
    name, upload = service.model(model), await received(photo)
    done = await compute(
        request,
        program_jobs.segment_upload,
        photo=upload,
        model=name,
        crf=crf,
        changes=crf_request.given(),
        form=form,
        min_confidence=min_confidence,
        classes=classes,
    )
    return _answer(request, service, done, form, upload.name)


@router.post("/refine", tags=["refine"], response_class=Response, responses=binary("image/png", OCTETS))
async def refine(
    request: Request,
    service: TheService,
    photo: UploadFile,
    scores: UploadFile,
    crf_request: CRFQuery,
    key: Annotated[str | None, Query(max_length=200, description="Which array of an .npz of several.")] = None,
    kind: Annotated[str | None, Query(description="probabilities, log-probabilities, logits or labels.")] = None,
    axes: Annotated[str | None, Query(description="LHW, HWL, HW; or width first: LWH, WHL, WH.")] = None,
    align: Annotated[str | None, Query(description="centres or corners, of smaller scores.")] = None,
    stretch: Annotated[bool, Query(description="The model saw the photo squeezed.")] = False,
    void: Annotated[int | None, Query(description="The value in a label map that means no opinion.")] = None,
    confidence: Annotated[float, Query(gt=0, lt=1, description="How likely a label map is right.")] = 0.7,
    form: Annotated[Literal["mask", "npz"], Query(alias="format")] = "mask",
) -> Response:
    """Refine any model's scores (.npy, .npz) or label map by the CRF of a photo; the answer is a label map or .npz.

    The CRF's parameters are those of `deeplab refine` where they are not given.
    """
    image, given = await received(photo), await received(scores)
    done = await compute(
        request,
        program_jobs.refine_upload,
        photo=image,
        scores=given,
        key=key,
        options={"kind": kind, "axes": axes, "align": align, "stretch": stretch, "void": void},
        confidence=confidence,
        crf=requested_crf(CRFSettings(), crf_request.given()),
        form=form,
    )
    return _answer(request, service, done, form, image.name)


def _answer(request: Request, service: Service, done: program_jobs.Done, form: str, photo_name: str) -> Response:
    took_in(request, service, done.pixels)
    headers = {"Cache-Control": "no-store"}
    if done.notes:
        notes = "; ".join(done.notes).replace("–", "-")
        headers["X-Notes"] = notes.encode("ascii", "replace").decode()  # as headers must be
    if isinstance(done.content, dict):
        return SafeJSON(done.content, headers=headers)
    media_type, ending = _FILES[form]
    headers["Content-Disposition"] = pictures.attachment(photo_name, ending)
    return Response(done.content, 200, headers, media_type)
