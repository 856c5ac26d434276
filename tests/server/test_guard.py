"""Who may ask, what the browser is told, what is logged and counted."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deeplab.server.guard import SECURITY_HEADERS
from deeplab.server.logs import JsonLines

TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def guarded(client_for: Any, tiny_model: Path) -> Iterator[Any]:
    """A server with a token, behind a proxy."""
    with client_for(model=str(tiny_model), token=TOKEN, allowed_hosts=("photos.example.org",)) as client:
        yield client


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "[::1]"])
def test_the_loopbacks_names_are_answered(client: Any, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "192.168.0.7", "localhost.evil.example:8000", "", "[evil]", "["],
)
def test_other_names_are_not(client: Any, host: str) -> None:
    """A page that points its own name at this machine (DNS rebinding) sends that name."""
    for path in ("/", "/static/main.js", "/openapi.json", "/api/v1/models", "/metrics", "/health"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert answer.json()["error"]["code"] == "unknown_host"


def test_a_proxys_name_is_answered_where_it_was_given(guarded: Any) -> None:
    assert guarded.get("/health", headers={"Host": "photos.example.org"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://127.0.0.1:9000"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_other_sites_pages_may_not_post(client: Any, photo_png: bytes, headers: dict[str, str], allowed: bool) -> None:
    answer = client.post("/api/v1/segment", files={"photo": ("a.png", photo_png)}, headers=headers)
    assert answer.status_code == (200 if allowed else 403)
    delete = client.request("DELETE", "/api/v1/photos/x", headers=headers)
    assert delete.status_code == (404 if allowed else 403)


STRANGE = [
    b"[", b"http://[", b"http://[::1", b"http://127.0.0.1:8000:9", b"http://127.0.0.1:99999999999", b"://", b"\xff\xfe",
    b"http://\xe4.example", b"9" * 5000, b"-1", b"1e9", b"\xb2", b"\xd9\xa3", b"", b" ", b";;==;,", b"%00", b'"',
    b"a" * 9000, b"bytes=" + b"9" * 5000 + b"-", b"bytes=5-1,-,x", b"multipart/form-data; boundary=\xff",
    b"multipart/form-data; boundary", b"multipart/form-data; boundary=" + b"x" * 500,
    b"application/json; charset=nonsense", b"Mon, 99 Foo 99999 99:99:99 GMT", b'a="\\777"; b=', b"Bearer", b"W/",
]  # fmt: skip
NAMES = [
    "Origin", "Host", "Content-Length", "Content-Type", "Cookie", "Authorization", "Range", "If-Range", "If-None-Match",
    "If-Modified-Since", "Sec-Fetch-Site", "Accept", "Accept-Encoding", "Transfer-Encoding", "Expect", "Forwarded",
    "X-Forwarded-For", "Connection", "Upgrade", "Referer", "Date", "Content-Encoding",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_header_that_makes_no_sense_is_answered_as_any_other(client: Any, photo_png: bytes, name: str) -> None:
    for value in STRANGE:
        answers = [
            client.request(method, path, headers={name: value}, **body)
            for method, path, body in (
                ("GET", "/", {}),
                ("GET", "/static/style.css", {}),
                ("GET", "/api/v1/models", {}),
                ("POST", "/api/v1/photos/x/refine", {"content": b"{}"}),
                ("POST", "/api/v1/segment", {"content": photo_png}),
            )
        ]
        for answer in answers:
            assert answer.status_code < 500, (value, answer.text)
            assert SECURITY_HEADERS.items() <= {key.title(): text for key, text in answer.headers.items()}.items()
            if answer.status_code >= 400:
                assert answer.json()["error"]["message"], (value, answer.text)


def test_other_sites_scripts_may_not_read(client: Any) -> None:
    answer = client.get("/api/v1/models", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert client.request("OPTIONS", "/api/v1/segment", headers={"Origin": "https://evil.example"}).status_code == 405


def test_the_browser_is_told_to_trust_nothing_else(client: Any) -> None:
    for path in ("/", "/static/style.css", "/api/v1/models", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401), (f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), (f"Bearer {TOKEN}x", 401), ("Bearer ", 401),
        (f"Bearer {TOKEN[:-1]}", 401), (f"Basic {TOKEN}", 401), (TOKEN, 401), ("Bearer \u00e9", 401),
    ],
)  # fmt: skip
def test_a_token_is_asked_for(guarded: Any, authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    for path in ("/api/v1/models", "/metrics"):
        answer = guarded.get(path, headers=headers)
        assert answer.status_code == status
        assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)
    assert guarded.get("/", headers=headers).status_code == 200  # the page asks for the token
    assert guarded.get("/health", headers=headers).status_code == 200


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the server logs, even where an earlier test's server has its log to itself."""
    monkeypatch.setattr(logging.getLogger("deeplab.server"), "propagate", True)
    caplog.set_level(logging.INFO, "deeplab.server")
    return caplog


def test_the_log_has_a_line_of_facts_and_no_secrets(
    guarded: Any, photo_png: bytes, logged: pytest.LogCaptureFixture
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = guarded.post(
        "/api/v1/photos", params={"model": "tiny"}, files={"photo": ("holiday.png", photo_png)}, headers=headers
    )
    photo_id = answer.json()["id"]
    guarded.get(f"/api/v1/photos/{photo_id}/network", headers=headers)
    guarded.get("/api/v1/models", headers={"Authorization": "Bearer wrong-token"})
    guarded.get("/no%0Asuch%1B[31m")
    lines = [JsonLines().format(record) for record in logged.records]
    assert all("\n" not in line and "\x1b" not in line for line in lines)
    taken, read, refused, unknown = (json.loads(line) for line in lines)
    assert taken.pop("ms") > 0
    assert taken.pop("time")
    assert taken == {
        "level": "info", "event": "request", "id": answer.headers["x-request-id"], "method": "POST",
        "path": "/api/v1/photos", "status": 201, "pixels": 5400,
    }  # fmt: skip
    assert read["path"] == "/api/v1/photos/{photo_id}/network"
    assert (refused["path"], refused["status"]) == ("/api/v1/models", 401)
    assert unknown["status"] == 404
    for secret in (TOKEN, "wrong-token", "holiday", photo_id):
        assert secret not in "".join(lines)


def test_failures_are_logged_with_their_cause_under_the_requests_id(
    guarded: Any, photo_png: bytes, stand_ins: Any, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deeplab.server import program_jobs

    monkeypatch.setattr(program_jobs, "segment_upload", stand_ins.stumble)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = guarded.post("/api/v1/segment", files={"photo": ("a.png", photo_png)}, headers=headers)
    failed, request = (json.loads(JsonLines().format(record)) for record in logged.records)
    assert failed["level"] == "error"
    assert "KeyError" in failed["error"]
    assert failed["id"] == request["id"] == answer.headers["x-request-id"]
    assert request["status"] == 500


def test_metrics_count(guarded: Any, photo_png: bytes) -> None:
    def value(name: str) -> float:
        text = guarded.get("/metrics", headers=headers).text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    headers = {"Authorization": f"Bearer {TOKEN}"}
    requests = 'deeplab_requests_total{method="POST",route="/api/v1/photos",status="201"}'
    before = value(requests), value("deeplab_photo_pixels_total"), value("deeplab_photos_kept")
    answer = guarded.post("/api/v1/photos", files={"photo": ("a.png", photo_png)}, headers=headers)
    assert value(requests) == before[0] + 1
    assert value("deeplab_photo_pixels_total") == before[1] + 5400
    assert value("deeplab_photos_kept") == before[2] + 1
    assert value("deeplab_photos_bytes") > 5400 * 6
    guarded.request("DELETE", f"/api/v1/photos/{answer.json()['id']}", headers=headers)
    assert value("deeplab_photos_kept") == before[2]
    guarded.get("/nothing/of/the/kind")
    assert "of/the/kind" not in guarded.get("/metrics", headers=headers).text  # strangers make no new series


@pytest.mark.parametrize("path", ["/", "/static/style.css"])
def test_browsers_ask_again_for_the_page_after_an_upgrade(client: Any, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-cache"
