"""The JSON bodies of the HTTP API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from deeplab.crf.params import PARAMETERS
from deeplab.labels import LabelSet

OCTETS = "application/octet-stream"


def binary(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return what an endpoint's description says about answers that are files of these types."""
    content = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"content": dict.fromkeys(media_types, content)}}


class _Error(BaseModel):
    code: str
    message: str


class Failure(BaseModel):
    """The body of every answer from 400 on."""

    error: _Error


class Label(BaseModel):
    """A class: its number in label maps, its name and its colour, ``#rrggbb``."""

    index: int
    name: str
    colour: str


class Parameters(BaseModel):
    """The CRF's parameters, their distances in pixels of the working copy."""

    bilateral_weight: float
    bilateral_xy_std_px: float
    bilateral_rgb_std: float
    spatial_weight: float
    spatial_xy_std_px: float
    iterations: int


class PhotoInfo(BaseModel):
    """A photo that is kept: its size and its working copy's, its classes, and the parameters that suit it.

    `width` and `height` are the working copy's; `limits` holds the least and the largest value of each parameter;
    `notes` say what was assumed of the photo.
    """

    id: str
    name: str
    width: int
    height: int
    full_width: int
    full_height: int
    model: str
    labels: list[Label]
    background: int | None
    parameters: Parameters
    limits: dict[str, tuple[float, float]]
    notes: tuple[str, ...]
    expires_in_s: int


class Limits(BaseModel):
    """How large a photo the server takes, in pixels, and how large a request, in bytes."""

    max_pixels: int
    max_upload_bytes: int


def _optional(name: str) -> Any:
    parameter = PARAMETERS[name]
    least, most = parameter.allowed
    return Field(None, ge=least, le=most, description=parameter.help)


class CRFRequest(BaseModel):
    """Parameters of the CRF, those left out at their defaults."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    bilateral_weight: float | None = _optional("bilateral_weight")
    bilateral_xy_std_px: float | None = _optional("bilateral_xy_std_px")
    bilateral_rgb_std: float | None = _optional("bilateral_rgb_std")
    spatial_weight: float | None = _optional("spatial_weight")
    spatial_xy_std_px: float | None = _optional("spatial_xy_std_px")
    iterations: int | None = _optional("iterations")

    def given(self) -> dict[str, float]:
        """Return those that are not left out, by name."""
        return self.model_dump(include=set(CRFRequest.model_fields), exclude_none=True)


class RefineRequest(CRFRequest):
    """Parameters of the CRF, and whether every iteration is wanted."""

    every_iteration: bool = False


class Model(BaseModel):
    """A served model: its classes, the background's number if it has one, its CRF's parameters, and its model card."""

    name: str
    default: bool
    variant: str
    labels: list[Label]
    background: int | None
    crf: dict[str, Any]
    card: dict[str, Any]


class Models(BaseModel):
    """The served models."""

    models: list[Model]


class Class(BaseModel):
    """A class found in a photo: its share of the pixels, and its mean confidence, both 0–1."""

    index: int
    name: str
    share: float
    confidence: float


class Segmented(BaseModel):
    """What was found in a photo; `void` is the share of pixels below the least confidence.

    `notes` say what was assumed of the photo, such as how many bits it has.
    """

    name: str
    width: int
    height: int
    model: str
    classes: list[Class]
    void: float
    notes: tuple[str, ...]


def described_labels(label_set: LabelSet) -> list[Label]:
    """Return the classes of a label set, in the colours that photos are tinted with."""
    colours = label_set.tints()
    return [
        Label(index=index, name=name, colour=f"#{colours[index].tobytes().hex()}")
        for index, name in enumerate(label_set.names)
    ]
