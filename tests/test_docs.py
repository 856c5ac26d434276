"""The Python of the README, of docs/ and of public docstrings runs as it stands, a page's blocks one after the other.

A block that needs what the tests lack has the comment `<!-- notest -->` on the line above it.
"""

import doctest
import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deeplab

ROOT = Path(__file__).parent.parent
TEXTS = {
    page.relative_to(ROOT).as_posix(): page.read_text()
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
PAGES = {
    page: "\n".join(re.findall(r"(?<!<!-- notest -->\n)```python\n(.*?)```", text, flags=re.DOTALL))
    for page, text in TEXTS.items()
}

PUBLIC_ROOMS = ("deeplab", "deeplab.batch", "deeplab.crf", "deeplab.teach")
ROOMS = [importlib.import_module(name) for name in PUBLIC_ROOMS]
PUBLIC = {name: getattr(room, name) for room in ROOMS for name in room.__all__}
EXAMPLES = [
    example
    for name, value in PUBLIC.items()
    for example in doctest.DocTestFinder().find(value, name, module=False, globs=PUBLIC | {"np": np})
    if example.examples
]


@contextmanager
def skipping_what_is_not_installed() -> Iterator[None]:
    """Skip a test that ends for want of another package, such as PyTorch."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("deeplab"):
            raise
        pytest.skip(f"needs {error.name}")


def test_every_public_class_and_function_has_an_example() -> None:
    shown = {example.name.split(".")[0] for example in EXAMPLES}
    assert {name for name in deeplab.__all__ if callable(getattr(deeplab, name))} <= shown


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_example_of_a_public_name_runs(
    example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize("page", [page for page, code in PAGES.items() if code])
def test_python_on_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    with skipping_what_is_not_installed():
        exec(compile(PAGES[page], page, "exec"), {})


def test_the_readme_can_be_followed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    assert "deeplab segment examples/cat.jpg" in TEXTS["README.md"]
    for _ in range(2):
        assert run("segment", "examples/cat.jpg").status == 0
        names: dict[str, Any] = {}
        exec(compile(PAGES["README.md"], "README.md", "exec"), names)
    before, after = (names[name].argmax(axis=0) for name in ("probabilities", "sharper"))
    assert (before != after).mean() == pytest.approx(0.16, abs=0.005)  # as the page says
    cat = names["result"].labels == names["result"].label_set.names.index("cat")
    overlap = [(cat & (labels == 1)).sum() / (cat | (labels == 1)).sum() for labels in (before, after)]
    assert overlap[1] > overlap[0] + 0.05  # nearer to what the network, which saw no box, finds


@pytest.mark.parametrize("page", PAGES)
def test_code_blocks_open_as_the_site_understands(page: str) -> None:
    # The site's Markdown takes a fence with more than a language for text, and what follows it for code.
    opening = re.findall(r"^(```.*)$", TEXTS[page], flags=re.MULTILINE)[::2]
    assert [fence for fence in opening if not re.fullmatch(r"```\w*", fence)] == []


def test_all_of_docs_is_meant_for_the_site() -> None:
    assert list((ROOT / "docs").rglob("*.py")) == []  # the site publishes whatever lies there


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXTS[page])
        if not ((ROOT / page).parent / link).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_names_on_a_page_exist(page: str) -> None:
    text = TEXTS[page]
    for name in set(re.findall(r"`(deeplab(?:\.\w+)+)`", text)):
        module, *attributes = name.split(".")
        with skipping_what_is_not_installed():
            found = importlib.import_module(module)
            for attribute in attributes:
                module += f".{attribute}"
                found = getattr(found, attribute, None) or importlib.import_module(module)
    missing = [
        path
        for path in set(re.findall(r"`((?:src|native|recipes|benchmarks)/[\w./-]+)`", text))
        if not (ROOT / path).exists()
    ]
    assert not missing
