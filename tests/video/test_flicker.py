from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deeplab.errors import InputError
from deeplab.video.flicker import flicker

SHAPE = (3, 4, 5)


@given(
    labels=arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, 255])),
    frames=st.none() | arrays(np.uint8, (*SHAPE, 3), elements=st.sampled_from([0, 10, 20, 40])),
    places=st.none() | arrays(np.float64, (2, 4, 5, 2), elements=st.floats(-2, 7) | st.just(math.nan)),
)
def test_it_is_what_counting_pixel_by_pixel_gives(labels: Any, frames: Any, places: Any) -> None:
    changed, compared = 0, 0
    for t, y, x in np.ndindex(2, 4, 5):
        to_x, to_y = (x, y) if places is None else places[t, y, x]
        if math.isnan(to_x) or math.isnan(to_y):
            continue
        column, row = round(to_x), round(to_y)
        if not (0 <= column < 5 and 0 <= row < 4):
            continue
        before, after = labels[t, y, x], labels[t + 1, row, column]
        if 255 in (before, after):
            continue
        if frames is not None:
            colours = frames[t, y, x].astype(int), frames[t + 1, row, column].astype(int)
            if max(abs(colours[0] - colours[1])) > 10:
                continue
        compared += 1
        changed += before != after
    measured = flicker(labels, frames=frames, places=places)
    assert math.isnan(measured) if compared == 0 else measured == pytest.approx(changed / compared)


def test_labels_that_move_with_the_scene_do_not_flicker() -> None:
    scene = np.random.default_rng(1).integers(0, 21, (20, 40)).astype(np.uint8)
    labels = np.stack([scene[:, 3 * t : 3 * t + 20] for t in range(5)])
    y, x = np.indices((20, 20))
    places = np.stack([np.stack([x - 3, y], axis=-1)] * 4).astype(np.float32)
    assert flicker(labels, places=places) == 0
    assert flicker(labels) > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": np.zeros((1, 4, 5), np.uint8)}, "at least two frames"),
        ({"labels": np.zeros((4, 5), np.uint8)}, "at least two frames"),
        ({"labels": np.zeros(SHAPE)}, "integer labels"),
        ({"labels": np.zeros((2, 0, 5), np.uint8)}, "integer labels"),
        ({"labels": np.zeros(SHAPE, int), "frames": np.zeros(SHAPE, np.uint8)}, "expected frames"),
        ({"labels": np.zeros(SHAPE, int), "frames": np.zeros((*SHAPE, 3))}, "uint8 like the labels"),
        ({"labels": np.zeros(SHAPE, int), "places": np.zeros((3, 4, 5, 2))}, "expected places"),
    ],
)
def test_bad_arrays(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        flicker(**arguments)
