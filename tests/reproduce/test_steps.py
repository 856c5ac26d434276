"""Steps are done once, and again when what they depend on changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deeplab.data.samples import Sample
from deeplab.errors import DataError, OutputError
from deeplab.labels import VOC
from deeplab.reproduce.steps import Workspace, identity_of


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, lambda line: None, lambda *facts: None)


def test_a_step_is_done_once_for_the_same_inputs(workspace: Workspace) -> None:
    made: list[int] = []
    for inputs in ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}):
        done = workspace.step("count", inputs, lambda: made.append(1) or len(made))
    assert (len(made), done.result) == (2, 2)


def test_tuples_and_lists_are_the_same_input(workspace: Workspace) -> None:
    workspace.step("count", {"a": (1, 2)}, lambda: "first")
    assert workspace.step("count", {"a": [1, 2]}, lambda: "second").result == "first"


def test_a_step_that_fails_leaves_nothing_and_is_done_next_time(workspace: Workspace) -> None:
    with pytest.raises(ZeroDivisionError):
        workspace.step("divide", {}, lambda: 1 // 0)
    assert list(workspace.folder.iterdir()) == []
    assert workspace.step("divide", {}, lambda: 1).result == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"inputs": {}}', b"\xff\xfe"])
def test_a_damaged_file_is_made_anew(workspace: Workspace, damage: bytes) -> None:
    (workspace.folder / "count.json").write_bytes(damage)
    assert workspace.step("count", {}, lambda: 7).result == 7
    assert workspace.step("count", {}, lambda: 8).result == 7


def test_a_step_whose_files_are_gone_is_done_again(workspace: Workspace) -> None:
    file = workspace.folder / "picture.png"
    workspace.step("draw", {}, lambda: file.write_bytes(b"1"), makes=[file])
    file.unlink()
    workspace.step("draw", {}, lambda: file.write_bytes(b"2"), makes=[file])
    assert file.read_bytes() == b"2"


def test_a_folder_that_cannot_be_made_is_an_error(workspace: Workspace) -> None:
    (workspace.folder / "file").write_text("")
    with pytest.raises(OutputError, match="choose another with -o"):
        workspace.make_folder("file/below")


def test_photos_are_told_apart_by_their_files(tmp_path: Path) -> None:
    photo, mask = tmp_path / "a.jpg", tmp_path / "a.png"
    photo.write_bytes(b"photo")
    mask.write_bytes(b"mask")
    sample = Sample("a", photo, mask, VOC)
    before = identity_of([sample])
    assert identity_of([sample]) == before
    assert identity_of([replace(sample, name="b")]) != before
    assert identity_of([sample, sample]) != before
    mask.write_bytes(b"another")
    assert identity_of([sample]) != before
    mask.unlink()
    with pytest.raises(DataError, match=r"cannot read .*a\.png"):
        identity_of([sample])
