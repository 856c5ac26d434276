"""The endpoints of projects: their classes, photos and marks, and what is seen in a photo at once."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, UploadFile
from fastapi.responses import Response

from deeplab.errors import DeepLabError
from deeplab.labels import Colour, LabelSet
from deeplab.server import project_jobs
from deeplab.server.errors import ApiError
from deeplab.server.project_info import at, described, described_photo, known_classes, own_crf, photo_of
from deeplab.server.project_schemas import (
    ChangedClass,
    CRFOrNone,
    KeptResult,
    Marked,
    Marks,
    NewMarks,
    NewProject,
    ProjectChange,
    ProjectInfo,
    ProjectList,
    ProjectPhotoInfo,
    VersionOnly,
)
from deeplab.server.projects import OpenProject
from deeplab.server.schemas import OCTETS, binary
from deeplab.server.service import Service, TheService, compute, received, took_in
from deeplab.server.uploads import Upload
from deeplab.teach import Project
from deeplab.teach.project_segmenter import kept_planes, shrunk_size

router = APIRouter(prefix="/api/v1/projects", tags=["projects"])

_NOT_STORED = {"Cache-Control": "no-store"}
TheVersion = Annotated[int, Query(ge=1, le=1 << 53, description="That of the project when the change was made.")]


@router.get("")
async def projects(request: Request, service: TheService) -> ProjectList:
    """List the project that stays, if the server was started with one."""
    staying = service.projects.staying()
    if staying is None:
        return ProjectList(projects=[])
    await _take_in_pending(request, staying)
    return ProjectList(projects=[await asyncio.to_thread(described, service, staying)])


@router.post("", status_code=201)
async def make_project(service: TheService, new: NewProject) -> ProjectInfo:
    """Make a temporary project."""
    model = service.model(new.model)
    classes = [(one.name, _colour(one.colour)) for one in new.classes or []]
    known = service.models[model].label_set if new.use == "correct" else None
    if known is not None and classes and tuple(name for name, _ in classes[: len(known)]) != known.names:
        raise ApiError(422, "invalid_input", f"the classes do not begin with those of {model}; leave them out")
    label_set: LabelSet | list[str] = known or ["background"]

    def new_project(folder: object) -> Project:
        return Project.open(folder, use=new.use, model=model, classes=label_set)  # type: ignore[arg-type]

    opened = service.projects.make(new_project)
    try:
        if classes:
            was = range(len(opened.project.state.label_set)) if known else ()
            opened.project.set_classes(
                [(index if index in was else None, name, colour) for index, (name, colour) in enumerate(classes)]
            )
    except Exception:
        service.projects.forget(opened.id)
        raise
    return await asyncio.to_thread(described, service, opened)


@router.get("/{project_id}")
async def project_info(request: Request, service: TheService, project_id: str) -> ProjectInfo:
    """Return what a project says: its classes, its photos, its settings."""
    opened = service.projects.find(project_id)
    await _take_in_pending(request, opened)
    return await asyncio.to_thread(described, service, opened)


@router.patch("/{project_id}")
async def change_project(service: TheService, project_id: str, change: ProjectChange) -> ProjectInfo:
    """Change a project's use, model, CRF or classes."""
    opened = service.projects.find(project_id)
    async with opened.changing:
        opened.check_version(change.version)
        await asyncio.to_thread(_change, service, opened, change)
        return await asyncio.to_thread(described, service, opened)


@router.delete("/{project_id}", status_code=204, response_model=None)
async def forget_project(service: TheService, project_id: str) -> None:
    """Forget a temporary project."""
    service.projects.forget(project_id)


@router.post("/{project_id}/photos", status_code=201)
async def add_photo(request: Request, service: TheService, project_id: str, photo: UploadFile) -> ProjectPhotoInfo:
    """Take a photo into a project."""
    opened, upload = service.projects.find(project_id), await received(photo)
    await asyncio.to_thread(service.projects.check_room, opened, len(upload.data))
    facts = await compute(request, project_jobs.look_at, photo=upload)
    took_in(request, service, facts.size[0] * facts.size[1])
    project = opened.project
    async with opened.changing:
        await asyncio.to_thread(service.projects.check_room, opened, len(upload.data))
        file = await asyncio.to_thread(project.place, upload.name, upload.data)
        found = await asyncio.to_thread(project.enlist, file, facts.size, facts.notes)
        return await asyncio.to_thread(described_photo, opened, found)


@router.delete("/{project_id}/photos/{photo_id}")
async def remove_photo(service: TheService, project_id: str, photo_id: str, version: TheVersion) -> ProjectInfo:
    """Take a photo and its marks out of a project; a file that was not copied into it stays in its folder."""
    opened = service.projects.find(project_id)
    async with opened.changing:
        photo_of(opened, photo_id)
        opened.check_version(version)
        await asyncio.to_thread(opened.project.remove, photo_id)
        return await asyncio.to_thread(described, service, opened)


@router.post("/{project_id}/photos/{photo_id}/retake")
async def retake_photo(
    request: Request, service: TheService, project_id: str, photo_id: str, change: VersionOnly
) -> ProjectInfo:
    """Take a photo whose file was replaced as it is now, without its marks."""
    opened = service.projects.find(project_id)
    async with opened.changing:
        photo = photo_of(opened, photo_id)
        opened.check_version(change.version)
        if opened.project.problem(photo_id) == "missing":
            photo_of(opened, photo_id, sound=True)
        upload = await asyncio.to_thread(_file, opened, photo.file)
        facts = await compute(request, project_jobs.look_at, photo=upload)
        await asyncio.to_thread(opened.project.retake, photo_id, facts.size, facts.notes)
        return await asyncio.to_thread(described, service, opened)


@router.get("/{project_id}/photos/{photo_id}/marks")
async def marks(service: TheService, project_id: str, photo_id: str) -> Marks:
    """Return a photo's marks."""
    opened = service.projects.find(project_id)
    photo_of(opened, photo_id)
    return Marks(version=opened.project.state.version, marks=opened.project.marks(photo_id))


@router.put("/{project_id}/photos/{photo_id}/marks")
async def put_marks(service: TheService, project_id: str, photo_id: str, new: NewMarks) -> Marked:
    """Put marks in the place of all that a photo has."""
    opened = service.projects.find(project_id)
    async with opened.changing:
        photo_of(opened, photo_id, sound=True)
        opened.check_version(new.version)
        await asyncio.to_thread(opened.project.put_marks, photo_id, new.marks)
        state = opened.project.state
        return Marked(version=state.version, marks=len(new.marks), lacks=state.lacks())


@router.post("/{project_id}/photos/{photo_id}/segment", response_class=Response, responses=binary(OCTETS))
async def segment(
    request: Request, service: TheService, project_id: str, photo_id: str, crf_request: CRFOrNone
) -> Response:
    """Segment a photo's working copy by what is marked so far; 2 H W bytes: labels, row by row, then confidence."""
    opened = service.projects.find(project_id)
    photo = photo_of(opened, photo_id, sound=True)
    height, width = shrunk_size(photo.size)
    request.state.pixels = height * width
    crf = crf_request.given() if crf_request.crf else False
    project = at(opened)
    planes = await compute(request, project_jobs.segment, at=project, photo_id=photo_id, crf=crf)
    return _planes(planes, project.state.version)


@router.post("/{project_id}/photos/{photo_id}/result")
async def keep_result(request: Request, service: TheService, project_id: str, photo_id: str) -> KeptResult:
    """Segment a photo at its full size, and keep its label map in the project."""
    opened = service.projects.find(project_id)
    photo = photo_of(opened, photo_id, sound=True)
    request.state.pixels = photo.size[0] * photo.size[1]
    project, made_of = at(opened), opened.project.made_of(photo_id)
    about = await compute(request, project_jobs.keep, at=project, photo_id=photo_id, made_of=made_of)
    return KeptResult(version=project.state.version, classes=about["classes"])


@router.get("/{project_id}/photos/{photo_id}/result", response_class=Response, responses=binary(OCTETS))
async def kept_result(service: TheService, project_id: str, photo_id: str) -> Response:
    """Return the kept result over the working copy, as `segment` gives it, even if marks have changed since."""
    opened = service.projects.find(project_id)
    photo_of(opened, photo_id)
    planes = await asyncio.to_thread(kept_planes, opened.project.folder, photo_id)
    if planes is None:
        raise ApiError(404, "no_result", "no result of this photo is kept; ask for one by POST")
    return _planes(planes, opened.project.state.version)


def _planes(content: bytes, version: int) -> Response:
    return Response(content, 200, {**_NOT_STORED, "X-Project-Version": str(version)}, OCTETS)


def _change(service: Service, opened: OpenProject, change: ProjectChange) -> None:
    """Change a project; whatever is refused is so before anything has changed."""
    project, state = opened.project, opened.project.state
    model = service.model(change.model or state.model)
    use = change.use or state.use
    known = service.models[model].label_set.names if use == "correct" else ()
    given = change.classes
    if given is None:
        same = range(len(state.label_set))
        given = [ChangedClass(was=i, name=state.label_set.names[i], colour=None) for i in same]
        colours = list(state.label_set.palette[: len(given)])
    else:
        colours = [_colour(one.colour) for one in given]  # type: ignore[misc]
    if tuple(one.name for one in given[: len(known)]) != known:
        raise ApiError(
            422, "invalid_input", f"the classes do not begin with those of {model}, which are to be corrected"
        )
    if (
        use == state.use == "correct"
        and model == state.model
        and [one.was for one in given[: len(known)]] != list(range(known_classes(service, state)))
    ):
        raise ApiError(422, "invalid_input", f"the classes of {model} cannot be moved or taken away")
    crf = None if change.crf is None else change.crf.given()
    if crf is not None:
        own_crf(service, state).changed(crf)
    if change.classes is not None:
        project.set_classes([(one.was, one.name, colour) for one, colour in zip(given, colours, strict=True)])
    if any(one is not None for one in (change.use, change.model, change.crf)):
        project.change(use=use, model=model, crf=crf)


async def _take_in_pending(request: Request, opened: OpenProject) -> None:
    """Look at one of the photos that lie in the project's folder but are not in it yet."""
    if not opened.pending:
        return
    file = opened.pending.pop(0)
    try:
        upload = await asyncio.to_thread(_file, opened, file)
        facts = await compute(request, project_jobs.look_at, photo=upload)
        async with opened.changing:
            await asyncio.to_thread(opened.project.enlist, file, facts.size, facts.notes)
    except ApiError as error:
        if error.status == 413:
            opened.skipped.append(error.message)
        else:  # the next request will try again
            opened.pending.append(file)
    except (DeepLabError, OSError) as error:
        opened.skipped.append(str(error))


def _file(opened: OpenProject, file: str) -> Upload:
    return Upload(file, opened.project.path(file).read_bytes())


def _colour(given: str | None) -> Colour | None:
    if given is None:
        return None
    red, green, blue = bytes.fromhex(given[1:])
    return red, green, blue
