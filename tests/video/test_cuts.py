"""Scene cuts, in frames of two scenes and in videos of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from deeplab import Segmenter
from deeplab.errors import InputError
from deeplab.video import CUT_THRESHOLD, cut_strength, segment_video
from deeplab.video.cuts import shots

MakeClip = Callable[..., Path]


def scene(colour: tuple[int, int, int], count: int, seed: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) of noise around a colour, with a grey block that moves through them."""
    width, height = size
    random = np.random.default_rng(seed)
    frames = np.clip(np.array(colour) + random.normal(0, 5, (count, height, width, 3)), 0, 255).astype(np.uint8)
    for number, frame in enumerate(frames):
        frame[10:30, 3 * number : 3 * number + 12] = 120
    return frames


@pytest.fixture(scope="module")
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model, threads=1)


TWO = np.concatenate([scene((40, 60, 200), 7, 0), scene((220, 150, 40), 6, 1)])


def test_a_cut_is_stronger_than_what_moves() -> None:
    strengths = [cut_strength(*pair) for pair in pairwise(TWO)]
    assert np.argmax(strengths) == 6
    assert strengths[6] > 0.8
    assert max(strengths[:6] + strengths[7:]) < CUT_THRESHOLD / 2


def test_exposure_and_noise_are_no_cut() -> None:
    random = np.random.default_rng(0)
    for level in (15, 31, 32, 63, 127):  # on the edges of bins
        flat = np.full((48, 64, 3), level, np.uint8)
        assert cut_strength(flat, flat + 1) < CUT_THRESHOLD
        noisy = [np.clip(level + random.normal(0, 3, flat.shape), 0, 255).astype(np.uint8) for _ in range(2)]
        assert cut_strength(*noisy) < CUT_THRESHOLD


FRAMES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@given(FRAMES, FRAMES)
def test_strengths_are_0_to_1_and_know_no_direction(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
    assert cut_strength(before, before) == 0
    assert 0 <= cut_strength(before, after) == cut_strength(after, before) <= 1 + 1e-9


@pytest.mark.parametrize(("threshold", "expected"), [(0.4, [[0, 1, 2], [3, 4]]), (1, [[0, 1, 2, 3, 4]])])
def test_shots_are_lazy_and_in_order(threshold: float, expected: list[list[int]]) -> None:
    frames = [TWO[0], TWO[1], TWO[2], TWO[7], TWO[8]]
    taken = []

    def numbers() -> Any:
        for number in range(5):
            taken.append(number)
            yield number

    found = shots(numbers(), lambda number: frames[number], threshold)
    first = next(found)
    assert next(first) == 0
    assert taken == [0]
    assert [[0, *first], *(list(shot) for shot in found)] == expected


def test_no_frames_have_no_shots() -> None:
    assert list(shots([], lambda item: item, 0.4)) == []


@pytest.mark.parametrize(("threshold", "cuts"), [(CUT_THRESHOLD, (7,)), (1.0, ())])
def test_a_crf_that_spans_frames_never_spans_a_cut(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    threshold: float, cuts: tuple[int, ...],
) -> None:  # fmt: skip
    module = sys.modules["deeplab.video.segment_video"]
    spans: list[NDArray[np.uint8]] = []
    refine_frames = module.refine_frames

    def seen(frames: NDArray[np.uint8], *arguments: Any, **options: Any) -> Any:
        spans.append(frames)
        return refine_frames(frames, *arguments, **options)

    monkeypatch.setattr(module, "refine_frames", seen)
    clip = make_clip(frames=TWO)
    result = segment_video(clip, tmp_path / "out", segmenter, kind="labels", span=8, cut_threshold=threshold)
    assert (result.frames, result.cuts) == (13, cuts)
    blue = [{bool(frame[..., 2].mean() > frame[..., 0].mean()) for frame in span} for span in spans]
    assert ({False, True} in blue) == (not cuts)


def test_scenes_are_segmented_as_if_each_were_a_video(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path
) -> None:
    """The scores of every third frame do not reach across either."""
    options: dict[str, Any] = {"kind": "labels", "span": 4, "every": 3}
    # Lossless, so that a scene alone is decoded to the same frames.
    clips = {"both": TWO, "first": TWO[:7], "second": TWO[7:]}
    maps = {}
    for name, frames in clips.items():
        clip = make_clip(f"{name}.mkv", frames=frames, codec="ffv1", pixels="bgr0")
        segment_video(clip, tmp_path / "out", segmenter, **options)
        found = sorted((tmp_path / "out" / f"{name}_labels").iterdir())
        maps[name] = np.stack([np.asarray(Image.open(path)) for path in found])
    assert np.array_equal(maps["both"], np.concatenate([maps["first"], maps["second"]]))


def test_bad_threshold(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cut_threshold is 1.5; expected a number at least 0 and at most 1"):
        segment_video(make_clip(), tmp_path, segmenter, cut_threshold=1.5)


@pytest.mark.skipif("DEEPLAB_DATA" not in os.environ, reason="needs DEEPLAB_DATA")
def test_real_clips_have_no_cut_within_and_one_between() -> None:
    folder = Path(os.environ["DEEPLAB_DATA"]) / "davis" / "JPEGImages"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    clips = [[np.asarray(Image.open(path)) for path in sorted(each.iterdir())] for each in sorted(folder.iterdir())]
    assert max(cut_strength(*pair) for clip in clips for pair in pairwise(clip)) < CUT_THRESHOLD
    assert min(cut_strength(one[-1], other[0]) for one, other in pairwise(clips)) > CUT_THRESHOLD
