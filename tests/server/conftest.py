"""The server in this process, asked without a socket; and `deeplab serve` as a process of its own."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra serve")
httpx = pytest.importorskip("httpx", reason="needs httpx")

from anyio.from_thread import BlockingPortal, start_blocking_portal  # noqa: E402

from deeplab.server import settings  # noqa: E402
from deeplab.server.app import application  # noqa: E402

HERE = Path(__file__).parent


class Client:
    """Asks an application that runs in another thread's event loop."""

    def __init__(self, portal: BlockingPortal, app: Any) -> None:
        self.portal, self.app = portal, app
        transport = httpx.ASGITransport(app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", timeout=300)

    def request(self, method: str, url: str, **options: Any) -> Any:
        return self.portal.call(partial(self._client.request, method, url, **options))

    def later(self, method: str, url: str, **options: Any) -> Any:
        """Ask without waiting: a future of the answer, whose cancellation is the client going away."""
        return self.portal.start_task_soon(partial(self._client.request, method, url, **options))

    def get(self, url: str, **options: Any) -> Any:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Any:
        return self.request("POST", url, **options)


@contextmanager
def client_of(given: settings.Settings) -> Iterator[Client]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(application(given)) as app:
        yield Client(portal, app)


@pytest.fixture(scope="session")
def shared_client(tiny_model: Path, stand_ins: Any) -> Iterator[Client]:
    """A server of tight limits with the tiny network."""
    given = settings.Settings(
        model=str(tiny_model), max_upload_bytes=1 << 20, max_pixels=2_000_000, timeout_s=300, queue=2
    )
    with client_of(given) as client:
        yield client


@pytest.fixture(scope="session")
def client_for(stand_ins: Any) -> Callable[..., Any]:
    """Return a function that makes a context of a server of one model, with further settings."""

    @contextmanager
    def client_for(**given: Any) -> Iterator[Client]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "shipped_models", dict)  # loading them takes most of a second
            with client_of(settings.Settings(**given)) as client:
                yield client

    return client_for


@pytest.fixture
def client(shared_client: Client) -> Client:
    """The shared server; every test leaves it idle."""
    return shared_client


@pytest.fixture(scope="session")
def stand_ins() -> Any:
    """The module `stand_ins`, which the worker imports, too: it gets this process's path."""
    sys.path.append(str(HERE))
    return importlib.import_module("stand_ins")


Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Return a function that encodes an (H, W) or (H, W, 3) uint8 image, as PNG unless told otherwise."""

    def encode(image: NDArray[np.uint8], encoding: str = "PNG", **options: Any) -> bytes:
        file = io.BytesIO()
        Image.fromarray(image).save(file, format=encoding, **options)
        return file.getvalue()

    return encode


@pytest.fixture
def photo_png(photo: NDArray[np.uint8], encode: Encode) -> bytes:
    return encode(photo)


class ServerProcess:
    """`deeplab serve` in a process of its own."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self._log = TemporaryFile("w+")  # noqa: SIM115 (a pipe would fill up, and stop the server)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deeplab", "serve", "--port", "0", "--no-open", *arguments],
            env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        found = re.search(r"http://\S+", first)
        if found is None:
            self._process.wait(timeout=300)
            pytest.fail(f"deeplab serve did not start: {first}{self._read_log()}")
        self.url = found[0].rstrip("/")
        self.port = int(self.url.rpartition(":")[2])

    def open_files(self) -> int:
        """How many files and connections the server itself holds open."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> list[dict[str, Any]]:
        """Wait for the end, and return the log's lines."""
        self._process.communicate(timeout=300)
        return [json.loads(line) for line in self._read_log().splitlines()]

    def kill(self) -> None:
        if self._log.closed:  # it was killed before
            return
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _read_log(self) -> str:
        self._log.seek(0)
        return self._log.read()


@pytest.fixture(scope="module")
def start_server(tiny_model: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Return a function that starts `deeplab serve` with the tiny network and further arguments."""
    started: list[ServerProcess] = []

    def start(*arguments: str, model: Path = tiny_model, **variables: str) -> ServerProcess:
        started.append(ServerProcess("--model", str(model), *arguments, **variables))
        return started[-1]

    yield start
    for server in started:
        server.kill()
