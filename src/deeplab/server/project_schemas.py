"""The JSON bodies of projects."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deeplab.server.schemas import Class, CRFRequest, Label, Parameters

Use = Literal["correct", "teach"]
Colour = Field(None, pattern="^#[0-9a-fA-F]{6}$", description="#rrggbb; null for one that is free.")
Version = Field(ge=1, le=1 << 53, description="That of the project when the change was made.")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class NewClass(_Strict):
    """A class by its name and colour."""

    name: str = Field(max_length=200)
    colour: str | None = Colour


class NewProject(_Strict):
    """What a temporary project is to be."""

    use: Use = "correct"
    model: str | None = Field(None, max_length=200)
    classes: list[NewClass] | None = Field(None, max_length=255)


class ChangedClass(NewClass):
    """A class as it shall be; `was` is its index until now, null for a new one."""

    was: int | None = Field(ge=0, le=254)


class VersionOnly(_Strict):
    """What a change was made on."""

    version: int = Version


class ProjectChange(VersionOnly):
    """What is to be changed of a project; what is left out stays."""

    use: Use | None = None
    model: str | None = Field(None, max_length=200)
    crf: CRFRequest | None = None
    classes: list[ChangedClass] | None = Field(None, max_length=255)


class NewMarks(VersionOnly):
    """All marks of a photo."""

    marks: list[Any]


class CRFOrNone(CRFRequest):
    """The CRF's parameters where they are not to be the project's, distances in pixels of what the network sees."""

    crf: bool = True


class ProjectClass(Label):
    """A class of a project, and how many photos have marks of it."""

    photos: int


class ProjectPhotoInfo(BaseModel):
    """A photo of a project: the size of its working copy, its own, and how many marks it has, of which classes."""

    id: str
    name: str
    width: int
    height: int
    full_width: int
    full_height: int
    marks: int
    classes: list[int]
    result: Literal["none", "current", "old"]
    problem: Literal["missing", "replaced"] | None
    notes: tuple[str, ...]


class ProjectInfo(BaseModel):
    """All that a page needs to know of a project, but for the marks; `own` is the CRF without its changes."""

    id: str
    version: int
    name: str
    temporary: bool
    expires_in_s: int | None
    use: Use
    model: str
    models: list[str]
    classes: list[ProjectClass]
    background: int | None
    known: int
    crf: Parameters
    own: Parameters
    limits: dict[str, tuple[float, float]]
    lacks: str | None
    photos: list[ProjectPhotoInfo]
    pending: int
    skipped: list[str]


class ProjectList(BaseModel):
    """The projects that stay."""

    projects: list[ProjectInfo]


class Marks(BaseModel):
    """A photo's marks, the earliest first."""

    version: int
    marks: list[Any]


class Marked(BaseModel):
    """What marks have led to: how many the photo has, and what is still lacking before anything can be segmented."""

    version: int
    marks: int
    lacks: str | None


class KeptResult(BaseModel):
    """What was found in a photo, and kept."""

    version: int
    classes: list[Class]
