"""A real server on a real socket: slow clients, crowds, clients that hang up, and the end."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from resource import RLIMIT_NOFILE, getrlimit
from select import select
from typing import Any

import httpx
import numpy as np
import pytest

from deeplab.server.guard import SECURITY_HEADERS

HEAD = (
    b"POST /api/v1/segment?format=mask HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
)
PART = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any]) -> Any:
    limits = {"timeout-s": 300, "queue": 2, "max-upload-mb": 1, "upload-timeout-s": 1, "connections": 40}
    return start_server(*(word for name, value in limits.items() for word in (f"--{name}", str(value))))


@pytest.fixture(scope="module")
def patient(start_server: Callable[..., Any]) -> Any:
    """A server that closes a connection for want of room only, not for want of time."""
    return start_server("--connections", "40", "--upload-timeout-s", "300", "--timeout-s", "300")


@pytest.fixture(autouse=True)
def _still_there(server: Any) -> Any:
    """After every test, the server answers."""
    yield
    wait_for(lambda: healthy(server))


def healthy(server: Any) -> bool:
    with suppress(httpx.TransportError):
        return bool(httpx.get(f"{server.url}/health", timeout=60).status_code == 200)
    return False


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.02)


def metric(server: Any, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics", timeout=60).text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def connect(server: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=300)


def answer_to(server: Any, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send parts, with pauses, and return all that comes back until the server closes the connection."""
    received = b""
    with connect(server) as stream, suppress(ConnectionError):
        for part in parts:
            if select([stream], [], [], pause_s)[0] and pause_s:
                break  # it has answered, and would not take more
            stream.sendall(part)
        while piece := stream.recv(65536):
            received += piece
    return received


def test_a_body_that_trickles_in_is_given_up(server: Any) -> None:
    received = answer_to(server, HEAD + b"Content-Length: 100000\r\n\r\n" + PART, *[b"-"] * 30, pause_s=0.1)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b'"too_slow"' in received


@pytest.mark.parametrize("first", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_headers_that_trickle_in_are_given_up(server: Any, first: bytes) -> None:
    """Also those of a second request on the same connection."""
    received = b""
    with connect(server) as stream, suppress(ConnectionError):
        stream.sendall(first)
        for letter in b"GET /" + b"y" * 60:
            if select([stream], [], [], 0.1)[0]:
                received += (piece := stream.recv(65536))
                if not piece:
                    break
            stream.sendall(bytes([letter]))
        else:
            pytest.fail("the server still listens after six seconds")
    assert received.count(b"HTTP/1.1") == bool(first)


@pytest.mark.parametrize(
    "first", [b"", HEAD + b"Content-Length: 100000\r\n\r\n" + PART], ids=["nothing", "a beginning"]
)
def test_thousands_of_connections_that_say_nothing_more_are_closed(server: Any, first: bytes) -> None:
    """While all of them are still held open here, the server answers others, and holds few of them itself."""
    with ExitStack() as crowd:
        for _ in range(min(3000, getrlimit(RLIMIT_NOFILE)[0] - 500)):
            with suppress(ConnectionError):
                crowd.enter_context(connect(server)).sendall(first)
        assert server.open_files() < 600  # 2 x 40, and those just accepted
        wait_for(lambda: healthy(server))


def test_an_answer_that_nobody_reads_is_given_up(server: Any, encode: Any) -> None:
    files = {"photo": ("p.png", encode(np.zeros((600, 600, 3), np.uint8)))}
    photo_id = httpx.post(f"{server.url}/api/v1/photos", files=files, timeout=300).json()["id"]
    body = b'{"every_iteration": true, "iterations": 20}'  # 15 MB, more than a connection's buffers hold
    head = f"POST /api/v1/photos/{photo_id}/refine HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.connect(("127.0.0.1", server.port))
        stream.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert stream.recv(12) == b"HTTP/1.1 200"
        before = server.open_files()
        wait_for(lambda: server.open_files() < before)


def test_an_answer_that_is_read_slowly_arrives(server: Any, encode: Any) -> None:
    """Slower than the server waits for a client that reads nothing, but always a little."""
    files = {"photo": ("p.png", encode(np.zeros((600, 600, 3), np.uint8)))}
    photo_id = httpx.post(f"{server.url}/api/v1/photos", files=files, timeout=300).json()["id"]
    asked, received = {"every_iteration": True, "iterations": 20}, 0
    with httpx.stream("POST", f"{server.url}/api/v1/photos/{photo_id}/refine", json=asked, timeout=300) as answer:
        for number, part in enumerate(answer.iter_raw(1 << 17)):
            received += len(part)
            time.sleep(0.1 if number < 30 else 0)  # three seconds in all; the server waits for one
    assert received == 21 * 2 * 600 * 600


def test_an_announced_body_too_large_is_refused_before_any_of_it_comes(server: Any) -> None:
    received = answer_to(server, HEAD + b"Content-Length: 100000000\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 413 ")  # rather than 408 after a wait
    assert b'"too_large"' in received
    assert b"connection: close" in received.lower()


def test_a_body_without_a_length_is_cut_off_at_the_limit(server: Any) -> None:
    chunk = b"20000\r\n" + bytes(0x20000) + b"\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n" % (len(PART), PART)
    received = answer_to(server, head, *[chunk] * 9)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in received
    assert b"connection: close" in received.lower()


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
)
def test_damaged_requests(server: Any, request_: bytes) -> None:
    received = answer_to(server, request_)
    assert received.startswith(b"HTTP/1.1 400 ")
    head, _, body = received.partition(b"\r\n\r\n")
    assert json.loads(body)["error"]["code"] == "bad_request"
    for header in SECURITY_HEADERS:
        assert f"\n{header}: ".lower().encode() in head.lower()


@pytest.mark.parametrize("first", [b"", b"GET /", HEAD + b"Content-Length: 100000\r\n\r\n" + PART])
def test_those_who_say_nothing_shut_nobody_out(patient: Any, first: bytes) -> None:
    """Though the server would wait for each of them for minutes."""
    with ExitStack() as crowd:
        for _ in range(300):
            with suppress(ConnectionError):
                crowd.enter_context(connect(patient)).sendall(first)
        if first.startswith(b"POST"):  # a body may stall for a while
            wait_for(lambda: healthy(patient))
        for _ in range(50):
            assert httpx.get(f"{patient.url}/health", timeout=60).status_code == 200


def test_connections_that_are_kept_shut_nobody_out(patient: Any) -> None:
    with ExitStack() as crowd:
        for _ in range(100):
            client = crowd.enter_context(httpx.Client(timeout=60))
            assert client.get(f"{patient.url}/static/main.js").status_code == 200


def test_a_body_that_is_on_its_way_gives_place_to_nobody(patient: Any, photo_png: bytes) -> None:
    body = PART + photo_png + b"\r\n--x--\r\n"
    with ExitStack() as crowd, connect(patient) as stream:
        stream.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert stream.recv(100).startswith(b"HTTP/1.1 100")
        for _ in range(60):
            crowd.enter_context(connect(patient))
        stream.sendall(body)
        assert stream.recv(12) == b"HTTP/1.1 200"


def test_a_crowd_is_served_or_told_to_come_back(server: Any, photo_png: bytes) -> None:
    def ask(_: int) -> tuple[int, bool]:
        answer = httpx.post(f"{server.url}/api/v1/segment", files={"photo": ("a.png", photo_png)}, timeout=300)
        return answer.status_code, "retry-after" in answer.headers

    with ThreadPoolExecutor(8) as clients:
        answers = set(clients.map(ask, range(24)))
    assert answers <= {(200, False), (503, True)}
    assert (200, False) in answers


def work(encode: Any, side_px: int) -> httpx.Request:
    """A request that keeps a worker busy: for a second or more with 500 pixels, and a multiple of that with more."""
    scores = io.BytesIO()
    np.save(scores, np.random.default_rng(1).normal(size=(12, 50, 50)).astype(np.float16))
    cells = np.random.default_rng(2).integers(0, 256, (50, 50, 3), np.uint8)
    photo = encode(cells.repeat(side_px // 50, 0).repeat(side_px // 50, 1))
    files = {"photo": ("p.png", photo), "scores": ("s.npy", scores.getvalue())}
    return httpx.Request("POST", "http://127.0.0.1/api/v1/refine", params={"iterations": 25}, files=files)


def test_work_for_a_client_that_hangs_up_is_cancelled(server: Any, encode: Any) -> None:
    cancelled = metric(server, "deeplab_cancelled_requests_total")
    request = work(encode, side_px=2000)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with connect(server) as client:
        client.sendall(f"POST {request.url.raw_path.decode()} HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        wait_for(lambda: metric(server, "deeplab_workers_busy") == 1)
    wait_for(lambda: metric(server, "deeplab_cancelled_requests_total") == cancelled + 1)


def test_at_the_end_what_runs_is_finished_and_new_work_refused(start_server: Any, encode: Any) -> None:
    server = start_server()
    with ThreadPoolExecutor(1) as client:
        request = work(encode, side_px=600)
        url = f"{server.url}{request.url.raw_path.decode()}"
        running = client.submit(httpx.post, url, content=request.read(), headers=request.headers, timeout=300)
        wait_for(lambda: metric(server, "deeplab_workers_busy") == 1)
        server.terminate()
        wait_for(lambda: not healthy(server))
        assert running.result().status_code == 200
    log = server.end()
    assert log[0]["event"] == "started"
    assert log[-1]["event"] == "stopped"
    finished = next(line for line in log if line.get("path") == "/api/v1/refine")
    assert (finished["status"], finished["method"]) == (200, "POST")
