"""The command, its table and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def leaves(write: Any, tmp_path: Path) -> Path:
    root = tmp_path / "leaves"
    for split, names in (("train", "abcdef"), ("val", "g")):
        for name in names:
            write.pair(
                root / split / "images" / f"{name}.jpg", root / split / "masks" / f"{name}.png", [0, 0, 0, 1] * 2
            )
    write.text(root / "classes.txt", "background\nleaf\nrust\nvoid: 9\n")
    return root


def test_good_data_gives_a_table_and_status_0(run: Run, leaves: Path) -> None:
    outcome = run("check-data", str(leaves))
    assert outcome.status == 0
    assert (
        outcome.out
        == f"""\
{leaves}: taken for photos and masks in two folders (--reader folder), 3 classes of {leaves}/classes.txt, \
void 255, background 'background'
photos: train 6, val 1

note: classes that never occur, 2: they can be neither learnt nor scored
  train: rust
  val: rust

class       train px %  photos  val px %  photos
------------------------------------------------
background       75.00       6     75.00       1
leaf             25.00       6     25.00       1
rust              0.00       0      0.00       0
void              0.00       0      0.00       0

no problems
"""
    )


def test_problems_are_counted_named_and_give_status_1(run: Run, write: Any, leaves: Path) -> None:
    for name in "abcde":
        write.mask(leaves / "train" / "masks" / f"{name}.png", 7)
    write.mask(leaves / "val" / "masks" / "g.png", [9, 9, 9, 9, 0, 0, 1, 1])
    outcome = run("check-data", str(leaves), "--examples", "2")
    assert outcome.status == 1
    assert (
        """\
problem: labels beyond the classes, 5: name every class, and the fate of other values, in classes.txt
  train: train/masks/a.png: holds 7 (48 px); labels are 0–2
  train: train/masks/b.png: holds 7 (48 px); labels are 0–2
  … and 3 more
"""
        in outcome.out
    )
    assert outcome.out.endswith("5 problems: labels beyond the classes\n")
    content = json.loads(run("check-data", str(leaves), "--json").out)["result"]
    assert (content["reader"], content["problems"]) == ("folder", 5)
    assert len([finding for finding in content["findings"] if finding["kind"] == "beyond"]) == 5
    classes = content["splits"]["val"]["classes"]
    assert classes["void"] == {"pixels": 24, "photos": 1}
    assert classes["background"] == classes["leaf"] == {"pixels": 12, "photos": 1}


def test_options_choose_layout_split_and_names(run: Run, write: Any, leaves: Path, tmp_path: Path) -> None:
    names = write.text(tmp_path / "names.txt", "thing: 0, 1\n")
    outcome = run("check-data", str(leaves), "--reader", "folder", "--split", "val", "--names", str(names))
    assert outcome.status == 0
    assert "photos: val 1\n" in outcome.out
    assert "thing    100.00       1" in outcome.out


def test_bad_options_are_one_line_errors(run: Run, leaves: Path, tmp_path: Path) -> None:
    for arguments, message in {
        (str(tmp_path / "nothing"),): "there is no folder",
        (str(leaves), "--reader", "zip"): "unknown data layout 'zip'",
        (str(leaves), "--split", "test"): "splits found: train, val",
        (str(leaves), "--names", "nothing.txt"): "cannot read nothing.txt",
    }.items():
        outcome = run("check-data", *arguments)
        assert outcome.status == 1
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
