"""Photos on the web: a server on the loopback that answers well, badly, and not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import deeplab.web
from deeplab.batch import web
from deeplab.batch.remote import RemotePhoto, find_anywhere
from deeplab.batch.web import read_web
from deeplab.errors import ImageError
from deeplab.label_maps import read_label_map
from deeplab.web import file_name

REDIRECTIONS = {"/moved.png": "/cat.png", "/file": "file:///etc/passwd", "/ftp": "ftp://127.0.0.1/cat.png"}


@pytest.fixture
def host(tmp_path: Path, photo: NDArray[np.uint8]) -> Iterator[str]:
    """The address of a server with ``cat.png``."""
    Image.fromarray(photo).save(tmp_path / "cat.png")
    content = (tmp_path / "cat.png").read_bytes()
    ended = threading.Event()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/silent":
                ended.wait(60)
            elif path in REDIRECTIONS:
                self.send_response(302)
                self.send_header("Location", REDIRECTIONS[path])
                self.end_headers()
            elif path in ("/cat.png", "/short.png"):
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) + 9 * (path == "/short.png")))
                self.end_headers()
                self.wfile.write(content)
            else:
                self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        ended.set()
        server.shutdown()


def test_a_photo_is_read_with_nothing_installed(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    for path in ("cat.png", "moved.png", "cat.png?size=a/b"):
        (photo,) = find_anywhere([f"{host}/{path}"])
        assert isinstance(photo, RemotePhoto)
        assert (str(photo), photo.stem) == (f"{host}/{path}", path.partition(".")[0])
        assert photo.read() == (tmp_path / "cat.png").read_bytes()


def test_what_goes_wrong_is_one_line(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeplab.web, "PATIENCE_S", 0.2)
    for path, reason in {
        "none.png": "the server says 404 Not Found",
        "file": "is not allowed",
        "ftp": "unknown url type: ftp",
        "short.png": "cut off after ",
        "silent": "timed out",
    }.items():
        with pytest.raises(ImageError, match=f"{path} cannot be read .*{reason}.*; check the address"):
            read_web(f"{host}/{path}")
    monkeypatch.setattr(web, "MOST_BYTES", 100)
    with pytest.raises(ImageError, match="larger than 0 MB"):
        read_web(f"{host}/cat.png")
    with pytest.raises(ImageError, match="cannot be read"):
        read_web("http://127.0.0.1:nope/cat.png")


def test_the_command_segments_it(host: str, tiny_model: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
    common = ("-o", str(tmp_path / "out"), "--model", str(tiny_model), "--no-crf")
    assert run("segment", f"{host}/cat.png", *common).status == 0
    assert run("segment", str(tmp_path / "cat.png"), "-o", str(tmp_path / "here"), *common[2:]).status == 0
    far, near = (read_label_map(tmp_path / folder / "cat.png") for folder in ("out", "here"))
    np.testing.assert_array_equal(far, near)
    assert run("segment", f"{host}/cat.png", *common).status == 0  # made anew in its place


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://a.org", "a.org"),
        ("https://a.org/b/c%20d.jpg?x=1", "c d.jpg"),
        ("https://a.org/", "a.org"),
        ("http://a.org/x%2F..%00", ".._"),
    ],
)
def test_what_a_file_is_called(address: str, name: str) -> None:
    assert file_name(address) == name
