"""Layers as arrays, and the CRF on labels and strokes: without napari, on what stands in for its layers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.crf import CRFParams, CRFSettings, DenseCRF, GaussianKernel, refine
from deeplab.errors import InputError
from deeplab.napari.layers import labels_of, pixels_of
from deeplab.napari.strokes import refined_labels

CRF = CRFSettings(CRFParams(bilateral_xy_std_px=20, bilateral_rgb_std=20))


def layer(data: Any, *, rgb: bool = False, multiscale: bool = False, limits: Any = (0, 255)) -> Any:
    return SimpleNamespace(data=data, rgb=rgb, multiscale=multiscale, contrast_limits=limits, name="it")


def refined(pixels: Any, labels: Any, strokes: Any, **options: Any) -> NDArray[np.int64]:
    given = {"nothing": 255, "confidence": 0.7, **options}
    return refined_labels(pixels, labels.astype(np.int64), strokes.astype(np.int64), CRF, **given)


def test_layers_of_all_kinds_become_rgb(photo: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(pixels_of(layer(photo, rgb=True)), photo)
    np.testing.assert_array_equal(pixels_of(layer([photo, photo[::2, ::2]], rgb=True, multiscale=True)), photo)
    grey = photo[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(pixels_of(layer(grey)), expected)
    np.testing.assert_array_equal(pixels_of(layer(np.stack([grey, 255 - grey]))), np.stack([expected, 255 - expected]))
    deep = grey.astype(np.float64) * 10 - 700
    np.testing.assert_array_equal(pixels_of(layer(deep, limits=(-700, 1850))), expected)
    stack = np.stack([deep, deep.clip(max=0)])  # one range for all slices
    np.testing.assert_array_equal(pixels_of(layer(stack, limits=(-700, 1850)))[0], expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "no image layer"), (layer(np.zeros(5)), "has 1 axes"), (layer(np.zeros((2, 2, 2, 2))), "has 4 axes"),
        (layer(np.zeros((0, 4), np.uint8)), "no pixels"), (layer(np.zeros((4, 4), complex)), "complex"),
    ],
)  # fmt: skip
def test_layers_that_are_no_image(image: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pixels_of(image)


def test_labels_of_another_size() -> None:
    with pytest.raises(InputError, match=r"has shape \(3, 4\), the image \(4, 4\); choose layers of one size"):
        labels_of(layer(np.zeros((3, 4), int)), (4, 4), "labels")
    with pytest.raises(InputError, match="no layer of strokes"):
        labels_of(None, (4, 4), "strokes")


def test_labels_are_refined_as_refine_does(photo: NDArray[np.uint8]) -> None:
    """Numbers of any size; the photo changes at row 30, the labels at row 25."""
    labels = np.zeros((60, 90), int)
    labels[25:] = 70_000
    found = refined(photo, labels, np.zeros_like(labels))
    probability = np.where(labels == 0, 0.3, 0.7)
    expected = np.where(refine(photo, probability, CRF).argmax(0) == 1, 70_000, 0)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[:30] == 0, True)
    np.testing.assert_array_equal(found[30:] == 70_000, True)


def test_strokes_hold_and_may_bring_labels_or_take_them_away(photo: NDArray[np.uint8]) -> None:
    labels, strokes = np.zeros((60, 90), int), np.zeros((60, 90), int)
    labels[30:] = 1
    strokes[10:20:3, 5:85] = 7
    strokes[50, 5:85] = 255
    found = refined(photo, labels, strokes)
    assert (found[strokes == 7] == 7).all()
    assert (found[strokes == 255] == 0).all()
    assert set(np.unique(found)) <= {0, 1, 7}


def volume() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A bright ball in dark noise, and labels that lack a slice of it."""
    z, y, x = np.indices((9, 24, 24))
    ball = (3 * (z - 4)) ** 2 + (y - 12) ** 2 + (x - 12) ** 2 < 81
    noise = np.random.default_rng(3).integers(0, 20, ball.shape)
    labels = ball.astype(np.int64)
    labels[4] = 0
    return np.repeat((60 + 120 * ball + noise)[..., None], 3, axis=3).astype(np.uint8), labels


def test_a_volume_carries_labels_from_slice_to_slice() -> None:
    pixels, labels = volume()
    ball = pixels[..., 0] > 120
    whole = refined(pixels, labels, np.zeros_like(labels), spacing_px=(3.0, 1.0, 1.0))
    alone = refined(pixels, labels, np.zeros_like(labels))
    assert (alone[4] == 0).all()  # a slice for itself cannot know
    assert (whole[4] == ball[4]).mean() > 0.98
    assert (whole == ball).mean() > 0.99


def test_a_volume_is_an_exact_crf_up_to_the_lattice() -> None:
    """Beside the sum over all pairs of voxels, in which grey levels count once."""
    pixels, labels = (part[2:6, 6:16, 6:16] for part in volume())
    strokes = np.zeros_like(labels)
    strokes[1, 5, 3:7] = 1
    known = np.where(strokes != 0, 1, 0.7)
    own = np.where(strokes != 0, strokes, labels)
    probabilities = np.stack([np.where(own == value, known, 1 - known) for value in (0, 1)]).astype(np.float32)
    at = np.indices(labels.shape).reshape(3, -1).T
    places = at * (4.0, 1.0, 1.0)
    alike = np.hstack([places / 20, pixels[..., :1].reshape(-1, 1) / 20])
    kernels = [GaussianKernel(alike, 5.0), GaussianKernel(places / 3, 3.0)]
    exact = DenseCRF.from_probabilities(probabilities, kernels, fixed=strokes != 0, method="exact").infer(10)
    found = refined(pixels, labels, strokes, spacing_px=(4.0, 1.0, 1.0))
    assert (found == exact.argmax(0)).mean() > 0.99
    assert (found[strokes != 0] == 1).all()


def test_colour_stacks_go_slice_by_slice(photo: NDArray[np.uint8]) -> None:
    labels = np.zeros((2, 60, 90), int)
    labels[:, 25:] = 1
    seen: list[int] = []

    def through(numbers: Any) -> Any:
        for number in numbers:
            seen.append(number)
            yield number

    found = refined(np.stack([photo, photo[:, ::-1]]), labels, np.zeros_like(labels), through=through)
    np.testing.assert_array_equal(found[0], refined(photo, labels[0], np.zeros_like(labels[0])))
    assert seen == [0, 1]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (np.zeros((60, 90)), {}, "there are 1 labels, counting 0"),
        (np.arange(5400).reshape(60, 90), {}, "there are 5400 labels"),
        (np.arange(5400).reshape(60, 90) % 2, {"confidence": 0.4}, "expected above 0.5"),
    ],
)
def test_labels_that_cannot_be_refined(photo: NDArray[np.uint8], labels: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        refined(photo, labels, np.zeros((60, 90)), **options)
