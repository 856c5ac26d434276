from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.crf import PARITY, CRFParams, CRFSettings, DenseCRF, GaussianKernel, refine
from deeplab.errors import InputError
from deeplab.video.temporal_crf import refine_frames

CRF = CRFSettings(CRFParams(4, 8, 20, 2, 2), iterations=5)


def still_scene(count: int, height: int = 12, width: int = 16) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Frames of a left and a right half with a little noise, and three labels' probabilities with much of it."""
    random = np.random.default_rng(4)
    frames = np.full((count, height, width, 3), 60, np.uint8)
    frames[:, :, width // 2 :] = 190
    frames += random.integers(0, 6, frames.shape, dtype=np.uint8)
    scores = random.normal(0, 1.2, (3, count, height, width)).astype(np.float32)
    scores[0, :, :, : width // 2] += 1
    scores[1, :, :, width // 2 :] += 1
    exponentials = np.exp(scores)
    return frames, exponentials / exponentials.sum(axis=0)


def test_it_is_near_the_exact_mean_field_over_all_pairs() -> None:
    frames, probabilities = still_scene(3)
    t, y, x = np.indices(frames.shape[:3]).reshape(3, -1)
    colours = frames.reshape(-1, 3) / 20
    alike = np.column_stack([x / 8, y / 8, t / 2, colours])
    near = np.column_stack([x / 2, y / 2, t * 100])
    kernels = [GaussianKernel(alike, 4), GaussianKernel(near, 2)]
    exact = DenseCRF(-np.log(probabilities), kernels, method="exact").infer(5)
    refined = refine_frames(frames, probabilities, CRF, t_std_frames=2)
    assert refined.shape == probabilities.shape
    assert refined.dtype == np.float32
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-4)
    assert np.mean(refined.argmax(0) == exact.argmax(0)) > 0.97
    assert np.abs(refined - exact).mean() < 0.03


def test_what_was_learnt_label_by_label_counts_as_in_the_exact_mean_field() -> None:
    frames, probabilities = still_scene(3)
    costs = np.array([[0, 3, 0.2], [0.5, 0, 1], [1, 1, -1]])
    params = CRFParams((4, 2, 3), 8, 20, (2, 1, 0), 2, costs.tolist())
    t, y, x = np.indices(frames.shape[:3]).reshape(3, -1)
    alike = np.column_stack([x / 8, y / 8, t / 2, frames.reshape(-1, 3) / 20])
    kernels = [
        GaussianKernel(alike, 1, costs * params.bilateral_weight),
        GaussianKernel(np.column_stack([x / 2, y / 2, t * 100]), 1, costs * params.spatial_weight),
    ]
    exact = DenseCRF(-np.log(probabilities), kernels, method="exact").infer(5)
    refined = refine_frames(frames, probabilities, CRFSettings(params, 5), t_std_frames=2)
    assert np.mean(refined.argmax(0) == exact.argmax(0)) > 0.97
    with pytest.raises(InputError, match="3 labels; expected"):
        refine_frames(frames, probabilities[:2] / probabilities[:2].sum(0), CRFSettings(params), t_std_frames=2)


def test_frames_far_apart_in_time_are_as_each_alone() -> None:
    frames, probabilities = still_scene(4)
    refined = refine_frames(frames, probabilities, CRF, t_std_frames=0.01)
    alone = np.stack(
        [
            refine(frame, probabilities[:, t], CRF.params, iterations=5, shortcuts=PARITY)
            for t, frame in enumerate(frames)
        ],
        axis=1,
    )
    # Two lattices of other dimensions approximate the same Gaussian.
    assert np.mean(refined.argmax(0) == alone.argmax(0)) > 0.97
    assert np.abs(refined - alone).mean() < 0.02


def test_time_backwards_gives_the_same_backwards() -> None:
    frames, probabilities = still_scene(5)
    forwards = refine_frames(frames, probabilities, CRF, t_std_frames=2)
    backwards = refine_frames(frames[::-1], probabilities[:, ::-1], CRF, t_std_frames=2)[:, ::-1]
    assert np.abs(forwards - backwards).mean() < 0.02  # the lattice lies elsewhere


def test_labels_of_a_still_scene_agree_more_the_wider_time_is() -> None:
    frames, probabilities = still_scene(8)
    weak = CRFSettings(CRFParams(3, 1, 20, 0, 2))  # reaches few pixels of its own frame
    changes = []
    for t_std_frames in (0.01, 1, 4):
        labels = refine_frames(frames, probabilities, weak, t_std_frames=t_std_frames).argmax(0)
        changes.append(np.mean(labels[1:] != labels[:-1]))
    assert changes[0] > 1.5 * changes[1]
    assert changes[1] > 1.2 * changes[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t_std_frames": 0}, "t_std_frames"),
        ({"t_std_frames": float("nan")}, "t_std_frames"),
        ({"frames": np.zeros((2, 12, 16), np.uint8)}, "expected frames"),
        ({"frames": np.zeros((2, 12, 16, 3), np.float32)}, "uint8 RGB"),
        ({"frames": np.zeros((0, 12, 16, 3), np.uint8)}, "expected frames"),
        ({"probabilities": np.ones((3, 12, 16), np.float32)}, "expected probabilities"),
        ({"probabilities": np.ones((3, 2, 16, 12), np.float32)}, "expected probabilities"),
        ({"probabilities": np.full((3, 2, 12, 16), np.nan, np.float32)}, "probabilities"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], message: str) -> None:
    frames, probabilities = still_scene(2)
    arguments = {"frames": frames, "probabilities": probabilities, "crf": CRF, "t_std_frames": 2.0} | changes
    with pytest.raises(InputError, match=message):
        refine_frames(**arguments)


def test_frames_that_cannot_fit_are_refused_before_any_work() -> None:
    frames = np.broadcast_to(np.zeros(3, np.uint8), (1000, 20_000, 20_000, 3))
    probabilities = np.broadcast_to(np.float32(0.5), (2, 1000, 20_000, 20_000))
    with pytest.raises(MemoryError, match="span fewer frames"):
        refine_frames(frames, probabilities, CRF, t_std_frames=2)
