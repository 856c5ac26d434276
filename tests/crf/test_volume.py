"""Volumes: anisotropic voxels, number types, modalities, masks, and slabs, against the CRF over all their voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab.crf import DenseCRF, GaussianKernel, refine_volume
from deeplab.crf.volume import _slabs
from deeplab.errors import InputError

SPACING = (3.0, 0.8, 1.1)


def scan(shape=(9, 12, 14), seed=0):
    """A ball in noise, int16, and a model's blurred guess of where it is."""
    random = np.random.default_rng(seed)
    places = [np.arange(length) - length / 2 for length in shape]
    z, y, x = np.meshgrid(*places, indexing="ij")
    distance = np.sqrt((z * SPACING[0]) ** 2 + (y * SPACING[1]) ** 2 + (x * SPACING[2]) ** 2)
    radius = min(np.multiply(shape, SPACING)) / 3
    volume = np.where(distance < radius, 300, 0) + random.normal(0, 20, shape)
    p = 1 / (1 + np.exp((distance - radius - 1) / 3 + random.normal(0, 0.3, shape)))
    return volume.astype(np.int16), p.astype(np.float32), distance < radius


def by_dense_crf(volume, probabilities, value_std, method="lattice", normalization="after"):
    """σα 5 mm, σγ 2 mm."""
    places = np.indices(probabilities.shape[1:]).reshape(3, -1).T * SPACING
    values = volume.reshape(places.shape[0], -1) / value_std
    kernels = [
        GaussianKernel(np.column_stack([places / 5, values]), 5, normalization=normalization),
        GaussianKernel(places / 2, 3, normalization=normalization),
    ]
    return DenseCRF.from_probabilities(probabilities, kernels, prune_below=0.1, method=method).infer(10)


@pytest.mark.parametrize("normalization", ["after", "symmetric"])
def test_it_is_the_crf_over_all_voxels(normalization):
    volume, p, _ = scan()
    refined = refine_volume(volume, p, spacing_mm=SPACING, value_std=60, normalization=normalization)
    both = np.stack([1 - p, p])
    np.testing.assert_allclose(refined, by_dense_crf(volume, both, 60, normalization=normalization), atol=2e-4)
    exact = by_dense_crf(volume, both, 60, "exact", normalization)
    assert (refined.argmax(0) == exact.argmax(0)).mean() > 0.99


def test_it_finds_the_ball():
    volume, p, truth = scan((12, 30, 30))
    refined = refine_volume(volume, p, spacing_mm=SPACING, value_std=60)
    assert (refined.argmax(0) == truth).mean() > max(0.99, ((p > 0.5) == truth).mean())


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float16, np.float32, np.float64, ">i2"])
def test_any_number_type(dtype):
    volume, p, _ = scan()
    small = (np.clip(volume, 0, 310) // 2).astype(dtype)
    alike = refine_volume(small.astype(np.float64), p, spacing_mm=SPACING, value_std=30)
    assert np.array_equal(
        refine_volume(small, p.astype(np.float16).astype(np.float32), spacing_mm=1, value_std=30).shape, alike.shape
    )
    np.testing.assert_allclose(refine_volume(small, p, spacing_mm=SPACING, value_std=30), alike, atol=1e-5)


def test_several_modalities_and_labels():
    volume, p, _ = scan()
    other = np.random.default_rng(1).normal(0, 1, volume.shape)
    both = np.stack([volume, other * 100], axis=-1)
    three = np.stack([1 - p, p / 2, p / 2])
    refined = refine_volume(both, three, spacing_mm=SPACING, value_std=(60, 200))
    np.testing.assert_allclose(refined, by_dense_crf(both, three, np.array([60, 200])), atol=2e-4)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_slabs_agree_with_the_whole(order):
    """Along whichever axis: a mean of 1e-4 and 99.9 % of the likeliest labels. docs/volumes.md states it."""
    volume, p, _ = (array.transpose(order) for array in scan((60, 16, 18)))
    spacing = tuple(SPACING[axis] for axis in order)
    options = {"spacing_mm": spacing, "value_std": 60, "bilateral_std_mm": 3.0}
    whole = refine_volume(volume, p, slab_voxels=0, **options)
    steps = []
    slabs = refine_volume(volume, p, slab_voxels=25 * 16 * 18, progress=lambda *step: steps.append(step), **options)
    assert steps == [(done + 1, len(steps)) for done in range(len(steps))]
    assert len(steps) > 2
    assert np.abs(whole - slabs).mean() < 1e-4
    assert (whole.argmax(0) == slabs.argmax(0)).mean() > 0.999


@settings(max_examples=60)
@given(st.tuples(*[st.integers(1, 40)] * 3), st.integers(1, 5000), st.floats(0.1, 30), st.floats(0.1, 5))
def test_slabs_cover_every_slice_once(shape, most, std_mm, mm):
    axis, slabs = _slabs(shape, (mm, 1.0, 1.0), std_mm, most)
    kept = [slice_ for _, own, _ in slabs for slice_ in range(own.start, own.stop)]
    assert kept == list(range(shape[axis]))
    for seen, own, of_seen in slabs:
        assert seen.start <= own.start < own.stop <= seen.stop
        assert (seen.start + of_seen.start, seen.start + of_seen.stop) == (own.start, own.stop)


def test_a_mask_leaves_voxels_as_they_are():
    volume, p, _ = scan()
    mask = np.ones(volume.shape, bool)
    mask[:, :3] = False
    holes = np.where(mask, volume, np.nan)
    refined = refine_volume(holes, p, spacing_mm=SPACING, value_std=60, mask=mask, slab_voxels=5 * 12 * 14)
    np.testing.assert_allclose(refined[1, :, :3], p[:, :3], atol=1e-6)
    alone = refine_volume(volume[:, 3:], p[:, 3:], spacing_mm=SPACING, value_std=60)
    assert (refined[:, :, 3:].argmax(0) == alone.argmax(0)).mean() > 0.99
    two = np.stack([holes, holes], axis=-1)
    again = refine_volume(two, p, spacing_mm=SPACING, value_std=60 * 2**0.5, mask=mask)
    assert (again.argmax(0) == refined.argmax(0)).mean() > 0.99
    nowhere = refine_volume(holes, p, spacing_mm=SPACING, value_std=60, mask=np.zeros_like(mask))
    np.testing.assert_allclose(nowhere[1], p, atol=1e-6)


def test_threads_and_millimetres_do_not_matter():
    volume, p, _ = scan()
    one = refine_volume(volume, p, spacing_mm=SPACING, value_std=60, threads=1)
    assert np.array_equal(one, refine_volume(volume, p, spacing_mm=SPACING, value_std=60, threads=2))
    finer = refine_volume(
        volume,
        p,
        spacing_mm=tuple(mm / 8 for mm in SPACING),
        value_std=60,
        bilateral_std_mm=5 / 8,
        spatial_std_mm=2 / 8,
    )
    np.testing.assert_allclose(one, finer, atol=1e-5)


VOLUME, P = np.zeros((3, 4, 5), np.int16), np.full((2, 3, 4, 5), 0.5)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((VOLUME[0], P), {}, r"volume has shape \(4, 5\); expected \(depth, height, width\)"),
        ((VOLUME[:0], P), {}, r"volume has shape \(0, 4, 5\)"),
        ((VOLUME.astype(str), P), {}, "volume has dtype <U"),
        ((np.full(VOLUME.shape, np.nan), P), {}, "volume has NaN .*: pass mask="),
        ((VOLUME, np.moveaxis(P, 0, -1)), {}, r"pass np.moveaxis\(probabilities, -1, 0\)"),
        ((VOLUME, P[:, 1:]), {}, r"probabilities have shape \(2, 2, 4, 5\); expected \(labels, 3, 4, 5\)"),
        ((VOLUME, P[:1] * 2), {}, r"one label alone, .* pass probabilities\[0\]"),
        ((VOLUME, P * 3), {}, "sum to 3-3"),
        ((VOLUME, P[0] * 3), {}, "foreground's probabilities go from 0 to 1.5"),
        ((VOLUME, P), {"spacing_mm": (1, 1)}, r"spacing_mm has shape \(2,\); expected a number, or 3"),
        ((VOLUME, P), {"spacing_mm": (1, 0, 1)}, "spacing_mm is 0; expected a number above 0"),
        ((VOLUME, P), {"value_std": (1, 2)}, r"value_std has shape \(2,\); expected a number, or 1 of them"),
        ((VOLUME, P), {"value_std": 0}, "value_std is 0"),
        ((VOLUME, P), {"bilateral_std_mm": -1}, "bilateral_std_mm is -1"),
        ((VOLUME, P), {"spatial_weight": np.nan}, "spatial_weight is nan"),
        ((VOLUME, P), {"iterations": 1.5}, "iterations is 1.5"),
        ((VOLUME, P), {"normalization": "aftr"}, "did you mean 'after'"),
        ((VOLUME, P), {"mask": np.ones((3, 4), bool)}, r"mask has shape \(3, 4\)"),
        ((VOLUME, P), {"slab_voxels": -1}, "slab_voxels is -1"),
        ((np.arange(60).reshape(3, 4, 5) * 10**7, P), {"value_std": 1e-3}, "feature 3 .* spans"),
    ],
)  # fmt: skip
def test_bad_input(arguments, options, message):
    with pytest.raises(InputError, match=message):
        refine_volume(*arguments, **{"spacing_mm": 1, "value_std": 10, **options})


def test_what_clearly_does_not_fit_is_said_before_any_work():
    volume = np.broadcast_to(np.int16(0), (40_000, 40_000, 40_000))
    p = np.broadcast_to(np.float32(0.5), (40_000, 40_000, 40_000))
    with pytest.raises(MemoryError, match=r"refining 2 labels of 40000x40000x40000 voxels.*smaller slabs"):
        refine_volume(volume, p, spacing_mm=1, value_std=10)
