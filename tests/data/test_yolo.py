"""YOLO's text files: classes shifted by the background, and outlines in shares of the photo's sides."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.data.check import check_data
from deeplab.data.readers import find_splits, guess_layout, read_samples
from deeplab.data.samples import load_mask, load_sample
from deeplab.errors import DataError

LEFT, TOP = "0 0 0.5 0 0.5 1 0 1", "0 0 1 0 1 0.5 0 0.5"  # halves


def write_yolo(
    write: Any, root: Path, lines: str, split: str = "images/train", yaml: str = "names: [cat, dog]\n"
) -> None:
    write.photo(root / split / "x.jpg")
    write.text(root / split.replace("images", "labels") / "x.txt", lines)
    write.text(root / "data.yaml", yaml)


def drawn(root: Path, split: str = "train") -> Any:
    (sample,) = read_samples("auto", root, split)
    return load_mask(pickle.loads(pickle.dumps(sample))).tolist()


def test_the_background_is_label_0_and_later_objects_lie_in_front(write: Any, tmp_path: Path) -> None:
    write_yolo(write, tmp_path, f"1 {LEFT}\r\n\r\n0 {TOP}\r\n")
    assert guess_layout(tmp_path) == "yolo"
    (sample,) = read_samples("auto", tmp_path, "train")
    assert sample.label_set.names == ("background", "cat", "dog")
    expected = np.zeros((6, 8), int)
    expected[:, :4] = 2
    expected[:3] = 1
    assert load_sample(sample)[1].tolist() == expected.tolist()


def test_a_turned_photo_is_labelled_upright(write: Any, tmp_path: Path) -> None:
    write_yolo(write, tmp_path, f"0 {TOP}")
    write.photo(tmp_path / "images" / "train" / "x.jpg", orientation=6)
    assert drawn(tmp_path) == [[1] * 6] * 4 + [[0] * 6] * 4


@pytest.mark.parametrize("split", ["images/val2017", "valid/images", "images", "images/test/deep"])
@pytest.mark.parametrize("yaml", ["names: [cat, dog]\n", "path: .\nnc: 2\nnames:\n  1: dog\n  0: cat\n"])
def test_places(write: Any, tmp_path: Path, split: str, yaml: str) -> None:
    write_yolo(write, tmp_path, f"1 {LEFT}", split, yaml)
    (found,) = find_splits("auto", tmp_path)
    assert found == {"images/val2017": "val2017", "valid/images": "valid", "images": "all"}.get(split, "test")
    assert drawn(tmp_path, found) == [[2] * 4 + [0] * 4] * 6


def test_a_photo_without_a_file_shows_nothing(write: Any, tmp_path: Path) -> None:
    write_yolo(write, tmp_path, "", "images")
    write.photo(tmp_path / "images" / "y.png", size=(3, 4))
    write.text(tmp_path / "labels" / "z.txt", f"0 {LEFT}")
    samples = read_samples("auto", tmp_path, "all")
    assert [load_mask(sample).tolist() for sample in samples] == [[[0] * 8] * 6, [[0] * 4] * 3]


def test_classes_txt_names_yolos_numbers_where_there_is_no_yaml(write: Any, tmp_path: Path) -> None:
    write_yolo(write, tmp_path, f"1 {LEFT}", "images")
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"data\.yaml is missing; write one that names the classes"):
        read_samples("auto", tmp_path, "all")
    write.text(tmp_path / "classes.txt", "cat\ndog\n")
    (sample,) = read_samples("auto", tmp_path, "all")
    assert (sample.label_set.names, load_mask(sample).max()) == (("background", "cat", "dog"), 2)
    # Beside data.yaml it is a names file as in every layout.
    write.text(tmp_path / "data.yaml", "names: [cat, dog]\n")
    write.text(tmp_path / "classes.txt", "dog\nvoid: background, cat\n")
    (sample,) = read_samples("auto", tmp_path, "all")
    assert (sample.label_set.names, load_mask(sample)[0].tolist()) == (("dog",), [0] * 4 + [255] * 4)


@pytest.mark.parametrize(
    ("line", "said", "void"),
    [
        ("0 0.75 0.5 0.5 0.5", "it is a box, not an outline; void there", 12),
        ("2 0.75 0 1 0 1 1 0.75 1", "its class is 2; expected 0–1; void there", 12),
        ("-1 0.75 0 1 0 1 1 0.75 1", "its class is -1; expected 0–1", 12),
        ("0.5 0.75 0 1 0 1 1 0.75 1", "its class is 0.5; expected 0–1", 12),
        ("cat 0 0 1 0 1 1", "expected a class and points x y x y …; left out", 0),
        ("0 0 0 nan 0 1 1", "expected a class and points x y x y …; left out", 0),
        ("0 0 0", "expected a class and points x y x y …; left out", 0),
        ("0 0 0 1 0 1 1 1", "expected points x y x y … in 0–1 of the photo's sides; left out", 0),
        ("0 0 0 300 0 300 200", "expected points x y x y … in 0–1 of the photo's sides; left out", 0),
    ],
)
def test_lines_that_are_no_outlines_are_void_and_named(
    write: Any, tmp_path: Path, line: str, said: str, void: int
) -> None:
    write_yolo(write, tmp_path, f"0 {LEFT}\n{line}\n")
    labels = np.array(drawn(tmp_path))
    assert ((labels == 1).sum(), (labels == 255).sum()) == (24, void)
    (problem,) = check_data(tmp_path).problems
    assert (problem.kind, problem.name) == ("objects", "x")
    assert problem.detail.startswith(f"line 2: {said}")
    write.text(tmp_path / "labels" / "train" / "x.txt", line)
    if void:
        with pytest.raises(
            DataError, match=r"labels/train: none of its objects can be drawn \(line 1: .*export outlines"
        ):
            drawn(tmp_path)


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("names: [", "is no YAML"),
        ("names: {1: cat, 2: dog}", "expected 0, 1, 2"),
        ("names: {0: cat, x: dog}", "expected 0, 1, 2"),
        ("nc: 2", "is missing; write one"),
    ],
)
def test_bad_class_lists_are_errors(write: Any, tmp_path: Path, yaml: str, said: str) -> None:
    write_yolo(write, tmp_path, f"0 {LEFT}", yaml=yaml)
    with pytest.raises(DataError, match=said):
        drawn(tmp_path)


@pytest.mark.parametrize(
    ("said", "folder"),
    [
        ("train: parts/a/images", "parts/a/images"),
        ("path: parts\ntrain: a/images", "parts/a/images"),
        ("path: ../nowhere\ntrain: ../parts/a/images/", "parts/a/images"),
        ("train: parts\\a", "parts/a"),
    ],
)
def test_data_yaml_says_where_splits_lie(write: Any, tmp_path: Path, said: str, folder: str) -> None:
    write_yolo(write, tmp_path, f"0 {LEFT}", folder, f"{said}\nval:\nnames: [cat, dog]\n")
    assert (guess_layout(tmp_path), find_splits("auto", tmp_path)) == ("yolo", ["train"])
    assert drawn(tmp_path)[0] == [1] * 4 + [0] * 4


@pytest.mark.parametrize("said", ["train: [1, 2]", "train: .", "train: nowhere", "- 1", "a: [", "path: {}\ntrain: 5"])
def test_what_data_yaml_says_of_splits_need_not_make_sense(write: Any, tmp_path: Path, said: str) -> None:
    write_yolo(write, tmp_path, f"0 {LEFT}", yaml=said)
    assert find_splits("auto", tmp_path) == ["train"]


def test_labels_of_all_splits_in_one_folder(write: Any, tmp_path: Path) -> None:
    write_yolo(write, tmp_path, f"0 {LEFT}")
    (tmp_path / "labels" / "train" / "x.txt").rename(tmp_path / "labels" / "x.txt")
    (tmp_path / "labels" / "train").rmdir()
    write.photo(tmp_path / "images" / "val" / "y.jpg")
    write.text(tmp_path / "labels" / "y.txt", f"1 {TOP}")
    assert find_splits("auto", tmp_path) == ["train", "val"]
    assert (drawn(tmp_path)[0][0], drawn(tmp_path, "val")[0][0]) == (1, 2)
    assert check_data(tmp_path).problems == ()
