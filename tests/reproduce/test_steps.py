"""Steps are done once, and again when what they depend on changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deeplab.data.samples import Sample
from deeplab.errors import DataError, OutputError
from deeplab.labels import VOC
from deeplab.reproduce.steps import Desk, identity_of


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, lambda line: None, lambda *facts: None)


def test_a_step_is_done_once_for_the_same_inputs(desk: Desk) -> None:
    made: list[int] = []
    for inputs in ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}):
        done = desk.step("count", inputs, lambda: made.append(1) or len(made))
    assert (len(made), done.result) == (2, 2)


def test_tuples_and_lists_are_the_same_input(desk: Desk) -> None:
    desk.step("count", {"a": (1, 2)}, lambda: "first")
    assert desk.step("count", {"a": [1, 2]}, lambda: "second").result == "first"


def test_a_step_that_fails_leaves_nothing_and_is_done_next_time(desk: Desk) -> None:
    with pytest.raises(ZeroDivisionError):
        desk.step("divide", {}, lambda: 1 // 0)
    assert list(desk.folder.iterdir()) == []
    assert desk.step("divide", {}, lambda: 1).result == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"inputs": {}}', b"\xff\xfe"])
def test_a_damaged_file_is_made_anew(desk: Desk, damage: bytes) -> None:
    (desk.folder / "count.json").write_bytes(damage)
    assert desk.step("count", {}, lambda: 7).result == 7
    assert desk.step("count", {}, lambda: 8).result == 7


def test_a_step_whose_files_are_gone_is_done_again(desk: Desk) -> None:
    file = desk.folder / "picture.png"
    desk.step("draw", {}, lambda: file.write_bytes(b"1"), makes=[file])
    file.unlink()
    desk.step("draw", {}, lambda: file.write_bytes(b"2"), makes=[file])
    assert file.read_bytes() == b"2"


def test_a_folder_that_cannot_be_made_is_an_error(desk: Desk) -> None:
    (desk.folder / "file").write_text("")
    with pytest.raises(OutputError, match="choose another with -o"):
        desk.make_folder("file/below")


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
