from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import DataError, InputError
from deeplab.formats.label_studio import brush_mask, brush_runs
from deeplab.label_maps import write_label_map
from deeplab.labels import LabelSet
from deeplab.runtime import ScoreNetwork
from deeplab.segment import Segmenter
from deeplab.teach import Box, Stroke
from deeplab.teach.drawn import read_drawn

MakeScene = Callable[..., tuple[NDArray[np.uint8], NDArray[np.uint8]]]
SIZE = 12, 20
LABELS = LabelSet("own", ("background", "disc"))


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_a_brush_mask_is_read_as_it_was_written(share: float) -> None:
    mask = np.random.default_rng(1).random((33, 47)) < share
    np.testing.assert_array_equal(brush_mask(brush_runs(mask), mask.shape), mask)


def test_a_brush_mask_by_hand() -> None:
    """Two pixels: runs of one value and of several, as rle-pack writes them, spelled out bit by bit."""
    bits = f"{8:032b}" + f"{7:05b}" + "0010" + "0011" + "0111" + "1111"
    bits += "1" + "00" + f"{3:03b}" + f"{0:08b}"  # four zeros
    bits += "0" + "00" + f"{3:03b}" + "".join(f"{value:08b}" for value in (10, 20, 30, 255))
    bits += "0" * (-len(bits) % 8)
    runs = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert brush_mask(runs, (1, 2)).tolist() == [[False, True]]


@pytest.mark.parametrize("runs", [[], [1, 2, 3], "no", None, [300], brush_runs(np.ones((3, 3), bool))])
def test_bad_brush_masks(runs: Any) -> None:
    with pytest.raises(InputError, match="no brush mask of 20x12 pixels; export it again"):
        brush_mask(runs, SIZE)
    good = brush_runs(np.ones(SIZE, bool))
    with pytest.raises(InputError, match="no brush mask"):
        brush_mask(good[:-1], SIZE)


def test_label_maps_with_unknown_pixels(tmp_path: Path) -> None:
    labels = np.full(SIZE, 255, np.uint8)
    labels[2, 3] = 1
    write_label_map(tmp_path / "a.png", labels, LABELS)
    drawn = read_drawn(tmp_path)
    assert drawn.label_set.names == LABELS.names
    np.testing.assert_array_equal(drawn.of["a"](SIZE)[0], labels)
    Image.fromarray(labels).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png does not say what its labels are called; name a file"):
        read_drawn(tmp_path)
    assert read_drawn(tmp_path, LABELS).label_set is LABELS
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="holds no label maps"):
        read_drawn(tmp_path)


def test_masks_of_cvat_leave_black_unknown(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ndisc:250,50,83::\n")
    with pytest.raises(DataError, match="no SegmentationClass"):
        read_drawn(tmp_path)
    (tmp_path / "SegmentationClass").mkdir()
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[3:5, 6:9] = (250, 50, 83)
    Image.fromarray(colours).save(tmp_path / "SegmentationClass" / "a.png")
    drawn = read_drawn(tmp_path)
    (labels,) = drawn.of["a"](SIZE)
    np.testing.assert_array_equal(labels, np.where(colours[..., 0] > 0, 1, 255))
    assert drawn.label_set.names == ("background", "disc")


def coco(*annotations: dict[str, Any]) -> dict[str, Any]:
    whole = [{"id": i, "image_id": 1, **annotation} for i, annotation in enumerate(annotations)]
    images = [{"id": 1, "file_name": "shelf/a.jpg"}]
    return {"images": images, "categories": [{"id": 7, "name": "disc"}], "annotations": whole}


def test_boxes_and_outlines_of_coco(tmp_path: Path) -> None:
    box = {"category_id": 7, "bbox": [2, 3, 4, 5], "segmentation": []}
    outline = {"category_id": 7, "bbox": [10, 2, 4, 4], "segmentation": [[10, 2, 14, 2, 14, 6, 10, 6]]}
    drawn = read_drawn(written(tmp_path / "marks.json", coco(box)))
    assert drawn.label_set.names == ("background", "disc")
    assert drawn.of["a"](SIZE) == [[Box("disc", 2, 3, 6, 8)]]
    boxes, labels = read_drawn(written(tmp_path / "marks.json", coco(box, outline))).of["a"](SIZE)
    assert boxes == [Box("disc", 2, 3, 6, 8)]
    expected = np.zeros(SIZE, np.uint8)
    expected[3:8, 2:6], expected[2:6, 10:14] = 255, 1
    np.testing.assert_array_equal(labels, expected)


def test_brushes_polygons_points_and_boxes_of_label_studio(tmp_path: Path) -> None:
    inside = np.zeros(SIZE, bool)
    inside[2:4, 5:9] = True
    results = [
        {"value": {"rle": brush_runs(inside), "brushlabels": ["disc"]}},
        {"value": {"points": [[0, 50], [50, 50], [50, 100], [0, 100]], "polygonlabels": ["<b>"]}},
        {"value": {"x": 10, "y": 50, "width": 20, "height": 25, "rectanglelabels": ["disc"]}},
        {"value": {"x": 50, "y": 50, "width": 1, "keypointlabels": ["disc"]}},
        {"value": {"choices": ["blurred"]}},
    ]
    task = {"data": {"image": "/data/upload/1/0123abcd-a.jpg"}, "annotations": [{"result": results}]}
    drawn = read_drawn(written(tmp_path / "tasks.json", [task, {"data": {"image": "b.jpg"}, "annotations": []}]))
    assert drawn.label_set.names == ("background", "<b>", "disc")
    assert list(drawn.of) == ["a"]
    brush, polygon, box, point = drawn.of["a"](SIZE)
    np.testing.assert_array_equal(brush, np.where(inside, 2, 255))
    expected = np.full(SIZE, 255)
    expected[6:, :10] = 1
    np.testing.assert_array_equal(polygon, expected)
    assert box == Box("disc", 2, 6, 6, 9)
    assert point == Stroke("disc", [(10, 6)], 3)


@pytest.mark.parametrize("content", [3, {}, {"images": []}, [3], [{"data": {}}], coco({"category_id": 9})])
def test_json_of_another_kind(tmp_path: Path, content: Any) -> None:
    path = written(tmp_path / "marks.json", content)
    with pytest.raises(DataError, match=r"neither COCO's annotations nor Label Studio's|damaged"):
        _ = [marks(SIZE) for marks in read_drawn(path).of.values()]
    with pytest.raises(InputError, match="names its classes itself"):
        read_drawn(path, LABELS)


def test_the_command(
    run: Callable[..., Any], make_scene: MakeScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "marks"):
        (tmp_path / folder).mkdir()
    for seed, name in enumerate(("a", "b", "c d")):
        photo, mask = make_scene(seed=seed)
        Image.fromarray(photo).save(tmp_path / "photos" / f"{name}.png")
        if name != "b":
            marks = np.where(np.random.default_rng(seed).random(mask.shape) < 0.05, mask, np.uint8(255))
            write_label_map(tmp_path / "marks" / f"{name}.png", marks, LABELS)
    arguments = ("teach", "photos", "--marks", "marks", "-o", "mine.onnx")
    outcome = run(*arguments)
    assert (outcome.status, outcome.out) == (0, "mine.onnx: background, disc, from 2 photos\n")
    assert ScoreNetwork("mine.onnx").info.card["taught on"]["masks"] == 2
    photo, mask = make_scene(seed=1)
    assert (Segmenter.from_pretrained("mine.onnx").segment(photo).labels == mask).mean() > 0.97
    assert run("segment", "photos/b.png", "--model", "mine.onnx", "-o", "out").status == 0
    assert "mine.onnx exists; give --force" in run(*arguments).err
    (tmp_path / "photos" / "a.png").unlink()
    assert "marks has marks for a, but photos no such photo" in run(*arguments, "--force").err
    Image.fromarray(photo[:9]).save(tmp_path / "photos" / "a.png")
    refused = run(*arguments, "--force")
    assert refused.status == 1
    assert "a.png: a mask has shape (72, 96)" in refused.err
    assert (run("teach", "photos", "--marks", "none", "-o", "other.onnx")).status == 1
    assert not Path("other.onnx").exists()


def test_masks_of_any_layout_teach_where_no_marks_are_given(
    run: Callable[..., Any], make_scene: MakeScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("train", "trainannot", "val", "valannot"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "data" / "classes.txt").write_text("background\ndisc\n")
    for seed, split in enumerate(("train", "train", "val")):
        photo, mask = make_scene(seed=seed)
        Image.fromarray(photo).save(tmp_path / "data" / split / f"{seed}.png")
        Image.fromarray(mask).save(tmp_path / "data" / f"{split}annot" / f"{seed}.png")
    outcome = run("teach", "data", "-o", "mine.onnx")
    assert (outcome.status, outcome.out) == (0, "mine.onnx: background, disc, from 2 photos\n"), outcome.err
    scored = run("evaluate", "--data", "data", "--model", "mine.onnx", "--no-crf")
    assert scored.status == 0, scored.err
    assert "(1 photo" in scored.out
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "empty has no layout known here" in run("teach", "empty", "-o", "other.onnx").err
