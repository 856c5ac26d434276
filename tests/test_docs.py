"""The Python of the README and of docs/ runs as it stands, each page's blocks one after the other.

A block that needs what the tests lack opens with three backquotes and `python notest`.
"""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = {
    page.relative_to(ROOT).as_posix(): "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL))
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}


@pytest.mark.parametrize("page", [page for page, code in PAGES.items() if code])
def test_python_on_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(PAGES[page], page, "exec"), {})


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
        if not ((ROOT / page).parent / link).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_names_on_a_page_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for name in set(re.findall(r"`(deeplab(?:\.\w+)+)`", text)):
        module, *attributes = name.split(".")
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
