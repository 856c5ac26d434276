"""Lines that are written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from deeplab.errors import OutputError
from deeplab.json_lines import append_line, as_line, cut_off, whole_lines


@pytest.mark.parametrize(
    "values", [{}, {"name": "Straße\n\u2028"}, {"name": os.fsdecode(b"Stra\xdfe.jpg")}, {"loss": [1.5, None]}]
)
def test_a_line_is_one_line_and_comes_back(values: dict[str, Any], tmp_path: Path) -> None:
    for _ in range(2):
        append_line(tmp_path / "log", values)
    content = (tmp_path / "log").read_bytes()
    assert content == 2 * as_line(values)
    lines, torn = whole_lines(content)
    assert [json.loads(line) for line in lines] == [values, values]
    assert torn == b""


@pytest.mark.parametrize("opened", [False, True])
def test_a_torn_line_is_told_apart_and_cut_off(opened: bool, tmp_path: Path) -> None:
    path = tmp_path / "log"
    for length in range(9):
        path.write_bytes(b'{"a": 1}\n{"b": 2}'[: 9 + length])
        lines, torn = whole_lines(path.read_bytes())
        assert (lines, torn) == ([b'{"a": 1}'], b'{"b": 2}'[:length])
        with path.open("r+b") as file:
            cut_off(file.fileno() if opened else path, torn)
        assert path.read_bytes() == b'{"a": 1}\n'
    assert whole_lines(b"") == ([], b"")


@pytest.mark.parametrize("opened", [False, True])
def test_what_does_not_fit_leaves_nothing(opened: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "log", os.write
    append_line(path, {"a": 1})
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    with path.open("ab") as file, pytest.raises(OutputError, match=r"cannot write .*log: No space left .*make room"):
        append_line(path, {"b": 2}, descriptor=file.fileno() if opened else None)
    assert path.read_bytes() == b'{"a": 1}\n'


def test_a_file_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*: Is a directory; make room, then start again to go on"):
        append_line(tmp_path, {})
