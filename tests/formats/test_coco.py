"""COCO's files, read back by pycocotools where it is installed, and by our own reader of COCO data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from PIL import Image

from deeplab.data.coco_masks import decompress_runs, draw_runs
from deeplab.data.readers import read_samples
from deeplab.data.samples import load_mask
from deeplab.formats import Labelled, Options, coco_document, compress_runs, convert, runs_of
from deeplab.labels import CAMVID

Mask = NDArray[np.bool_]

masks = npst.arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30)))


@given(masks)
@settings(max_examples=100)
def test_runs_are_decoded_to_the_mask(mask: Mask) -> None:
    runs = runs_of(mask)
    np.testing.assert_array_equal(draw_runs(runs, mask.shape), mask)
    assert (runs[1:] > 0).all()
    np.testing.assert_array_equal(decompress_runs(compress_runs(runs)), runs)


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=20))
def test_any_runs_survive_compression(runs: list[int]) -> None:
    np.testing.assert_array_equal(decompress_runs(compress_runs(np.array(runs))), runs)


@given(masks)
@settings(max_examples=100)
def test_runs_are_those_of_pycocotools(mask: Mask) -> None:
    tool = pytest.importorskip("pycocotools.mask", reason="needs pycocotools")
    expected = tool.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert compress_runs(runs_of(mask)) == expected["counts"].decode()


def drawn(annotation: dict[str, Any], size: tuple[int, int]) -> Mask:
    """An annotation's mask as pycocotools draws it."""
    tool = pytest.importorskip("pycocotools.mask", reason="needs pycocotools")
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        segmentation = tool.merge(tool.frPyObjects(segmentation, *size))
    elif isinstance(segmentation["counts"], list):
        segmentation = tool.frPyObjects(segmentation, *size)
    mask: Mask = tool.decode(segmentation).astype(np.bool_)
    return mask


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # within pycocotools 2.0.11
@pytest.mark.parametrize("segmentation", ["rle", "uncompressed", "polygons"])
def test_pycocotools_draws_each_class(cat: Labelled, segmentation: str) -> None:
    document = json.loads(json.dumps(coco_document([cat], cat.label_set, segmentation=segmentation)))
    assert document["images"] == [{"id": 1, "file_name": "cat.jpg", "width": 60, "height": 40}]
    assert {entry["id"]: entry["name"] for entry in document["categories"]} == dict(
        enumerate(cat.label_set.names[1:], start=1)
    )
    assert [annotation["category_id"] for annotation in document["annotations"]] == [8, 12]
    for annotation in document["annotations"]:
        mask = cat.labels == annotation["category_id"]
        np.testing.assert_array_equal(drawn(annotation, mask.shape), mask)
        rows, columns = np.nonzero(mask)
        x, y, width, height = annotation["bbox"]
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
        assert annotation["area"] == mask.sum()


def test_instances_are_connected_parts(cat: Labelled) -> None:
    document = coco_document([cat], cat.label_set, Options(instances=True, photo_prefix="photos/"))
    parts = [(entry["category_id"], entry["bbox"]) for entry in document["annotations"]]
    assert parts == [(8, [5, 5, 25, 20]), (8, [40, 30, 20, 10]), (12, [10, 10, 10, 5])]
    assert [entry["id"] for entry in document["annotations"]] == [1, 2, 3]
    assert document["images"][0]["file_name"] == "photos/cat.jpg"


def test_label_sets_without_background_begin_at_one() -> None:
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)  # 11 is void
    document = coco_document([Labelled("street.png", labels, CAMVID)], CAMVID)
    assert [entry["id"] for entry in document["categories"]] == list(range(1, 12))
    assert [entry["category_id"] for entry in document["annotations"]] == list(range(1, 12))


@pytest.mark.parametrize("to", ["coco", "coco-uncompressed", "coco-polygons"])
def test_our_reader_of_coco_gives_back_the_labels(cat: Labelled, tmp_path: Path, to: str) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "images" / "cat.jpg")
    convert([cat], tmp_path / "annotations" / "val.json", to)
    (sample,) = read_samples("coco", tmp_path, "val")
    np.testing.assert_array_equal(load_mask(sample), np.where(cat.labels == 255, 0, cat.labels))
