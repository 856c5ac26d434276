"""Label Studio's ML backend protocol: health, setup, predict. Its address there is ``http://HOST:PORT/label-studio``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from deeplab.errors import DeepLabError
from deeplab.server import label_studio_jobs
from deeplab.server.errors import ApiError, unusable
from deeplab.server.guard import LABEL_STUDIO
from deeplab.server.labelling_config import LabellingConfig, read_labelling_config
from deeplab.server.logs import log
from deeplab.server.service import Service, TheService, compute, took_in

router = APIRouter(prefix=LABEL_STUDIO.rstrip("/"), tags=["Label Studio"])

_MOST_TASKS = 1000  # in one request


class _Body(BaseModel):
    model_config = ConfigDict(protected_namespaces=(), allow_inf_nan=False)  # there is a field model_version


class SetupRequest(_Body):
    """A project's labelling set-up; the address and token that come along are not used."""

    label_config: str = Field("", alias="schema")


class Task(_Body):
    """A task: where its photo is."""

    data: dict[str, Any]


class Context(_Body):
    """What was drawn by smart tools: key points, boxes, brush strokes, polygons."""

    result: list[dict[str, Any]] = []


class Params(_Body):
    """What comes beside the tasks."""

    context: Context | None = None


class PredictRequest(_Body):
    """Tasks to predict, or one and what was drawn on it."""

    tasks: list[Task] = Field(max_length=_MOST_TASKS)
    label_config: str
    model_version: str | None = None
    params: Params | None = None


@router.get("/", include_in_schema=False)
@router.get("/health")
def health() -> dict[str, str]:
    """Say that the server answers."""
    return {"status": "UP"}


@router.post("/setup")
def setup(service: TheService, asked: SetupRequest) -> dict[str, str]:
    """Check a project's labelling set-up, and name the model that predicts."""
    _config(service, asked.label_config, service.default_model)
    return {"model_version": service.default_model}


@router.post("/versions")
def versions(service: TheService) -> dict[str, list[str]]:
    """List the served models."""
    return {"versions": list(service.models)}


@router.post("/predict")
async def predict(request: Request, service: TheService, asked: PredictRequest) -> dict[str, Any]:
    """Return each task's regions: what the model finds, or, where something was drawn, what that becomes.

    Of several tasks those that fail have an `error` in place of a `result`.
    """
    known = asked.model_version in service.models
    model = asked.model_version if known and asked.model_version else service.default_model
    config = _config(service, asked.label_config, model)
    drawn = asked.params.context.result if asked.params and asked.params.context else []
    if drawn and len(asked.tasks) != 1:
        raise ApiError(422, "invalid_input", f"what was drawn comes with {len(asked.tasks)} tasks; expected one")
    results: list[dict[str, Any]] = []
    for number, task in enumerate(asked.tasks, start=1):
        try:
            results.append(await _predicted(request, service, model, config, task, drawn))
        except (ApiError, DeepLabError) as error:
            reason = error if isinstance(error, ApiError) else unusable(error)
            if len(asked.tasks) == 1 or reason.status >= 499:  # busy, or the client went away
                raise
            log("task failed", number=number, reason=reason.message)
            results.append({"error": reason.message})
    return {"results": results, "model_version": model}


async def _predicted(
    request: Request, service: Service, model: str, config: LabellingConfig, task: Task, drawn: list[dict[str, Any]]
) -> dict[str, Any]:
    found = await compute(
        request,
        label_studio_jobs.predict_task,
        photo=task.data.get(config.photo),
        places=service.settings.label_studio,
        most_bytes=service.settings.max_upload_bytes,
        model=model,
        config=config,
        drawn=drawn,
    )
    took_in(request, service, found.pixels)
    return {"result": found.regions, "score": found.score, "model_version": model}


def _config(service: Service, text: str, model: str) -> LabellingConfig:
    return read_labelling_config(text, service.models[model].label_set)
