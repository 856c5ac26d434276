"""The live page, built once, and served as a site of files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deeplab import Segmenter

ROOT = Path(__file__).parents[2]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MS = 900_000  # far more than a busy machine needs

Visit = Callable[..., Any]


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the live page."""
    if missing := [tool for tool in ("node", "emcc") if shutil.which(tool) is None]:
        pytest.skip(f"needs {' and '.join(missing)} (apt install nodejs emscripten)")
    if not (ROOT / "live" / "node_modules").is_dir():
        pytest.skip("needs ONNX Runtime's web build (npm ci --prefix live)")
    folder = tmp_path_factory.mktemp("site") / "live"
    subprocess.run([sys.executable, ROOT / "live" / "build.py", folder], check=True, capture_output=True)
    return folder


class Files(SimpleHTTPRequestHandler):
    """A site of files, below /isolated/ with the headers that let a page have threads."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.replace("/isolated/", "/", 1))

    def end_headers(self) -> None:
        if self.path.startswith("/isolated/"):
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *given: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def address(live: Path) -> Iterator[str]:
    """Where the live page is served, with the slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(live))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    """Return a function that opens the live page in a new context, of a browser with `flags` for its engine.

    Nothing but files of the site is asked for, and no request carries anything.
    """
    problems: list[str] = []
    closing: list[Any] = []

    def check(request: Any) -> None:
        here = request.url.startswith((address, f"blob:{address}"))
        if not here or request.method != "GET" or request.post_data_buffer:
            problems.append(f"{request.method} {request.url}")

    def visit(path: str = "", *, flags: str = "", route: tuple[str, Callable[[Any], None]] | None = None) -> Any:
        started = browser
        if flags:
            program = next(filter(None, map(shutil.which, CHROMIUMS)))
            started = browser.browser_type.launch(executable_path=program, args=["--no-sandbox", f"--js-flags={flags}"])
        context = started.new_context(viewport={"width": 1280, "height": 860})
        closing.append(context if started is browser else started)
        context.set_default_timeout(TIMEOUT_MS)
        context.on("request", check)
        if route:
            context.route(*route)
        page = context.new_page()
        page.on("websocket", lambda socket: problems.append(f"a socket to {socket.url}"))
        page.on("pageerror", lambda error: problems.append(f"an error in a script: {error}"))
        page.goto(address + path)
        return page

    yield visit
    for opened in closing:
        opened.close()
    assert problems == []


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    return Segmenter.from_pretrained()
