"""Requests to the server as a reader of strangers' files: small sound bodies, and what sends them."""

import asyncio
import io
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from PIL import Image

__all__ = ["ask", "requests"]

BOUNDARY = b"x0123456789"
JSON = (b"content-type", b"application/json")
MULTIPART = (b"content-type", b"multipart/form-data; boundary=" + BOUNDARY)
HEADERS = "host: 127.0.0.1:8000\norigin: http://127.0.0.1:8000\naccept: */*\nx: y\n"
QUERY = "bilateral_weight=4&iterations=3&format=mask&class=cat&min_confidence=0.5&kind=logits"
PROJECT_VERSION = 1  # of a new project
FORMATS = {"photo": b".png", "scores": b".npy"}
MARKS = [
    {"kind": "stroke", "label": 1, "points": [[3, 3], [12.5, 9]], "width_px": 4},
    {"kind": "box", "label": 2, "box": [4, 4, 20, 20]},
    {"kind": "region", "label": 1, "size": [4, 3], "runs": [2, 5]},
]
BODIES: dict[str, Any] = {
    "refine.json": {"bilateral_weight": 4.0, "iterations": 3, "every_iteration": True},
    "segment.json": {"bilateral_weight": 4.0, "iterations": 3, "crf": True},
    "marks.json": {"version": PROJECT_VERSION, "marks": MARKS},
    "change.json": {
        "version": PROJECT_VERSION, "use": "teach", "crf": {"bilateral_weight": 4.0},
        "classes": [{"name": "a", "colour": "#102030", "was": 0}, {"name": "b", "colour": None, "was": None}],
    },
}  # fmt: skip


class Request(NamedTuple):
    """What is sent where: its method, path, content type and body."""

    method: str
    path: str
    kind: tuple[bytes, bytes]
    body: bytes


def requests(folder: Path) -> None:
    """Lay out the bodies, the query and the headers."""
    photo, array = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)).save(photo, format="PNG")
    probabilities = np.random.default_rng(0).random((3, 24, 32), np.float32)
    np.save(array, probabilities / probabilities.sum(axis=0))
    (folder / "form.body").write_bytes(_form(photo=photo.getvalue(), scores=array.getvalue()))
    (folder / "query.txt").write_text(QUERY)
    (folder / "headers.txt").write_text(HEADERS)
    for name, content in BODIES.items():
        (folder / name).write_text(json.dumps(content))


def ask(model: Callable[[], bytes], folder: Path) -> None:
    """Send the files to every endpoint that takes a body; an answer of 500 is a traceback."""
    app, kept = server(model)
    query = (folder / "query.txt").read_bytes().replace(b"\n", b"")
    given = [line.partition(b":") for line in (folder / "headers.txt").read_bytes().splitlines()]
    headers = [(name.strip().lower(), value.strip()) for name, _, value in given if name.strip()]
    form = (folder / "form.body").read_bytes()
    refine, segment, marks, change = ((folder / name).read_bytes() for name in BODIES)
    with patch("builtins.print", lambda *_, **__: None):
        project, photo = _project(app)
        for request in (
            *(Request("POST", f"/api/v1/{path}", MULTIPART, form) for path in ("photos", "segment", "refine")),
            Request("POST", f"{kept}/refine", JSON, refine),
            Request("POST", f"{project}/photos", MULTIPART, form),
            Request("POST", f"{photo}/segment", JSON, segment),
        ):
            _sound(app, request, query, headers)
        for path, method, body in ((1, "PUT", marks), (0, "PATCH", change)):
            fresh = _project(app)[path]
            _sound(app, Request(method, f"{fresh}/marks" if path else fresh, JSON, body), query, headers)


@cache
def server(model: Callable[[], bytes]) -> tuple[Any, str]:
    """The application whose jobs run here and not in a worker, and the path of a photo that it keeps."""
    from deeplab.runtime import ScoreNetwork
    from deeplab.segment import Segmenter
    from deeplab.server.app import make_app
    from deeplab.server.guard import Guard
    from deeplab.server.metrics import Metrics
    from deeplab.server.page_jobs import open_photo
    from deeplab.server.photos import KeptPhoto, Photos
    from deeplab.server.projects import Projects
    from deeplab.server.service import Service
    from deeplab.server.settings import Settings
    from deeplab.server.uploads import Upload
    from deeplab.server.worker import JobContext

    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model())
        file.flush()
        network = ScoreNetwork(file.name, threads=1)
    context = JobContext({"tiny": Segmenter(network, threads=1)}, 1_000_000, 1, lambda: None)

    class Here:
        waiting, busy, restarts, full = 0, 0, 0, False

        async def run(self, job: Callable[[JobContext], Any]) -> Any:
            return job(context)

    settings = Settings(max_pixels=1_000_000, max_upload_bytes=1 << 20)
    photos = Photos(settings.photos, settings.photo_bytes, settings.photo_s)
    projects = Projects(settings, Path(tempfile.mkdtemp()))
    models = {"tiny": network.info}
    service = Service(settings, Here(), photos, projects, Metrics(), "tiny", models)  # type: ignore[arg-type]
    upload = Upload("x.png", _black())
    opened = open_photo(context, photo=upload, model="tiny", side_px=1024)
    return Guard(make_app(service), service), f"/api/v1/photos/{photos.keep(KeptPhoto(upload, 'tiny', opened))}"


def _project(app: Any) -> tuple[str, str]:
    """The paths of a new project and of its one photo."""
    paths: list[str] = []
    for path, kind, body in (("", JSON, b"{}"), ("/photos", MULTIPART, _form(photo=_black()))):
        request = Request("POST", f"{paths[-1] if paths else '/api/v1/projects'}{path}", kind, body)
        status, said = asyncio.run(_answer(app, request, b"", [(b"host", b"127.0.0.1:8000")]))
        if status != 201:
            raise AssertionError(f"{request.path} answered {status}: {said[:500]!r}")
        paths.append(f"{request.path}/{json.loads(said)['id']}")
    return paths[0], paths[1]


def _sound(app: Any, request: Request, query: bytes, headers: Any) -> None:
    status, said = asyncio.run(_answer(app, request, query, headers))
    if status >= 500 or not status:
        raise AssertionError(f"{request.path} answered {status}: {said[:500]!r}")


def _black() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(file, format="PNG")
    return file.getvalue()


def _form(**files: bytes) -> bytes:
    parts = (
        b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="x%s"\r\nContent-Type: image/png\r\n\r\n%s\r\n'
        % (BOUNDARY, name.encode(), FORMATS[name], data)
        for name, data in files.items()
    )
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


async def _answer(app: Any, request: Request, query: bytes, headers: Any) -> tuple[int, bytes]:
    length = (b"content-length", str(len(request.body)).encode())
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method, "scheme": "http",
        "path": request.path, "raw_path": request.path.encode(), "query_string": query,
        "headers": [*headers, request.kind, length], "root_path": "",
        "client": ("127.0.0.1", 9), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    waiting, answered, status, said = [request.body], asyncio.Event(), 0, b""

    async def receive() -> Any:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status, said
        status = message.get("status", status)
        said += message.get("body", b"")

    await app(scope, receive, send)
    answered.set()
    return status, said
