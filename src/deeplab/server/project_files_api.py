"""The endpoints that give a project's files: photos, results, and all of them in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Literal
from zipfile import ZIP_STORED, ZipFile

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from deeplab.errors import DeepLabError
from deeplab.formats import FORMATS
from deeplab.server import pictures, project_jobs
from deeplab.server.errors import ApiError
from deeplab.server.project_info import at, photo_of
from deeplab.server.project_jobs import THUMBNAIL_SIDE_PX, At
from deeplab.server.projects import OpenProject
from deeplab.server.schemas import OCTETS, binary
from deeplab.server.service import Classes, Service, TheService, compute
from deeplab.teach.project import FOLDERS
from deeplab.teach.project_file import PROJECT_FILE

router = APIRouter(prefix="/api/v1/projects", tags=["projects"])

_NOT_STORED = {"Cache-Control": "no-store"}
_PICTURES = {"masks.zip": "mask", "overlays.zip": "overlay", "cutouts.zip": "cutout"}
_ANNOTATIONS = {f"{name}{one.suffix or '.zip'}": name for name, one in FORMATS.items()}
_TYPES = {"zip": "application/zip", "json": "application/json", "onnx": OCTETS}


@router.get("/{project_id}/photos/{photo_id}/photo.jpg", response_class=Response, responses=binary("image/jpeg"))
async def photo_jpeg(request: Request, service: TheService, project_id: str, photo_id: str) -> Response:
    """Return the upright working copy of a photo."""
    return await _copy(request, service, project_id, photo_id, None)


@router.get("/{project_id}/photos/{photo_id}/thumbnail.jpg", response_class=Response, responses=binary("image/jpeg"))
async def thumbnail_jpeg(request: Request, service: TheService, project_id: str, photo_id: str) -> Response:
    """Return a small copy of a photo."""
    return await _copy(request, service, project_id, photo_id, THUMBNAIL_SIDE_PX)


@router.get(
    "/{project_id}/photos/{photo_id}/{result}",
    response_class=Response,
    responses=binary("image/png", "image/jpeg"),
)
async def download(
    request: Request,
    service: TheService,
    project_id: str,
    photo_id: str,
    result: Literal["mask.png", "overlay.jpg", "cutout.png"],
    classes: Classes = (),
) -> Response:
    """Return a file of a photo's full size: palette label map, photo tinted by class, or RGBA cutout.

    All but the classes named, if any are, becomes background, or void where that is named; in the cutout, transparent.
    """
    opened = service.projects.find(project_id)
    photo = photo_of(opened, photo_id, sound=True)
    request.state.pixels = photo.size[0] * photo.size[1]
    kind = result.partition(".")[0]
    draw = _draw(opened, at(opened), photo_id, kind, opened.project.state.label_set.labels_of(classes))
    content = await compute(request, draw)
    _, ending, media_type = pictures.PICTURES[kind]
    headers = {**_NOT_STORED, "Content-Disposition": pictures.attachment(photo.name, ending)}
    return Response(content, 200, headers, media_type)


@router.get("/{project_id}/exports/{file}", response_class=Response, responses=binary(*_TYPES.values()))
async def export(request: Request, service: TheService, project_id: str, file: str, classes: Classes = ()) -> Response:
    """Return all photos' masks, overlays or cutouts, their annotations for another tool, the model, or the project."""
    opened = service.projects.find(project_id)
    kind = file.rpartition(".")[2]
    name = "deeplab" if opened.temporary else opened.project.folder.resolve().name
    headers = {**_NOT_STORED, "Content-Disposition": pictures.attachment(f"{name}.zip", f"-{file}")}
    if file == "project.zip":
        return StreamingResponse(_project_zip(opened), 200, headers, _TYPES[kind])
    if file in _PICTURES:
        wanted = opened.project.state.label_set.labels_of(classes)
        return StreamingResponse(
            _pictures_zip(service, opened, at(opened), _PICTURES[file], wanted), 200, headers, _TYPES[kind]
        )
    if file == "model.onnx":
        if opened.project.state.use != "teach":
            raise ApiError(409, "not_taught", "a project that corrects a model teaches none; change its use to teach")
        content = await compute(request, project_jobs.model_file, at=at(opened), name="taught")
    elif file in _ANNOTATIONS:
        content = await _annotations(request, opened, at(opened), _ANNOTATIONS[file])
    else:
        known = ", ".join((*_PICTURES, *_ANNOTATIONS, "model.onnx", "project.zip"))
        raise ApiError(404, "not_found", f"there is no export {file!r}; there are {known}")
    return Response(content, 200, headers, _TYPES[kind])


async def _copy(request: Request, service: Service, project_id: str, photo_id: str, side_px: int | None) -> Response:
    opened = service.projects.find(project_id)
    photo, project = photo_of(opened, photo_id), At(opened.project.folder, opened.project.state)
    content = await compute(request, project_jobs.copy_of, at=project, photo=photo, side_px=side_px)
    return Response(content, 200, _NOT_STORED, "image/jpeg")


def _draw(opened: OpenProject, project: At, photo_id: str, kind: str, wanted: Sequence[int]) -> Any:
    made_of = opened.project.made_of(photo_id)
    return partial(project_jobs.draw, at=project, photo_id=photo_id, made_of=made_of, picture=kind, wanted=wanted)


async def _annotations(request: Request, opened: OpenProject, project: At, to: str) -> bytes:
    """Bring all results up to date, photo by photo, so that none takes longer than a request may, and write them."""
    made_of = {photo_id: opened.project.made_of(photo_id) for photo_id in project.state.photos}
    for photo_id in project.state.photos:
        photo_of(opened, photo_id, sound=True)
        await compute(request, project_jobs.refresh, at=project, photo_id=photo_id, made_of=made_of[photo_id])
    names = {
        key: f"{stem}.{project.state.photos[key].name.rpartition('.')[2]}"
        for key, stem in opened.project.stems().items()
    }
    return await compute(request, project_jobs.annotated, at=project, photos=names, made_of=made_of, to=to)


def _stems(opened: OpenProject) -> dict[str, str]:
    return opened.project.stems()


async def _pictures_zip(
    service: Service, opened: OpenProject, project: At, kind: str, wanted: Sequence[int]
) -> AsyncIterator[bytes]:
    """Yield a zip archive with a file for each photo, made one after the other; what went wrong is a text in it."""
    archive, problems = _Archive(), []
    ending = pictures.PICTURES[kind].ending
    for photo_id, stem in opened.project.stems().items():
        name = project.state.photos[photo_id].name
        try:
            photo_of(opened, photo_id, sound=True)
            content = await service.compute.run(_draw(opened, project, photo_id, kind, wanted))
        except (ApiError, DeepLabError, MemoryError) as error:
            problems.append(f"{name}: {error}\n")
        else:
            yield archive.add(f"{stem}{ending}", content)
    if problems:
        yield archive.add("problems.txt", "".join(problems).encode())
    yield archive.end()


async def _project_zip(opened: OpenProject) -> AsyncIterator[bytes]:
    """Yield the project's folder as a zip archive, without what can be made again."""
    folder, archive = opened.project.folder, _Archive()
    photos = [photo.file for photo in opened.project.state.photos.values()]
    kept = [path for part in FOLDERS if part not in ("photos", "cache") for path in sorted((folder / part).glob("*.*"))]
    for file in [PROJECT_FILE, *photos, *(path.relative_to(folder).as_posix() for path in kept)]:
        try:
            content = await asyncio.to_thread(opened.project.path(file).read_bytes)
        except (OSError, DeepLabError):  # it is gone, or leads out of the project
            continue
        yield archive.add(file, content)
    yield archive.end()


class _Archive:
    """A zip archive that is handed on while it grows."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._zip = ZipFile(self, "w", ZIP_STORED)  # type: ignore[call-overload]  # all it needs is write and flush

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def flush(self) -> None:
        pass

    def add(self, name: str, content: bytes) -> bytes:
        """Add a file, and return what the archive has grown by."""
        self._zip.writestr(name, content)
        return self._taken()

    def end(self) -> bytes:
        """Return the archive's end."""
        self._zip.close()
        return self._taken()

    def _taken(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken
