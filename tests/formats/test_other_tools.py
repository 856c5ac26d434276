"""YOLO's, CVAT's and Label Studio's files, read back as those tools read them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from PIL import Image

from deeplab.data.coco_masks import draw_polygons
from deeplab.data.readers import read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import InputError
from deeplab.formats import (
    Labelled,
    Options,
    brush_runs,
    coco_document,
    convert,
    label_studio_tasks,
    yolo_lines,
    yolo_names,
)
from deeplab.labels import CAMVID, VOC, LabelSet

Mask = NDArray[np.bool_]


def test_yolos_lines_fill_the_classes(cat: Labelled, tmp_path: Path) -> None:
    convert([cat], tmp_path, "yolo")
    names = yaml.safe_load((tmp_path / "data.yaml").read_text())["names"]
    assert list(names.values()) == list(VOC.names[1:])
    drawn = np.zeros_like(cat.labels)
    lines = (tmp_path / "labels" / "cat.txt").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        number, *points = line.split()
        assert all(0 <= float(value) <= 1 for value in points)
        polygon = np.array(points, float).reshape(-1, 2) * [60, 40]
        drawn[draw_polygons([polygon], (40, 60))] = VOC.names.index(names[int(number)])
    np.testing.assert_array_equal(drawn, np.where(cat.labels == 255, 0, cat.labels))


def test_yolos_names_are_any_text(tmp_path: Path) -> None:
    label_set = LabelSet("odd", ("background", 'a "b": c', "- #1", "Straße", "no"))
    convert([Labelled("x.jpg", np.zeros((2, 2), np.uint8), label_set)], tmp_path, "yolo")
    content = yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))
    assert content["names"] == dict(enumerate(label_set.names[1:]))
    assert (tmp_path / "labels" / "x.txt").read_text() == ""


def test_yolos_photos_are_found_from_any_folder(cat: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "export" / "images").mkdir(parents=True)
    convert([cat], tmp_path / "export", "yolo")
    file = tmp_path / "export" / "data.yaml"
    for here in (tmp_path, tmp_path / "export"):
        monkeypatch.chdir(here)
        content = yaml.safe_load(file.read_text())
        root = Path(content.get("path") or file.parent)  # ultralytics' check_det_dataset
        assert [(root / content[split]).resolve() for split in ("train", "val")] == [file.parent / "images"] * 2


@pytest.mark.parametrize(
    ("names", "background", "categories"),
    [
        (("soil", "leaf"), None, {1: "soil", 2: "leaf"}),
        (("soil", "leaf"), 0, {1: "leaf"}),
        (("leaf", "_background_"), 1, {1: "leaf"}),
        (("background", "leaf"), None, {1: "background", 2: "leaf"}),
    ],
)
def test_only_a_sets_background_is_left_out(
    tmp_path: Path, names: tuple[str, ...], background: int | None, categories: dict[int, str]
) -> None:
    label_set = LabelSet("own", names, background=background)
    item = Labelled("x.jpg", np.array([[0, 1]], np.uint8), label_set)
    document = coco_document([item], label_set)
    assert {entry["id"]: entry["name"] for entry in document["categories"]} == categories
    assert [a["category_id"] for a in document["annotations"]] == list(categories)
    assert yaml.safe_load(yolo_names(label_set))["names"] == dict(enumerate(categories.values()))
    assert len(yolo_lines(item)) == len(categories)
    (task,) = label_studio_tasks([item])
    assert [r["value"]["brushlabels"][0] for r in task["predictions"][0]["result"]] == list(categories.values())


def test_cvats_background_is_the_sets(tmp_path: Path) -> None:
    label_set = LabelSet("own", ("leaf", "soil"), background=1)
    convert([Labelled("x.jpg", np.array([[0, 1]], np.uint8), label_set)], tmp_path / "masks.zip", "cvat")
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        text = archive.read("labelmap.txt").decode()
        picture = Image.open(io.BytesIO(archive.read("SegmentationClass/x.png")))
        assert picture.getpixel((1, 0)) == (0, 0, 0)
        assert picture.getpixel((0, 0)) != (0, 0, 0)
    assert [line.split(":")[0] for line in text.splitlines()[1:]] == ["background", "leaf"]


def test_a_tolerance_shortens_yolos_lines() -> None:
    rows, columns = np.mgrid[:60, :60]
    disc = Labelled("disc.jpg", (((rows - 30) ** 2 + (columns - 30) ** 2) < 400).astype(np.uint8), VOC)
    (exact,), (short,) = yolo_lines(disc), yolo_lines(disc, Options(tolerance_px=1.5))
    assert len(short) < len(exact) / 2


def unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)


@pytest.mark.parametrize("label_set", [VOC, CAMVID, LabelSet("own", ("sky", "ground"))])
def test_our_reader_of_cvat_gives_back_the_labels(tmp_path: Path, label_set: LabelSet) -> None:
    labels = np.random.default_rng(4).integers(0, len(label_set), (12, 9)).astype(np.uint8)
    labels[:2] = label_set.void
    convert([Labelled("a b.jpg", labels, label_set)], tmp_path / "masks.zip", "cvat")
    unpack(tmp_path / "masks.zip", tmp_path)
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((12, 9, 3), np.uint8)).save(tmp_path / "images" / "a b.jpg")
    (sample,) = read_samples("cvat", tmp_path, "default")
    names = np.array([*sample.label_set.names, *[""] * (255 - len(sample.label_set)), "void"])
    expected = np.array([*label_set.names, *[""] * (256 - len(label_set))])
    expected[label_set.void] = "void"
    np.testing.assert_array_equal(names[load_mask(sample)], expected[labels])


def test_cvats_archive(cat: Labelled, tmp_path: Path) -> None:
    for folder, options, objects in (("a", Options(), 2), ("b", Options(instances=True), 3)):
        convert([cat], tmp_path / f"{folder}.zip", "cvat", options)
        unpack(tmp_path / f"{folder}.zip", tmp_path / folder)
        with Image.open(tmp_path / folder / "SegmentationObject" / "cat.png") as image:
            assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) == objects + 1
    lines = (tmp_path / "a" / "labelmap.txt").read_text().splitlines()
    assert lines[1] == "background:0,0,0::"
    assert lines[-1] == "void:224,224,192::"
    assert len(lines) == 23
    assert (tmp_path / "a" / "ImageSets" / "Segmentation" / "default.txt").read_text() == "cat\n"
    whole = Labelled("x.jpg", np.zeros((2, 2), np.uint8), VOC)
    convert([whole], tmp_path / "c.zip", "cvat")
    assert "void" not in zipfile.ZipFile(tmp_path / "c.zip").read("labelmap.txt").decode()


@pytest.mark.parametrize("name", ["a:b", "void", "#1"])
def test_names_that_cvat_cannot_hold(tmp_path: Path, name: str) -> None:
    item = Labelled("x.jpg", np.zeros((2, 2), np.uint8), LabelSet("own", ("sky", name)))
    with pytest.raises(InputError, match="no room for a class called"):
        convert([item], tmp_path / "a.zip", "cvat")
    assert list(tmp_path.iterdir()) == []


def read_brush(content: list[int]) -> NDArray[np.uint8]:
    """Unpack thi.ng's rle-pack as its documentation says, bit by bit."""
    bits = io.StringIO("".join(f"{byte:08b}" for byte in content))

    def read(count: int) -> int:
        return int(bits.read(count), 2)

    number, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < number:
        repeated, length = read(1), 0
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length if repeated else [read(word) for _ in range(length)]
    return np.array(values, dtype=np.uint8)


@given(npst.arrays(np.bool_, st.tuples(st.integers(1, 25), st.integers(1, 25))))
@settings(max_examples=100)
def test_brushes_unpack_to_the_mask_in_all_four_channels(mask: Mask) -> None:
    pixels = read_brush(brush_runs(mask)).reshape(*mask.shape, 4)
    np.testing.assert_array_equal(pixels, np.repeat(mask[..., None] * np.uint8(255), 4, axis=2))


def test_long_runs_are_split() -> None:
    mask = np.zeros((300, 400), np.bool_)
    mask[100:] = True
    np.testing.assert_array_equal(read_brush(brush_runs(mask))[::4].reshape(mask.shape) > 0, mask)


def test_label_studios_tasks(cat: Labelled, tmp_path: Path) -> None:
    convert([cat], tmp_path / "tasks.json", "label-studio", Options(photo_prefix="/data/local-files/?d=photos/"))
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    assert task == label_studio_tasks([cat], Options(photo_prefix="/data/local-files/?d=photos/"))[0]
    assert task["data"] == {"image": "/data/local-files/?d=photos/cat.jpg"}
    results = task["predictions"][0]["result"]
    assert [result["value"]["brushlabels"] for result in results] == [["cat"], ["dog"]]
    assert len({result["id"] for result in results}) == 2
    for result, label in zip(results, (8, 12), strict=True):
        assert (result["original_width"], result["original_height"]) == (60, 40)
        alpha = read_brush(result["value"]["rle"]).reshape(40, 60, 4)[..., 3]
        np.testing.assert_array_equal(alpha > 0, cat.labels == label)
