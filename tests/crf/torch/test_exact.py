"""The tiled sums, PyTorch's and Triton's, against NumPy's brute force."""

import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from deeplab.crf.exact import filter_exactly
from deeplab.crf.torch import exact
from deeplab.crf.torch.exact import ExactSum

CASES = {  # batch, points, features, channels
    "less-than-a-tile": (1, 7, 1, 1),
    "one-tile": (1, 64, 2, 3),
    "photo": (2, 200, 5, 21),
    "many-channels": (1, 130, 3, 70),
    "tiles-near-and-far": (1, 900, 2, 2),
}


def points(case):
    batch, count, d, channels = CASES[case]
    random = np.random.default_rng(0)
    return (
        random.normal(0, 3, (batch, count, d)).astype(np.float32),
        random.uniform(-1, 1, (batch, channels, count)).astype(np.float32),
    )


def brute_force(features, values):
    return np.stack([filter_exactly(f, v) for f, v in zip(features, values, strict=True)])


@pytest.mark.parametrize("case", CASES)
def test_pytorch(case, monkeypatch):
    monkeypatch.setattr(exact, "_PAIRS_AT_ONCE", 10_000)  # several tiles, the last one smaller
    features, values = points(case)
    summed = ExactSum(torch.from_numpy(features))(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(summed, brute_force(features, values), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def triton_sums(tmp_path_factory):
    """What the Triton kernel makes of every case: on a GPU where there is one, else in Triton's interpreter."""
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    folder = tmp_path_factory.mktemp("triton")
    given = {}
    for case in CASES:
        given[f"features {case}"], given[f"values {case}"] = points(case)
    np.savez(folder / "given.npz", **given)
    mode = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    script = Path(__file__).with_name("triton_sums.py")
    subprocess.run(
        [sys.executable, script, folder / "given.npz", folder / "sums.npz"],
        env={**os.environ, **mode},
        check=True,
        timeout=120,
    )
    return np.load(folder / "sums.npz")


@pytest.mark.parametrize("case", CASES)
def test_triton(triton_sums, case):
    np.testing.assert_allclose(triton_sums[case], brute_force(*points(case)), rtol=1e-5, atol=1e-5)


def test_triton_skips_only_what_is_negligible():
    """The cut-off's promise: all N values beyond it together stay below 1e-6."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from deeplab.crf.torch.triton_sum import cutoff

    for count in (1, 1000, 10**7):
        assert count * math.exp(-cutoff(count) / 2) == pytest.approx(1e-6)


def test_tiles_of_a_photo_are_mostly_far_apart(make_scene):
    """Along the curve, tiles are small: fewer pairs matter than in row-major order, and every near pair is counted."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from deeplab.crf.kernels import bilateral_kernel
    from deeplab.crf.torch.triton_sum import active_tile_pairs

    image, _ = make_scene(64, 64, 5)
    features = bilateral_kernel(image, xy_std_px=10, rgb_std=5, weight=1).features
    rows = features.reshape(64, 64, 5)
    low, high = rows.min(1), rows.max(1)
    gap = np.maximum(np.maximum(low[None] - high[:, None], low[:, None] - high[None]), 0)
    in_row_major_order = ((gap**2).sum(2) < 2 * math.log(4096 / 1e-6)).mean()
    share = active_tile_pairs(torch.from_numpy(features)[None])
    assert 1 / 64 < share < in_row_major_order
