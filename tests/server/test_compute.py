"""The queue, time limits, cancellation, and workers that die, seen by clients."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deeplab.server import program_jobs


@pytest.fixture(scope="module")
def strict(client_for: Any, tiny_model: Path) -> Iterator[Any]:
    """A server with a short time limit and room for one to wait."""
    with client_for(model=str(tiny_model), timeout_s=1.5, queue=1) as client:
        yield client


@pytest.fixture
def work_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that puts another job in the place of segmenting."""
    return lambda job: monkeypatch.setattr(program_jobs, "segment_upload", job)


def ask(client: Any, photo_png: bytes) -> tuple[int, str, Any]:
    answer = client.post("/api/v1/segment", params={"format": "mask"}, files={"photo": ("a.png", photo_png)})
    return answer.status_code, "" if answer.is_success else answer.json()["error"]["code"], answer


def later(client: Any, photo_png: bytes) -> Any:
    return client.later("POST", "/api/v1/segment", params={"format": "mask"}, files={"photo": ("a.png", photo_png)})


def metric(client: Any, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.01)


def wait_for_work(client: Any, photo_png: bytes, work_by: Any, stand_ins: Any) -> None:
    """Wait until the server's worker is there again, and see that it works."""
    work_by(partial(stand_ins.sleep, seconds=0))
    wait_for(lambda: metric(client, "deeplab_workers_busy") == 0)
    assert ask(client, photo_png)[2].content == b"done"


def test_a_worker_that_dies_fails_its_request_alone(
    client: Any, photo_png: bytes, stand_ins: Any, work_by: Any, tmp_path: Path
) -> None:
    restarts = metric(client, "deeplab_worker_restarts")
    info = client.post("/api/v1/photos", files={"photo": ("a.png", photo_png)}).json()
    work_by(partial(stand_ins.crash, file=str(tmp_path / "note")))
    assert ask(client, photo_png)[:2] == (500, "worker_died")
    wait_for_work(client, photo_png, work_by, stand_ins)
    assert metric(client, "deeplab_worker_restarts") == restarts + 2  # it was tried twice, and not once more
    assert client.post(f"/api/v1/photos/{info['id']}/refine", json={}).status_code == 200  # nothing kept was lost
    left = Path((tmp_path / "note").read_text())
    assert not left.parent.exists()  # and nothing decoded was left


def test_work_whose_worker_dies_once_is_done_by_another(
    client: Any, photo_png: bytes, stand_ins: Any, work_by: Any, tmp_path: Path
) -> None:
    work_by(partial(stand_ins.crash_once, file=str(tmp_path / "note")))
    assert ask(client, photo_png)[2].content == b"done"
    wait_for_work(client, photo_png, work_by, stand_ins)


def test_workers_that_are_killed_while_idle_cost_no_request(
    client_for: Any, tiny_model: Path, photo_png: bytes
) -> None:
    known = {child.pid for child in multiprocessing.active_children()}
    with client_for(model=str(tiny_model), workers=2) as client:
        workers = [child for child in multiprocessing.active_children() if child.pid not in known]
        assert len(workers) == 2
        for worker in workers:
            worker.kill()
        assert ask(client, photo_png)[0] == 200
        wait_for(lambda: metric(client, "deeplab_workers_busy") == 0)
        assert metric(client, "deeplab_worker_restarts") == 2


def test_work_that_takes_too_long_is_stopped(strict: Any, photo_png: bytes, stand_ins: Any, work_by: Any) -> None:
    work_by(stand_ins.sleep)
    status, code, answer = ask(strict, photo_png)
    assert (status, code) == (504, "time_limit")
    assert "1.5 s" in answer.json()["error"]["message"]
    wait_for_work(strict, photo_png, work_by, stand_ins)


def test_a_full_queue_refuses_and_says_when_to_come_back(
    strict: Any, photo_png: bytes, stand_ins: Any, work_by: Any
) -> None:
    wait_for(lambda: metric(strict, "deeplab_workers_busy") == 0)
    work_by(stand_ins.sleep)
    running = later(strict, photo_png)
    wait_for(lambda: metric(strict, "deeplab_workers_busy") == 1)
    waiting = later(strict, photo_png)
    wait_for(lambda: metric(strict, "deeplab_queue_waiting") == 1)
    status, code, answer = ask(strict, photo_png)
    assert (status, code) == (503, "busy")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert strict.get("/health").status_code == strict.get("/health/ready").status_code == 503
    assert strict.get("/health/live").status_code == 200
    assert running.result().status_code == 504
    assert waiting.result().status_code in (503, 504)  # its own time ran out meanwhile
    wait_for_work(strict, photo_png, work_by, stand_ins)
    assert strict.get("/health").status_code == 200


def test_a_request_that_waits_is_dropped_when_its_client_goes(
    client: Any, photo_png: bytes, stand_ins: Any, work_by: Any, tmp_path: Path
) -> None:
    cancelled = metric(client, "deeplab_cancelled_requests_total")
    work_by(partial(stand_ins.sleep, seconds=1))
    running = later(client, photo_png)
    wait_for(lambda: metric(client, "deeplab_workers_busy") == 1)
    work_by(partial(stand_ins.step_until_abandoned, file=str(tmp_path / "note")))
    goes = go_away(client, photo_png)
    wait_for(lambda: metric(client, "deeplab_queue_waiting") == 1)
    goes.set()
    wait_for(lambda: metric(client, "deeplab_queue_waiting") == 0)
    assert running.result().content == b"done"
    assert metric(client, "deeplab_cancelled_requests_total") == cancelled + 1
    wait_for_work(client, photo_png, work_by, stand_ins)
    assert not (tmp_path / "note").exists()


def test_work_ends_at_its_next_step_when_the_client_goes(
    client: Any, photo_png: bytes, stand_ins: Any, work_by: Any, tmp_path: Path
) -> None:
    restarts, note = metric(client, "deeplab_worker_restarts"), tmp_path / "note"
    work_by(partial(stand_ins.step_until_abandoned, file=str(note)))
    goes = go_away(client, photo_png)
    wait_for(note.exists)
    goes.set()
    wait_for(lambda: note.read_text() == "AbandonedError")
    wait_for_work(client, photo_png, work_by, stand_ins)
    assert metric(client, "deeplab_worker_restarts") == restarts


def test_work_without_steps_is_stopped_when_the_client_goes(
    client: Any, photo_png: bytes, stand_ins: Any, work_by: Any
) -> None:
    restarts = metric(client, "deeplab_worker_restarts")
    work_by(stand_ins.sleep)
    goes = go_away(client, photo_png)
    wait_for(lambda: metric(client, "deeplab_workers_busy") == 1)
    goes.set()
    wait_for_work(client, photo_png, work_by, stand_ins)
    assert metric(client, "deeplab_worker_restarts") == restarts + 1


def go_away(client: Any, photo_png: bytes) -> threading.Event:
    """Ask as a client that closes its connection when the event returned is set."""
    goes = threading.Event()
    form = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n' + photo_png + b"\r\n--x--\r\n"
    parts = [{"type": "http.request", "body": form, "more_body": False}]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/v1/segment", "raw_path": b"/api/v1/segment", "query_string": b"format=mask", "root_path": "",
        "headers": [
            (b"host", b"localhost"), (b"content-type", b"multipart/form-data; boundary=x"),
            (b"content-length", str(len(form)).encode()),
        ],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        if parts:
            return parts.pop()
        while not goes.is_set():
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        pass

    client.portal.start_task_soon(client.app, scope, receive, send)
    return goes
