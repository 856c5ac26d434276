"""labelme's files: what its shapes cover, counted by hand, and where files and photos may lie."""

from __future__ import annotations

import base64
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab.data.check import check_data
from deeplab.data.readers import find_splits, guess_layout, read_samples
from deeplab.data.samples import load_mask, load_sample
from deeplab.errors import DataError


def shape(label: Any, points: Any, kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def write_labelme(write: Any, path: Path, shapes: Any, photo: str = "") -> None:
    said = photo or f"{path.stem}.jpg"
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": said, "imageData": None}
    write.text(path, json.dumps(content, indent=2))
    place = path.parent / said.replace("\\", "/")
    if not place.is_file():
        write.photo(place)


BOX = [[1, 1], [5, 1], [5, 4], [1, 4]]


def labels(root: Path) -> Any:
    (sample,) = read_samples("labelme", root, "all")
    return load_mask(pickle.loads(pickle.dumps(sample)))


def test_classes_and_the_order_of_shapes(write: Any, tmp_path: Path) -> None:
    shapes = [
        shape("dog", BOX),
        shape("cat", [[3, 2], [8, 2], [8, 6], [3, 6]]),
        shape("_background_", [[4, 3], [5, 3], [5, 4], [4, 4]]),
        shape("__ignore__", [[0, 0], [2, 2]], "rectangle"),
    ]
    write_labelme(write, tmp_path / "x.json", shapes)
    (sample,) = read_samples("auto", tmp_path, "all")
    assert sample.label_set.names == ("background", "cat", "dog")
    expected = np.zeros((6, 8), int)
    expected[1:4, 1:5] = 2
    expected[2:, 3:] = 1
    expected[3, 4] = 0
    expected[:2, :2] = 255
    assert load_sample(sample)[1].tolist() == expected.tolist()
    write.text(tmp_path / "labels.txt", "__ignore__\n_background_\nzebra\ndog\n")
    (sample,) = read_samples("auto", tmp_path, "all")
    assert sample.label_set.names == ("background", "zebra", "dog", "cat")
    write.text(tmp_path / "classes.txt", "rest: background, cat\ndog\n")
    (sample,) = read_samples("auto", tmp_path, "all")
    assert load_mask(sample).tolist() == np.where(expected == 2, 1, np.where(expected == 255, 255, 0)).tolist()


def coded(mask: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask, bool)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


CORNER = [[False] * 6 + [True] * 2] * 2 + [[False] * 8] * 4


@pytest.mark.parametrize(
    ("a_shape", "covered"),
    [
        (shape("a", [[1, 1], [5, 4]], "rectangle"), 12),
        (shape("a", [[5, 4], [1, 1]], "rectangle"), 12),
        (shape("a", [[1, 1], [5, 1], [5, 4], [1, 4]], "rectangle"), 12),
        (shape("a", BOX, None), 12),  # type: ignore[arg-type]  # as old files say
        (shape("a", [[4, 3], [4, 5]], "circle"), 12),  # 16 pixels' centres around (4, 3) but the corners
        (shape("a", [[-2, 3], [10, 3]], "line"), 48),
        (shape("a", [[0, 0], [8, 0], [8, 6]], "linestrip"), 48),
        (shape("a", [[4, 3]], "point"), 48),
        (shape("a", [[2, 1], [4, 3]], "mask", mask=coded([[1, 0, 1], [0, 1, 0], [1, 1, 1]])), 6),
        (shape("a", [[-1, -1], [4, 3]], "mask", mask=coded([[1, 0, 1], [0, 1, 0], [1, 1, 1]])), 3),
        (shape("a", [[7, 5], [9, 9]], "mask", mask=coded([[1, 0, 1], [0, 1, 0], [1, 1, 1]])), 1),
        (shape("a", [[70, 50], [90, 90]], "mask", mask=coded([[1]])), 0),
    ],
)
def test_every_type_of_shape_covers_its_pixels(write: Any, tmp_path: Path, a_shape: Any, covered: int) -> None:
    write_labelme(write, tmp_path / "x.json", [a_shape])
    assert int((labels(tmp_path) == 1).sum()) == covered


@pytest.mark.parametrize(
    ("a_shape", "said", "void"),
    [
        (shape("a", [[0, 5], [1, 5.5]]), "'a', has 2 usable points; a polygon needs 3 or more", 1),
        (shape("a", [[0, 0], [1, "x"], [3, 3]]), "'a', has 0 usable points", 0),
        (shape("a", [[0, 0], [1, float("nan")], [3, 3]]), "'a', has 0 usable points", 0),
        (shape("a", [[0, 0], [1e300, 1], [3, 3]]), "'a', has 0 usable points", 0),
        (shape("a", [[6, 4], [8, 6]], "cuboid"), "'a', is of type 'cuboid'; expected one of polygon", 4),
        (shape("a", [[6, 0], [8, 1]], "mask", mask="AAAA"), "'a', has a mask that cannot be decoded", 2),
        (shape("a", [[6, 0], [8, 1]], "mask"), "'a', has a mask that cannot be decoded", 2),
        (shape(None, [[5, 0], [8, 0], [8, 1]]), "'', has no label", 3),
        ({"label": "a"}, "'a', has 0 usable points", 0),
    ],
)
def test_shapes_that_cannot_be_drawn_are_void_and_named(
    write: Any, tmp_path: Path, a_shape: Any, said: str, void: int
) -> None:
    write_labelme(write, tmp_path / "x.json", [a_shape, shape("b", BOX)])
    assert int((labels(tmp_path) == 255).sum()) == void
    report = check_data(tmp_path)
    assert [(f.kind, f.name, f.detail.partition(" ")[0]) for f in report.problems] == [("objects", "x", "shape")]
    assert said in report.problems[0].detail
    write_labelme(write, tmp_path / "x.json", [a_shape])
    with pytest.raises(DataError, match=r"none of the 1 shapes can be drawn \(shape 1, .*\); mend them in labelme"):
        labels(tmp_path)


@pytest.mark.parametrize(
    "content", ['{"version": ', '{"version": 1}', '{"version": 1, "shapes": 3}', '{"shapes": [1]}']
)
def test_files_without_shapes_are_errors(write: Any, tmp_path: Path, content: str) -> None:
    write.text(tmp_path / "x.json", content)
    with pytest.raises(DataError, match=r"x\.json (is no JSON|has no list of shapes)"):
        read_samples("auto", tmp_path, "all")


@pytest.mark.parametrize("said", ["n" * 3000 + ".jpg", "a\0b.jpg", "C:\\Users\\me\\x.jpg", "/nowhere/x.jpg", "..", ""])
def test_photos_that_no_file_can_be_are_looked_for_beside(write: Any, tmp_path: Path, said: str) -> None:
    write.photo(tmp_path / "x.jpg")
    write.text(tmp_path / "x.json", json.dumps({"version": "5", "shapes": [shape("a", BOX)], "imagePath": said}))
    (sample,) = read_samples("auto", tmp_path, "all")
    assert sample.photo.samefile(tmp_path / "x.jpg")


def test_splits_and_places_of_files_and_photos(write: Any, tmp_path: Path) -> None:
    write_labelme(write, tmp_path / "train" / "a" / "x.json", [shape("dog", BOX)])
    write_labelme(write, tmp_path / "train" / "b" / "x.json", [shape("dog", BOX)])
    write_labelme(write, tmp_path / "json" / "val2" / "y.json", [shape("cat", BOX)], "..\\..\\photos\\y.JPG")
    write.photo(tmp_path / "train" / "a" / "not-labelled-yet.jpg")
    write.text(tmp_path / "train" / "a" / "settings.json", '{"colour": 3}')
    assert (guess_layout(tmp_path), find_splits("labelme", tmp_path)) == ("labelme", ["train", "val2"])
    train, (val,) = read_samples("auto", tmp_path, "train"), read_samples("auto", tmp_path, "val2")
    assert [sample.name for sample in train] == ["a_x", "b_x"]
    assert val.photo.samefile(tmp_path / "photos" / "y.JPG")
    notes = [finding.detail for finding in check_data(tmp_path).findings if finding.kind == "unannotated"]
    assert notes == ["1 without a file of labelme, such as not-labelled-yet.jpg"]
    assert train[0].label_set == val.label_set
    assert (load_mask(train[0]).max(), load_mask(val).max()) == (2, 1)
    for moved in ("json/val2/y.JPG", "json/val2/y.png", "images/val2/y.JPG", "json/images/y.JPG"):
        write.photo(tmp_path / moved)
        val.photo.unlink()
        (val,) = read_samples("auto", tmp_path, "val2")
        assert val.photo == tmp_path / moved
    val.photo.unlink()
    with pytest.raises(DataError, match=r"y\.jpg is missing"):
        read_samples("auto", tmp_path, "val2")
    with pytest.raises(DataError, match="no files of labelme for split 'test'; splits found: train, val2"):
        read_samples("labelme", tmp_path, "test")


@pytest.mark.parametrize("masks", ["SegmentationClass/x.png", "SegmentationClass/x.npy", "SegmentationClassPNG/x.png"])
def test_what_its_voc_script_writes(write: Any, tmp_path: Path, masks: str) -> None:
    write.photo(tmp_path / "JPEGImages" / "x.jpg")
    stored = np.array([[-1, 0, 1, 2] * 2] * 6, np.int32)
    (tmp_path / masks).parent.mkdir()
    if masks.endswith(".npy"):
        np.save(tmp_path / masks, stored)
    else:
        write.mask(tmp_path / masks, stored.astype(np.uint8))
    write.text(tmp_path / "class_names.txt", "_background_\ncat\ndog\n")
    assert (guess_layout(tmp_path), find_splits("voc", tmp_path)) == ("voc", ["all"])
    (sample,) = read_samples("auto", tmp_path, "all")
    assert sample.label_set.names == ("background", "cat", "dog")
    assert load_mask(sample)[0].tolist() == [255, 0, 1, 2] * 2
    write.text(tmp_path / "class_names.txt", "cat\ncat\n")
    with pytest.raises(DataError, match=r"class_names\.txt: .*comes twice"):
        read_samples("auto", tmp_path, "all")


@pytest.mark.parametrize("array", [np.full((6, 8), -2), np.full((6, 8), 256), np.zeros((6, 8)), np.zeros(3, int), None])
def test_other_arrays_are_no_masks(write: Any, tmp_path: Path, array: Any) -> None:
    write.photo(tmp_path / "JPEGImages" / "x.jpg")
    (tmp_path / "SegmentationClass").mkdir()
    path = tmp_path / "SegmentationClass" / "x.npy"
    path.write_bytes(b"\x93NUMPY") if array is None else np.save(path, array)
    (sample,) = read_samples("auto", tmp_path, "all")
    with pytest.raises(DataError, match=r"x\.npy (holds .*expected whole numbers|cannot be read .*save plain numbers)"):
        load_mask(sample)
