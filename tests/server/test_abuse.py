"""What is sent by mistake or with intent: each is refused in words, and the server goes on."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray

SENDERS = ("/api/v1/photos", "/api/v1/segment")


@pytest.fixture(autouse=True)
def _still_there(client: Any) -> Iterator[None]:
    """After every test, the same worker answers."""
    before = client.get("/health").status_code
    yield
    assert before == client.get("/health").status_code == 200


def send(client: Any, content: bytes, name: str = "photo.png", url: str = "/api/v1/segment", **options: Any) -> Any:
    return client.post(url, files={"photo": (name, content, *options.pop("media_type", ()))}, **options)


def message(answer: Any) -> str:
    found: str = answer.json()["error"]["message"]
    assert "Traceback" not in found
    assert "/tmp" not in found
    return found


def png(width: int, height: int, data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 8-bit grey with the header and the compressed data given."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return content


@pytest.mark.parametrize("url", SENDERS)
def test_more_pixels_than_allowed(client: Any, url: str) -> None:
    huge = png(50_000, 50_000, zlib.compress(bytes(1000)))
    bomb = png(1500, 1400, zlib.compress(bytes(1501 * 1400), 9))  # 2.1 megapixels in 2 kB
    for content in (huge, bomb):
        answer = send(client, content, url=url)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "too_many_pixels"
        assert "photo.png is too large" in message(answer)
        assert "MAX_IMAGE_PIXELS" not in message(answer)


def test_a_bomb_in_a_pngs_text(client: Any) -> None:
    text = b"comment\x00\x00" + zlib.compress(bytes(20 << 20), 9)
    answer = send(client, png(10, 10, zlib.compress(bytes(110)), (b"zTXt", text)))
    assert answer.status_code in (200, 422)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><html><script>alert(document.cookie)</script></html>"


@pytest.mark.parametrize("url", SENDERS)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.svg", SVG), ("a.png", SVG), ("a.html", HTML), ("a.jpg", HTML), ("a.jpg", b""), ("a.jpg", b"\xff\xd8\xff"),
        ("a.pdf", b"%PDF-1.7\n"), ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n"), ("a.zip", b"PK\x03\x04"),
        ("a.ico", b"\x00\x00\x01\x00"), ("a.txt", b"hello"), ("a.gif", b"GIF89a" + HTML), ("a.bmp", b"BM" + HTML),
    ],
)  # fmt: skip
def test_what_is_no_photo(client: Any, url: str, name: str, content: bytes) -> None:
    answer = send(client, content, name, url)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] in ("unreadable_photo", "empty_file")
    assert name in message(answer)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_truncated_photos(client: Any, encode: Any, photo: NDArray[np.uint8], encoding: str) -> None:
    content = encode(photo, encoding)
    answer = send(client, content[: len(content) // 2], "half")
    assert answer.status_code == 422
    assert "half" in message(answer)


def zipped() -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("scores.npy", HTML)
    return file.getvalue()


@pytest.mark.parametrize(
    ("encoding", "options", "appended", "name", "media_type"),
    [
        ("JPEG", {"comment": HTML}, HTML, "page.html", "text/html"),
        ("GIF", {"comment": b"*/=1;alert(1)//<script>"}, HTML, "code.js", "text/javascript"),
        ("PNG", {}, zipped(), "scores.npz", "application/zip"),
        ("BMP", {}, b"%PDF-1.7\n" + HTML, "paper.pdf", "application/pdf"),
    ],
)
def test_polyglots_are_photos_and_nothing_else(
    client: Any,
    encode: Any,
    photo: NDArray[np.uint8],
    encoding: str,
    options: dict[str, Any],
    appended: bytes,
    name: str,
    media_type: str,
) -> None:
    """A JPEG that is also HTML, say, is decoded, and what comes back was encoded anew."""
    polyglot = encode(photo, encoding, **options) + appended
    info = send(client, polyglot, name, "/api/v1/photos", media_type=(media_type,)).json()
    for result in ("photo.jpg", "mask.png", "overlay.jpg", "cutout.png"):
        answer = client.get(f"/api/v1/photos/{info['id']}/{result}")
        assert answer.headers["content-type"].startswith("image/")
        assert answer.headers["x-content-type-options"] == "nosniff"
        for left in (b"<script", b"alert(", b"PK\x03\x04", b"%PDF"):
            assert left not in answer.content


@pytest.mark.parametrize("media_type", ["text/html", "application/x-msdownload", "nonsense", "image/svg+xml"])
def test_a_parts_content_type_is_not_believed(client: Any, photo_png: bytes, media_type: str) -> None:
    assert send(client, photo_png, media_type=(media_type,)).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "image/png", "application/json", "multipart/form-data", ""])
@pytest.mark.parametrize("url", SENDERS)
def test_wrong_content_types(client: Any, photo_png: bytes, url: str, content_type: str) -> None:
    answer = client.post(url, content=photo_png, headers={"Content-Type": content_type})
    assert answer.status_code in (400, 422)
    assert message(answer)


MANY_FIELDS = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 15_000 + b"--x--\r\n"


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\n\r\n", b"--x\r\n" * 5000, bytes(1000), b"--x--\r\n", MANY_FIELDS]
)
def test_damaged_forms(client: Any, body: bytes) -> None:
    answer = client.post("/api/v1/segment", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (400, 422)
    assert message(answer)


@pytest.mark.parametrize(
    ("name", "shown", "saved"),
    [
        ("../../etc/passwd", "passwd", "passwd.png"),
        ("C:\\Windows\\cat.jpg", "cat.jpg", "cat.png"),
        ("a\x1b[31mb.jpg", "a[31mb.jpg", "a_31mb.png"),
        ('x"; filename="evil.exe', "x%22; filename=%22evil.exe", "x_22__filename__22evil.png"),
        ("<img src=x onerror=alert(1)>.jpg", "<img src=x onerror=alert(1)>.jpg", "_img_src_x_onerror_alert_1__.png"),
        ("猫.jpg", "猫.jpg", "_.png"),
        ("..", "photo", "photo.png"),
        ("." * 300 + "jpg", "jpg", "jpg.png"),
        ("n" * 1000, "n" * 80, "n" * 80 + ".png"),
        ("n" * 9000, None, None),
        ("CON\r\nSet-Cookie: a=b", None, None),
    ],
)
def test_names_do_no_harm(client: Any, photo_png: bytes, name: str, shown: str | None, saved: str | None) -> None:
    answer = send(client, photo_png, name, "/api/v1/photos")
    if answer.status_code in (400, 422):  # the form's own parser refused
        return
    info = answer.json()
    assert "<" not in answer.text
    download = client.get(f"/api/v1/photos/{info['id']}/mask.png").headers
    assert "set-cookie" not in download
    assert "/" not in info["name"]
    assert info["name"].isprintable()
    if shown is not None:
        assert info["name"] == shown
        assert download["content-disposition"].partition('filename="')[2].partition('"')[0] == saved


def test_a_body_too_large_is_refused_by_its_announcement(client: Any) -> None:
    answer = send(client, bytes(2 << 20))
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert "larger than 1 MiB" in message(answer)


def test_a_body_too_large_is_refused_while_it_comes(client: Any) -> None:
    """Without a Content-Length, and without reading it to the end."""
    parts = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal parts
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        for _ in range(1000):
            parts += 1
            yield bytes(100_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/api/v1/segment", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert parts <= 12
    assert "larger than 1 MiB" in message(answer)


def test_json_too_large_is_refused(client: Any) -> None:
    answer = client.post("/api/v1/photos/x/refine", json={"unknown": "x" * 100_000})
    assert answer.status_code == 413
    assert "larger than 0.0625 MiB" in message(answer)


def test_paths_lead_nowhere_else(client: Any) -> None:
    for path in ("../settings.py", "%2e%2e/settings.py", "..%2fsettings.py", "/etc/passwd", "%2fetc%2fpasswd", ""):
        answer = client.get(f"/static/{path}")
        assert answer.status_code == 404
        assert "import" not in answer.text


def test_what_nobody_foresaw_is_answered_without_details(
    client: Any, photo_png: bytes, stand_ins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deeplab.server import program_jobs

    monkeypatch.setattr(program_jobs, "segment_upload", stand_ins.stumble)
    answer = send(client, photo_png)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "failed"
    assert "secret" not in answer.text
    monkeypatch.setattr(program_jobs, "segment_upload", stand_ins.run_out)
    assert send(client, photo_png).status_code == 413


def test_json_answers_hold_nothing_of_html(client: Any, photo_png: bytes) -> None:
    answer = client.post("/api/v1/segment", params={"model": "<script>"}, files={"photo": ("a", photo_png)})
    assert "<" not in answer.text
    assert "<script>" in json.loads(answer.text)["error"]["message"]
