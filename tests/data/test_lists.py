"""Lists as they come from any system, and the layouts that rest on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.data.lists import read_lines, split_pair
from deeplab.data.readers import READERS, read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import DataError

NAMES = st.lists(st.text("abc_0123 äé", min_size=1, max_size=8).map(str.strip).filter(bool), max_size=5)


@given(names=NAMES, bom=st.booleans(), end=st.sampled_from(["\n", "\r\n", "\r", " \n\n"]))
def test_marks_line_ends_and_blank_lines_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], bom: bool, end: str
) -> None:
    path = tmp_path_factory.mktemp("list") / "train.txt"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + end.join(names).encode())
    assert read_lines(path) == names


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("/a/x.jpg /b/x.png", ("a/x.jpg", "b/x.png")),
        ("a/x.jpg\tb/x.png", ("a/x.jpg", "b/x.png")),
        ("a b/x y.jpg\tc/x y.png", ("a b/x y.jpg", "c/x y.png")),
        (r"a\x.jpg b\x.png", ("a/x.jpg", "b/x.png")),
        ("x.jpg", None),
        ("a/x.jpg", None),
        ("2007_1 -1", None),
        ("a/x.jpg b/x.png c/x.png", None),
    ],
)
def test_pairs_of_paths(line: str, pair: tuple[str, str] | None) -> None:
    assert split_pair(line) == pair


@pytest.fixture
def listed(write: Any, tmp_path: Path) -> Path:
    write.pair(tmp_path / "photos" / "x.png", tmp_path / "truth" / "x.png", 5)
    write.pair(tmp_path / "photos" / "y.jpg", tmp_path / "truth" / "y.png", 6)
    write.text(tmp_path / "list" / "train.txt", "\ufeff/photos/y.jpg /truth/y.png\r\n/photos/x.png /truth/x.png\r\n")
    write.text(tmp_path / "README.txt", "Some words about it\n")
    return tmp_path


def test_a_list_of_photos_and_masks_alone_makes_a_data_set(listed: Path) -> None:
    assert READERS["list"].splits(listed) == ["train"]
    samples = read_samples("list", listed, "train")
    assert [(sample.name, load_mask(sample)[0, 0]) for sample in samples] == [("y", 6), ("x", 5)]


def test_bad_lists_of_photos_and_masks_are_errors(write: Any, listed: Path) -> None:
    with pytest.raises(DataError, match=r"there is no list .*val\.txt; splits found: train"):
        read_samples("list", listed, "val")
    write.text(listed / "val.txt", "photos/x.png\n")
    with pytest.raises(DataError, match=r"val\.txt has the line 'photos/x\.png'; expected two paths"):
        read_samples("list", listed, "val")
    write.text(listed / "val.txt", "photos/x.png truth/x.png\nphotos/x.png truth/x.png\n")
    with pytest.raises(DataError, match=r"val\.txt lists x more than once"):
        read_samples("list", listed, "val")


def test_lists_split_a_folder_of_photos(write: Any, tmp_path: Path) -> None:
    for name in "abc":
        write.pair(tmp_path / "images" / f"{name}.png", tmp_path / "masks" / f"{name}.tif")
    write.text(tmp_path / "train.txt", "\ufeffc.png\r\na.png\r\n")
    write.text(tmp_path / "val.txt", "b\n")
    write.text(tmp_path / "notes.txt", "nothing\n")
    write.text(tmp_path / "classes.txt", "a\nb\n")
    assert READERS["folder"].splits(tmp_path) == ["train", "val"]
    names = {split: [s.name for s in read_samples("folder", tmp_path, split)] for split in ("train", "val", "all")}
    assert names == {"train": ["c", "a"], "val": ["b"], "all": ["a", "b", "c"]}
    with pytest.raises(DataError, match="splits found: train, val"):
        read_samples("folder", tmp_path, "test")
    write.text(tmp_path / "val.txt", "b\nd\n")
    with pytest.raises(DataError, match=r"images/d\.jpg is missing \(and 1 more\)"):
        read_samples("folder", tmp_path, "val")
