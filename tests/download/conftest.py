"""Small archives of the published ones' shapes, and a server on the loopback that gives them in many ways."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab.download import ARCHIVES, Archive, archives, fetch

LISTS = {"train": ["a"], "val": ["v"], "trainval": ["a", "v"]}


def image(mode: str, value: int, kind: str) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(value).integers(0, 255, (24, 32, 3), np.uint8)
    (Image.fromarray(noise) if mode == "RGB" else Image.new(mode, (32, 24), value)).save(stream, kind)
    return stream.getvalue()


def mat(value: int) -> bytes:
    savemat = pytest.importorskip("scipy.io", reason="SBD's masks need SciPy").savemat
    stream = io.BytesIO()
    savemat(stream, {"GTcls": {"Segmentation": np.full((24, 32), value, np.uint8)}})
    return stream.getvalue()


def voc_files() -> dict[str, bytes]:
    root = "VOCdevkit/VOC2012/"
    files = {f"{root}JPEGImages/{name}.jpg": image("RGB", ord(name), "JPEG") for name in "abv"}
    files |= {f"{root}SegmentationClass/{name}.png": image("L", 3, "PNG") for name in "av"}
    files |= {f"{root}ImageSets/Segmentation/{name}.txt": "\n".join(of).encode() for name, of in LISTS.items()}
    return files | {f"{root}Annotations/a.xml": b"<a/>", f"{root}ImageSets/Main/train.txt": b"a"}


def sbd_files() -> dict[str, bytes]:
    root = "benchmark_RELEASE/dataset/"
    files = {f"{root}img/{name}.jpg": image("RGB", ord(name), "JPEG") for name in "abv"}
    files |= {f"{root}cls/{name}.mat": mat(12) for name in "abv"}
    files |= {f"{root}train.txt": b"a\nb", f"{root}val.txt": b"v", f"{root}cls/._b.mat": b"Mac OS X"}
    return files | {f"{root}inst/a.mat": b"", "benchmark_RELEASE/README": b"read me"}


def camvid_files() -> dict[str, bytes]:
    root = f"{ARCHIVES['camvid'].root}/"
    photos = {
        f"{root}{split}/0001TP_{n}.png": image("RGB", n, "PNG") for n, split in enumerate(("train", "val", "test"))
    }
    masks = {name.replace("/0001", "annot/0001"): image("L", 4, "PNG") for name in photos}
    return photos | masks | {f"{root}train.txt": b"/SegNet/CamVid/train/0001TP_0.png"}


def tar_of(files: dict[str, bytes], mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as packed:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return stream.getvalue()


@dataclass
class Host:
    """A server of files.

    Attributes:
        address: of its root.
        files: what it has, by path.
        ranges: whether it gives parts.
        cut: the next answers end after so many bytes each.
        fail: the next answers are these errors.
        asked: path and Range of every request.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    cut: list[int] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    known = Host()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append((self.path, self.headers["Range"]))
            if known.fail:
                self.send_error(known.fail.pop(0))
            elif self.path in known.moved:
                self.send_response(301)
                self.send_header("Location", known.moved[self.path])
                self.end_headers()
            elif self.path not in known.files:
                self.send_error(404)
            else:
                self.give(known.files[self.path])

        def give(self, content: bytes) -> None:
            begin = int(self.headers["Range"][6:-1]) if known.ranges and self.headers["Range"] else 0
            if begin and begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            end = begin + known.cut.pop(0) if known.cut else len(content)
            self.wfile.write(content[begin:end])

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        known.address = f"http://127.0.0.1:{server.server_port}"
        yield known
        server.shutdown()


@pytest.fixture
def published(host: Host, monkeypatch: pytest.MonkeyPatch) -> dict[str, Archive]:
    """The table of archives, each a small one at the server, under its own name."""
    contents = {
        "voc2012": tar_of(voc_files(), "w"),
        "sbd": tar_of(sbd_files(), "w:gz"),
        "vgg16": b"weights" * 1000,
        "camvid": zip_of(camvid_files()),
    }
    small = {}
    for name, content in contents.items():
        real = ARCHIVES[name]
        host.files[f"/{real.file_name}"] = content
        digest = f"md5:{hashlib.md5(content).hexdigest()}"
        addresses = (f"{host.address}/{real.file_name}",)
        small[name] = replace(real, addresses=addresses, size_bytes=len(content), digest=digest)
    monkeypatch.setattr(archives, "ARCHIVES", small)
    return small
