from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deeplab.files import alone_in

Run = Callable[..., Any]


@pytest.fixture
def arguments(data: Path, tiny_model: Path, tmp_path: Path) -> list[str]:
    return [
        "reproduce", "voc2012", "--data", str(data), "--quick", "--threads", "1", "-o", str(tmp_path / "made" / "here"),
        "--variants", "largefov", "--trained", f"largefov={tiny_model}",
    ]  # fmt: skip


def test_the_command_writes_a_page_and_its_figures(run: Run, arguments: list[str], tmp_path: Path) -> None:
    outcome = run(*arguments, "--no-photos")
    assert outcome.status == 0
    page = tmp_path / "made" / "here" / "report.html"
    assert str(page) in outcome.out
    assert "QUICK" in page.read_text()
    assert json.loads(page.with_suffix(".json").read_text())["benchmark"] == "voc2012"
    assert "image/jpeg" not in page.read_text()


def test_a_folder_is_one_runs_alone(run: Run, arguments: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    folder.mkdir(parents=True)
    with alone_in(folder):
        refused = run(*arguments)
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert f"another run is at work in {folder}" in refused.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"voc2012": "cityscapes"}, "unknown data set 'cityscapes'"),
        ({"--trained": "--trained=largefov"}, "give NAME=FILE"),
        ({"--data": "--data=/nowhere"}, "there is no folder /nowhere/voc2012"),
    ],
)
def test_a_wrong_word_is_one_line(run: Run, arguments: list[str], change: dict[str, str], message: str) -> None:
    for old, new in change.items():
        at = arguments.index(old)
        arguments[at : at + 1 + old.startswith("--")] = [new]
    outcome = run(*arguments)
    assert outcome.status == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
