"""CVAT's serverless function, by requests of the shapes that its `lambda_manager` sends."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from deeplab.formats.polygons import polygons_of
from deeplab.labels import VOC
from deeplab.segment import Segmenter

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "integrations" / "cvat"
CAT = ROOT / "examples" / "cat.jpg"


@pytest.fixture(scope="module")
def function() -> Any:
    spec = importlib.util.spec_from_file_location("cvat_main", FOLDER / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def context(function: Any) -> Any:
    """Nuclio's, as far as the function uses it."""
    given = SimpleNamespace(user_data=SimpleNamespace(), Response=SimpleNamespace)
    function.init_context(given)
    return given


@pytest.fixture(scope="module")
def expected() -> NDArray[np.bool_]:
    cat: NDArray[np.bool_] = Segmenter.from_pretrained()(CAT).labels == VOC.names.index("cat")
    return cat


def asked(**more: Any) -> dict[str, Any]:
    return {"image": base64.b64encode(CAT.read_bytes()).decode(), **more}


def answered(function: Any, context: Any, body: Any, status: int = 200) -> Any:
    response = function.handler(context, SimpleNamespace(body=body))
    assert (response.status_code, response.content_type) == (status, "application/json"), response.body
    return json.loads(response.body)


def whole(mask: list[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A detector's mask as CVAT takes it apart: the last four are its box, the others its pixels."""
    left, top, right, bottom = mask[-4:]
    full = np.zeros(size, bool)
    full[top : bottom + 1, left : right + 1] = np.array(mask[:-4]).reshape(bottom - top + 1, right - left + 1)
    return full


def test_the_detector_finds_what_the_segmenter_finds(function: Any, context: Any, expected: NDArray[np.bool_]) -> None:
    parts = answered(function, context, asked())
    cats = [part for part in parts if part["label"] == "cat"]
    masks = [whole(part["mask"], expected.shape) for part in cats]
    np.testing.assert_array_equal(np.any(masks, axis=0), expected)
    for part, mask in zip(cats, masks, strict=True):
        assert part["type"] == "mask"
        assert set(part["mask"][:-4]) <= {0, 1}
        (outline,) = polygons_of(mask, tolerance_px=1)
        assert part["points"] == outline.ravel().tolist()
        assert 0 < float(part["confidence"]) <= 1


def test_the_threshold_leaves_out_what_is_less_sure(function: Any, context: Any) -> None:
    parts = answered(function, context, asked(threshold=0.9))
    assert parts
    assert all(float(part["confidence"]) >= 0.9 for part in parts)
    assert answered(function, context, asked(threshold=1.1)) == []


def test_points_give_the_thing_that_the_network_sees_there(
    function: Any, context: Any, expected: NDArray[np.bool_]
) -> None:
    y, x = np.argwhere(expected).mean(axis=0).astype(int).tolist()
    body = asked(pos_points=[[x, y]], neg_points=[[2, 2]], obj_bbox=None)
    found = answered(function, context, body)
    mask = np.array(found["mask"], bool)
    assert mask.shape == expected.shape
    assert mask[y, x]
    assert not mask[2, 2]
    assert (mask & expected).sum() / (mask | expected).sum() > 0.95
    assert np.array(found["points"]).shape[1] == 2


def test_a_box_gives_the_thing_in_it(function: Any, context: Any, expected: NDArray[np.bool_]) -> None:
    rows, columns = (np.flatnonzero(expected.any(axis=axis)) for axis in (1, 0))
    box = [[int(columns[-1]) + 1, int(rows[0])], [int(columns[0]), int(rows[-1]) + 1]]  # any two corners
    mask = np.array(answered(function, context, asked(pos_points=[], neg_points=[], obj_bbox=box))["mask"], bool)
    assert (mask & expected).sum() / (mask | expected).sum() > 0.8


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no image"), ({}, "no image"), ({"image": "*"}, "no photo in base64"), ({"image": 7}, "no photo"),
        ({"image": base64.b64encode(b"no photo").decode()}, "no photo in base64"),
        (asked(pos_points=[], neg_points=[], obj_bbox=None), "nothing is marked"),
        (asked(threshold="much"), "threshold is 'much'"),
        (asked(pos_points=[[1, 2, 3]], neg_points=[]), "pos_points are"),
        (asked(pos_points="here", neg_points=[]), "pos_points are"),
        (asked(pos_points=[[float("nan"), 1]], neg_points=[]), "no number"),
        (asked(pos_points=[[-90, 1]], neg_points=[]), "outside the photo"),
        (asked(pos_points=[[200, 100]], neg_points=[[200, 100], [2, 2]]), "nothing of the thing is left"),
        (asked(pos_points=[], neg_points=[], obj_bbox=[[1, 2]]), "obj_bbox has 1 corners"),
        (asked(pos_points=[[2, 2]], neg_points=[]), "one kind of mark alone teaches nothing"),
    ],
)  # fmt: skip
def test_bad_requests(function: Any, context: Any, body: Any, message: str) -> None:
    assert message in answered(function, context, body, 400)["error"]


@pytest.mark.parametrize("name", ["function.yaml", "function-interactor.yaml"])
def test_the_descriptions_hold_what_cvat_reads(name: str) -> None:
    described = yaml.safe_load((FOLDER / name).read_text())
    annotations = described["metadata"]["annotations"]
    assert described["spec"]["handler"] == "main:handler"
    assert annotations["type"] == ("interactor" if "interactor" in name else "detector")
    classes = [label["name"] for label in json.loads(annotations["spec"] or "[]")]
    assert classes == ([] if "interactor" in name else list(VOC.names[1:]))
