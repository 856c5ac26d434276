"""What arrays are taken for: every layout, kind and dtype of the same scores, and all that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.refinement import to_probabilities, understand

RANDOM = np.random.default_rng(6)
LAYOUTS = {"LHW": (0, 1, 2), "HWL": (1, 2, 0), "LWH": (0, 2, 1), "WHL": (2, 1, 0)}


def logits(count: int, height: int, width: int) -> NDArray[np.float32]:
    scores = np.random.default_rng(count).normal(0, 4, (count, height, width)).astype(np.float32)
    scores[:, 0, 0] = np.linspace(-3, -2, count)  # not all are positive
    return scores


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    exponentials = np.exp(scores - scores.max(axis=0))
    result: NDArray[Any] = exponentials / exponentials.sum(axis=0)
    return result


def one_hot(scores: NDArray[Any]) -> NDArray[Any]:
    result: NDArray[Any] = (scores == scores.max(axis=0)).astype(np.float32)
    return result


def percent(scores: NDArray[Any]) -> NDArray[Any]:
    return 100 * softmax(scores)


def log_softmax(scores: NDArray[Any]) -> NDArray[Any]:
    result: NDArray[Any] = np.log(softmax(scores))
    return result


KINDS: dict[str, tuple[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "logits": ("logits", np.asarray),
    "log-probabilities": ("log-probabilities", log_softmax),
    "probabilities": ("probabilities", softmax),
    "percent": ("probabilities", percent),
    "one-hot": ("labels", one_hot),
}


@given(
    kind=st.sampled_from(sorted(KINDS)),
    layout=st.sampled_from(["LHW", "HWL"]),
    dtype=st.sampled_from(["f2", "f4", "f8", ">f4", ">f8"]),
    batch=st.booleans(),
    strided=st.booleans(),
    sides=st.tuples(st.integers(2, 9), st.integers(3, 9), st.integers(3, 9)),
)
def test_every_layout_kind_and_dtype_of_scores_gives_the_same_labels(
    kind: str, layout: str, dtype: str, batch: bool, strided: bool, sides: tuple[int, int, int]
) -> None:
    expected, convert = KINDS[kind]
    scores = logits(*sides)
    array = convert(scores).astype(dtype).transpose(LAYOUTS[layout])
    if strided:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    array.setflags(write=False)
    if batch:
        array = array[None]
    count, height, width = sides
    if count == height == width and kind == "logits":  # nothing tells the axes apart
        with pytest.raises(InputError, match="--axes LHW or HWL"):
            understand(array, (height, width))
        found = understand(array, (height, width), axes=layout)
    else:
        found = understand(array, (height, width))
    assert (found.kind, found.axes, found.size) == (expected, layout, (height, width))
    assert found.labels == tuple(range(count))
    probabilities = to_probabilities(array, found)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    best = convert(scores).astype(dtype).astype(np.float64)
    assert (np.take_along_axis(best, probabilities.argmax(axis=0)[None], 0) == best.max(axis=0)).all()
    if kind != "one-hot":
        np.testing.assert_allclose(probabilities, softmax(scores), atol=0.01 if dtype == "f2" else 1e-5)


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535)])
def test_whole_numbers_that_sum_to_full_scale_are_probabilities(dtype: type, full: int) -> None:
    expected = softmax(logits(5, 8, 9))
    found = understand(array := np.rint(full * expected).astype(dtype), (8, 9))
    assert found.kind == "probabilities"
    np.testing.assert_allclose(to_probabilities(array, found), expected, atol=0.02)


@given(
    dtype=st.sampled_from(["?", "u1", "i1", "u2", ">u2", "i4", "u8", "i8", "f2", "f4", "f8"]),
    names=st.lists(st.integers(0, 120), min_size=2, max_size=6, unique=True),
    void=st.booleans(),
    shape=st.sampled_from([(6, 7), (1, 6, 7), (6, 7, 1), (1, 1, 6, 7)]),
)
def test_whole_numbers_in_one_plane_are_labels(
    dtype: str, names: list[int], void: bool, shape: tuple[int, ...]
) -> None:
    names = [0, 1] if dtype == "?" else sorted(names)
    labels = np.random.default_rng(len(names)).choice(names, (6, 7))
    labels.ravel()[: len(names)] = names
    has_void = void and dtype not in ("?", "i1")
    if has_void:
        labels[-1, -1] = 255
    array = labels.astype(dtype).reshape(shape)
    found = understand(array, (6, 7))
    assert (found.kind, found.labels, found.void) == ("labels", tuple(names), 255 if has_void else None)
    probabilities = to_probabilities(array, found, confidence=0.8)
    opinion = labels != found.void
    assert (np.array(names)[probabilities.argmax(axis=0)] == labels)[opinion].all()
    np.testing.assert_allclose(probabilities.max(axis=0)[opinion], 0.8, rtol=1e-6)
    np.testing.assert_allclose(probabilities[:, ~opinion], 1 / len(names), rtol=1e-6)


def test_a_plane_of_0_and_255_is_a_mask_unless_255_is_said_to_be_void() -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[1:3] = 255
    found = understand(mask, (4, 6))
    assert (found.labels, found.stored, found.void) == ((0, 1), (0, 255), None)
    assert (to_probabilities(mask, found).argmax(axis=0) == (mask > 0)).all()
    assert understand(mask, (4, 6), void=255).labels == (0,)


def test_softmax_over_one_label_is_no_label_map() -> None:
    ones = np.ones((1, 4, 6), np.float32)
    with pytest.raises(InputError, match=r"nothing but 1, as softmax over one label makes it.*--kind labels"):
        understand(ones, (4, 6))
    assert understand(ones, (4, 6), kind="labels").labels == (1,)
    assert understand(ones.astype(np.uint8), (4, 6)).kind == "labels"


def test_foreground_scores_in_one_plane() -> None:
    score = RANDOM.normal(0, 3, (5, 7)).astype(np.float32)
    sigmoid = 1 / (1 + np.exp(-score))
    for array, kind, options in (
        (score, "logits", {}),
        (sigmoid, "probabilities", {}),
        (np.rint(255 * sigmoid).astype(np.uint8), "probabilities", {"kind": "probabilities"}),
        (np.rint(65535 * sigmoid).astype(np.uint16)[None], "probabilities", {"kind": "probabilities"}),
    ):
        found = understand(array, (5, 7), **options)  # type: ignore[arg-type]
        assert (found.kind, found.labels) == (kind, (0, 1))
        probabilities = to_probabilities(array, found)
        np.testing.assert_allclose(probabilities, [1 - sigmoid, sigmoid], atol=0.003)


@pytest.mark.parametrize(
    ("size", "align"),
    [((9, 13), "corners"), ((8, 12), "centres"), ((9, 12), "centres"), ((16, 24), "centres"), ((65, 97), "centres")],
)
def test_corners_are_aligned_where_the_sizes_say_so(size: tuple[int, int], align: str) -> None:
    photo_size = (65, 97)  # 8 · 8 + 1 and 8 · 12 + 1
    assert understand(logits(3, *size), photo_size).align == align
    assert understand(logits(3, *size), photo_size, align="corners").align == "corners"


@pytest.mark.parametrize(("axes", "shape"), [("LWH", (5, 9, 7)), ("WHL", (9, 7, 5)), ("WH", (9, 7))])
def test_width_before_height_is_taken_when_said_and_named_when_not(axes: str, shape: tuple[int, ...]) -> None:
    scores = RANDOM.normal(size=shape)
    found = understand(scores, (7, 9), axes=axes)
    assert found.size == (7, 9)
    assert found.planes(scores).shape == (5 if "L" in axes else 1, 7, 9)
    with pytest.raises(InputError, match=f"width before height.*--axes {axes}"):
        understand(scores, (7, 9))


def test_it_is_said_in_one_line() -> None:
    said = str(understand(logits(21, 47, 63), (375, 500), align="corners"))
    assert said == (
        "(21, 47, 63) float32 → logits of 21 labels, channels first, 7.96x smaller than the photo (500x375): "
        "upsampled, corners aligned"
    )
    lines = {
        str(understand(array, (40, 60), **options))
        for array, options in (
            (softmax(logits(4, 40, 60)).transpose(1, 2, 0), {}),
            (np.eye(40, 60, dtype=np.uint8) * 255, {}),
            (np.arange(40 * 60).reshape(40, 60) % 30, {}),
            (np.full((1, 80, 120), 0.5), {}),
            (logits(3, 32, 32), {"stretch": True, "axes": "LHW"}),
            (np.pad(np.full((39, 60), 7, np.uint8), ((1, 0), (0, 0)), constant_values=255), {}),
            (np.full((40, 60), 7, np.uint8) * np.eye(40, 60, dtype=np.uint8), {"kind": "probabilities"}),
        )
    }
    assert lines == {
        "(40, 60, 4) float32 → probabilities of 4 labels, channels last, as large as the photo (60x40)",
        "(40, 60) uint8 → a mask, 255 the foreground, as large as the photo (60x40)",
        "(40, 60) int64 → label map of 30 labels (0–29), as large as the photo (60x40)",
        "(1, 80, 120) float64 → probabilities of the foreground, label 1, against background, label 0, channels first, "
        "2x larger than the photo (60x40): averaged",
        "(3, 32, 32) float32 → logits of 3 labels, channels first, 32x32 stretched over the photo (60x40), "
        "centres aligned",
        "(40, 60) uint8 → label map of 1 label (7, 255 void), as large as the photo (60x40)",
        "(40, 60) uint8 → probabilities of 0–255 of the foreground, label 1, against background, label 0, "
        "as large as the photo (60x40)",
    }


NAN = np.zeros((3, 8, 10))
NAN[0, 0, :2] = np.nan
BAD: dict[str, tuple[NDArray[Any], dict[str, Any], str]] = {
    "nan": (NAN, {}, "hold 2 NaN"),
    "infinite": (np.where(NAN == 0, 1.0, np.inf), {}, r"2 times \+inf"),
    "text": (np.array([["a"]]), {}, "dtype <U1"),
    "objects": (np.array([[None]]), {}, "dtype object"),
    "complex": (np.zeros((3, 8, 10), np.complex64), {}, "dtype complex64"),
    "empty": (np.zeros((0, 8, 10)), {}, "empty"),
    "vector": (np.zeros(80), {}, "expected \\(labels, height, width\\)"),
    "batch of two": (np.zeros((2, 3, 8, 10)), {}, r"one photo at a time, such as scores\[0\] of 2"),
    "five axes": (np.zeros((1, 1, 3, 8, 10)), {}, "expected"),
    "other proportion": (logits(3, 20, 20), {}, "differ in proportion.*--stretch"),
    "turned": (logits(3, 10, 8), {}, "width before height.*--axes LWH"),
    "wrong axes": (logits(3, 8, 10), {"axes": "HW"}, "expected one of LHW"),
    "unknown axes": (logits(3, 8, 10), {"axes": "CHW"}, "axes is 'CHW'"),
    "unknown kind": (logits(3, 8, 10), {"kind": "softmax"}, "kind is 'softmax'"),
    "unknown align": (logits(3, 8, 10), {"align": "edges"}, "align is 'edges'"),
    "colours": (RANDOM.integers(0, 256, (8, 10, 3), np.uint8), {}, "look like colours"),
    "independent": (RANDOM.random((3, 8, 10)), {}, "--kind logits.*--kind probabilities"),
    "quantised": (RANDOM.integers(-100, 100, (3, 8, 10), np.int8), {}, "--kind logits"),
    "grey": (np.arange(80, dtype=np.uint8).reshape(8, 10), {}, "--kind labels, probabilities or logits"),
    "large scale": (RANDOM.random((8, 10)) * 50, {}, "--kind"),
    "percent": (RANDOM.random((8, 10)) * 50, {"kind": "probabilities"}, "expected 0–1"),
    "negative probabilities": (logits(3, 8, 10), {"kind": "probabilities"}, "none below 0"),
    "fractional labels": (RANDOM.random((8, 10)), {"kind": "labels"}, "no whole numbers"),
    "half of log-probabilities": (-RANDOM.random((8, 10)), {"kind": "log-probabilities"}, "background open"),
    "negative labels": (np.arange(80).reshape(8, 10) % 4 - 1, {}, "--void -1"),
    "void alone": (np.full((8, 10), 255), {}, "nothing but 255"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_understood_is_refused_in_one_line(name: str) -> None:
    array, options, message = BAD[name]
    with pytest.raises(InputError, match=message) as error:
        understand(array, (8, 10), **options)
    assert "\n" not in str(error.value)


def test_what_was_refused_is_taken_when_said() -> None:
    labels = np.arange(80).reshape(8, 10) % 4 - 1
    assert understand(labels, (8, 10), void=-1).labels == (0, 1, 2)
    assert understand(labels.astype(float), (8, 10), void=-1).labels == (0, 1, 2)
    assert understand(np.arange(80, dtype=np.uint8).reshape(8, 10), (8, 10), kind="labels").labels[-1] == 79
    independent = RANDOM.random((3, 8, 10))
    found = understand(independent, (8, 10), kind="probabilities")
    np.testing.assert_allclose(to_probabilities(independent, found), independent / independent.sum(0), atol=1e-6)
    square = logits(5, 5, 5)
    with pytest.raises(InputError, match="--axes LHW or HWL"):
        understand(square, (5, 5))
    assert understand(softmax(square), (5, 5)).axes == "LHW"
    assert understand(softmax(square).transpose(1, 2, 0), (5, 5)).axes == "HWL"


@given(
    shape=st.lists(st.integers(0, 6), max_size=5),
    dtype=st.sampled_from(["?", "u1", "i2", "f2", "f4", "f8", "c8", "U3"]),
    seed=st.integers(0, 99),
    photo_size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_any_array_is_understood_or_refused(
    shape: list[int], dtype: str, seed: int, photo_size: tuple[int, int]
) -> None:
    array = np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)
    with suppress(InputError):  # anything else fails the test
        found = understand(array, photo_size)
        probabilities = to_probabilities(array, found)
        assert probabilities.shape == (len(found.labels), *photo_size)
        np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
