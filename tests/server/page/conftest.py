"""The page in a headless Chromium, on a server of its own with the shipped model."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deeplab import Segmentation, Segmenter

EXAMPLES = Path(__file__).parents[3] / "examples"
TIMEOUT_MS = 60_000  # far more than a busy machine needs


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of `deeplab serve`, without the slash."""
    command = [sys.executable, "-m", "deeplab", "serve", "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://[\w.:]+", server.stdout.readline())
        assert found
        yield found[0]
        server.terminate()


VisitPage = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[VisitPage]:
    """Return a function that opens the page in a new context; no request may leave the server, no script may fail."""
    problems: list[str] = []
    contexts = []

    def check(request: Any) -> None:
        if not request.url.startswith((f"{address}/", f"blob:{address}/")):
            problems.append(f"a request to {request.url}")

    def visit(**options: Any) -> Any:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options}))
        contexts[-1].set_default_timeout(TIMEOUT_MS)
        page = contexts[-1].new_page()
        page.on("request", check)
        page.on("filechooser", lambda chooser: None)  # or Chromium may miss one that a key opens at once
        page.on("pageerror", lambda error: problems.append(f"an error in a script: {error}"))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(visit: VisitPage) -> Any:
    """The page before a photo was opened."""
    return visit()


@pytest.fixture(scope="session")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small photo of a cat."""
    path = tmp_path_factory.mktemp("photos") / "cat.png"
    Image.open(EXAMPLES / "cat.jpg").resize((226, 150)).save(path)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two cups, the same turned over, and a cat, small."""
    folder = tmp_path_factory.mktemp("album")
    cup = Image.open(EXAMPLES / "coffee.jpg").resize((240, 160))
    cup.save(folder / "cup 1.png")
    cup.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "cup 2.png")
    Image.open(EXAMPLES / "cat.jpg").resize((226, 150)).save(folder / "cup 10.png")
    return [folder / name for name in ("cup 1.png", "cup 2.png", "cup 10.png")]


@pytest.fixture
def opened(page: Any, cat: Path) -> Any:
    """The page with the photo of the cat open."""
    return open_photo(page, cat)


@pytest.fixture(scope="session")
def open_a_photo() -> Callable[..., Any]:
    return open_photo


def open_photo(page: Any, *paths: Path) -> Any:
    page.set_input_files("#file", paths)
    page.locator("body[data-state=open]").wait_for()
    return page


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    return Segmenter.from_pretrained()


@pytest.fixture(scope="session")
def by_network(segmenter: Segmenter, cat: Path) -> Segmentation:
    """What the package says of the cat without the CRF."""
    return segmenter.segment(cat, crf=False)


@pytest.fixture(scope="session")
def by_crf(segmenter: Segmenter, cat: Path) -> Segmentation:
    """The same with the CRF."""
    return segmenter.segment(cat)
