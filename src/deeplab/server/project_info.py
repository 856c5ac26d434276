"""What a page hears of a project."""

from __future__ import annotations

from typing import Literal

from deeplab.crf import CRFSettings
from deeplab.files import is_file
from deeplab.server import sliders
from deeplab.server.errors import ApiError
from deeplab.server.project_jobs import At
from deeplab.server.project_schemas import ProjectClass, ProjectInfo, ProjectPhotoInfo
from deeplab.server.projects import OpenProject
from deeplab.server.schemas import described_labels
from deeplab.server.service import Service
from deeplab.teach import ProjectPhoto, ProjectState
from deeplab.teach.marks import labels_of
from deeplab.teach.project_segmenter import kept_result, shrunk_size


def described(service: Service, opened: OpenProject) -> ProjectInfo:
    """Return what a project says; looks at its photos' files."""
    project, state = opened.project, opened.project.state
    own = own_crf(service, state)
    crf = own.changed(state.crf)
    photos = [described_photo(opened, photo) for photo in state.photos.values()]
    name = "" if opened.temporary else project.folder.resolve().name
    return ProjectInfo(
        id=opened.id,
        version=state.version,
        name=name,
        temporary=opened.temporary,
        expires_in_s=round(service.settings.photo_s) if opened.temporary else None,
        use=state.use,  # type: ignore[arg-type]  # one of the two, as is checked where it is read
        model=state.model,
        models=list(service.models),
        classes=[
            ProjectClass(**label.model_dump(), photos=sum(label.index in photo.classes for photo in photos))
            for label in described_labels(state.label_set)
        ],
        background=state.label_set.background,
        known=known_classes(service, state),
        crf=sliders.parameters_of(crf),
        own=sliders.parameters_of(own),
        limits=sliders.limits_of(crf),
        lacks=state.lacks(),
        photos=photos,
        pending=len(opened.pending),
        skipped=opened.skipped,
    )


def described_photo(opened: OpenProject, photo: ProjectPhoto) -> ProjectPhotoInfo:
    """Return what is known of a photo of a project."""
    project = opened.project
    height, width = shrunk_size(photo.size)
    return ProjectPhotoInfo(
        id=photo.id,
        name=photo.name,
        width=width,
        height=height,
        full_width=photo.size[1],
        full_height=photo.size[0],
        marks=len(project.marks(photo.id)),
        classes=sorted(labels_of(photo.marks, project.state.label_set)),
        result=_result(opened, photo),
        problem=project.problem(photo.id),  # type: ignore[arg-type]
        notes=photo.notes,
    )


def own_crf(service: Service, state: ProjectState) -> CRFSettings:
    """Return how the CRF runs where a project does not say otherwise."""
    return service.models[state.model].crf if state.use == "correct" else CRFSettings()


def known_classes(service: Service, state: ProjectState) -> int:
    """Return how many of a project's classes are the model's own."""
    return len(service.models[state.model].label_set) if state.use == "correct" else 0


def photo_of(opened: OpenProject, photo_id: str, *, sound: bool = False) -> ProjectPhoto:
    """Return a photo of a project; where it shall be `sound`, its file is there as it was marked.

    Raises:
        ApiError: there is none of that id, or its file is gone or another one.
    """
    photos = opened.project.state.photos
    if photo_id not in photos:
        raise ApiError(404, "unknown_photo", "the project has no such photo, or not any more")
    problem = opened.project.problem(photo_id) if sound else None
    if problem is not None:
        ways = {
            "missing": "is gone from the project's folder; put it back, or take the photo out",
            "replaced": "was replaced since it was marked; take it as it is now, without its marks, or put it back",
        }
        raise ApiError(409, f"photo_{problem}", f"{photos[photo_id].name} {ways[problem]}")
    return photos[photo_id]


def at(opened: OpenProject) -> At:
    """Return a project for a job that segments.

    Raises:
        ApiError: too little is marked yet.
    """
    if (lacks := opened.project.state.lacks()) is not None:
        raise ApiError(409, "not_taught", lacks)
    return At(opened.project.folder, opened.project.state)


def _result(opened: OpenProject, photo: ProjectPhoto) -> Literal["none", "current", "old"]:
    project = opened.project
    made_of = kept_result(project.folder, photo.id).get("made_of")
    if made_of is None or not is_file(project.result_path(photo.id)):
        return "none"
    return "current" if made_of == project.made_of(photo.id) else "old"
