"""Images that are no photos: grey, of many channels, of 12 and 16 bits, floats, and with pixels that hold no data."""

import json

import numpy as np
import pytest

from deeplab.crf import (
    PARITY,
    CRFParams,
    CRFSettings,
    DenseCRF,
    Shortcuts,
    bilateral_kernel,
    refine,
    refine_batch,
    spatial_kernel,
)
from deeplab.crf.photo_kernels import narrowed
from deeplab.crf.pydensecrf import DenseCRF2D
from deeplab.crf.pydensecrf.utils import create_pairwise_bilateral
from deeplab.errors import InputError

RANDOM = np.random.default_rng(0)
EVEN = np.full((2, 9, 12), 0.5)


def by_all_pairs(image, probabilities, params, iterations):
    """The mean field of the definition, normalised "after": each pixel hears weighted means over all pixels."""
    labels, height, width = probabilities.shape
    y, x = (index.ravel() for index in np.indices((height, width)))
    near = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    bands = image.reshape(height * width, -1).astype(np.float64)
    apart = (((bands[:, None] - bands) / params.bilateral_rgb_std) ** 2).sum(2)
    kernels = [
        (params.bilateral_weight, np.exp(-near / 2 / params.bilateral_xy_std_px**2 - apart / 2)),
        (params.spatial_weight, np.exp(-near / 2 / params.spatial_xy_std_px**2)),
    ]
    own = np.log(probabilities.reshape(labels, -1).astype(np.float64))
    belief = np.exp(own)
    for _ in range(iterations):
        heard = sum(weight * (belief @ k) / k.sum(0) for weight, k in kernels)
        belief = np.exp(own + heard)
        belief /= belief.sum(0)
    return belief.reshape(probabilities.shape)


@pytest.mark.parametrize(
    ("image", "std"),
    [
        (RANDOM.integers(0, 256, (9, 12), np.uint8), 60),
        (RANDOM.integers(0, 256, (9, 12, 1), np.uint8), (60,)),
        (RANDOM.integers(0, 4096, (9, 12, 4), np.uint16), (900, 2000, 700, 5000)),
        (RANDOM.normal(-500, 300, (9, 12, 2)), [200, 400]),
        (RANDOM.integers(-1000, 3000, (9, 12), np.int16), np.array(700.0)),
        (RANDOM.uniform(0, 1, (9, 12, 3)).astype(np.float16), 0.3),
    ],
)
def test_any_image_is_what_all_pairs_of_pixels_make_of_it(make_scene, image, std):
    _, probabilities = make_scene(9, 12, 3)
    params = CRFParams(4, 6, std, 2, 2)
    kernels = [
        bilateral_kernel(image, xy_std_px=6, rgb_std=std, weight=4),
        spatial_kernel(9, 12, xy_std_px=2, weight=2),
    ]
    exact = DenseCRF.from_probabilities(probabilities, kernels, method="exact").infer(4)
    np.testing.assert_allclose(exact, by_all_pairs(image, probabilities, params, 4), atol=1e-5)
    lattices = DenseCRF.from_probabilities(probabilities, kernels).infer(4)
    np.testing.assert_array_equal(refine(image, probabilities, params, iterations=4, shortcuts=PARITY), lattices)
    assert np.abs(lattices - exact).max() < 0.2
    assert np.abs(probabilities - exact).max() > 0.3


def test_grey_is_three_equal_channels_with_deviations_root_three_times_as_large():
    grey = RANDOM.integers(0, 256, (9, 12), np.uint8)
    one = bilateral_kernel(grey, xy_std_px=5, rgb_std=20, weight=3)
    three = bilateral_kernel(np.dstack([grey] * 3), xy_std_px=5, rgb_std=20 * 3**0.5, weight=3)
    unary = RANDOM.normal(0, 1, (3, 9, 12))
    found, expected = (DenseCRF(unary, [kernel], method="exact").infer(5) for kernel in (one, three))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("std", [3, 6, 13])
def test_a_photos_levels_may_be_stored_in_any_type_and_unit(make_scene, std):
    image, probabilities = make_scene(40, 50, 3)
    assert image.max() > 128  # as its 16-bit copy then fills its type
    photo = refine(image, probabilities, CRFParams(5, 20, std, 3, 3))
    for unit, dtype in [(1, np.int64), (1, np.float32), (257, np.uint16), (1 / 255, np.float64), (257, np.float32)]:
        values = (image * np.float64(unit)).astype(dtype)
        other = refine(values, probabilities, CRFParams(5, 20, std * unit, 3, 3))
        np.testing.assert_allclose(other, photo, atol=2e-3)


@pytest.mark.parametrize(("bits", "std"), [(10, 12), (12, 48), (16, 771)])
def test_an_image_and_its_deviations_may_be_scaled_together(make_scene, bits, std):
    image, probabilities = make_scene(30, 40, 3)
    deep = (image.astype(np.uint16) * (2**bits - 1) // 255).astype(np.float64)
    found = [refine(deep * f, probabilities, CRFParams(5, 20, std * f, 3, 3), shortcuts=PARITY) for f in (1, 8, 1 / 64)]
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], atol=1e-6)


@pytest.mark.parametrize("std", [3, 6.5, 13])
def test_a_deviation_for_each_channel_of_a_photo(make_scene, std):
    """Equal ones are the one for all to the last bit; a huge one leaves its channel out."""
    image, probabilities = make_scene(30, 40, 3)
    each = refine(image, probabilities, CRFParams(bilateral_rgb_std=(std, std, std)))
    np.testing.assert_array_equal(each, refine(image, probabilities, CRFParams(bilateral_rgb_std=std)))
    flat = image.copy()
    flat[..., 1] = 7
    params = CRFParams(5, 20, (std, 1e9, std), 3, 3)
    without = refine(image, probabilities, params), refine(flat, probabilities, params)
    np.testing.assert_allclose(*without, atol=1e-5)


def test_tiles_know_the_whole_images_scale(make_scene):
    image, probabilities = make_scene(90, 130, 4)
    deep = image.astype(np.float64) * 16
    deep[:20, :20] /= 4096  # a dark tile of its own, with values of 0-1
    params = CRFParams(bilateral_xy_std_px=8, bilateral_rgb_std=100)
    whole = refine(deep, probabilities, params, shortcuts=Shortcuts(tile_side_px=0))
    tiled = refine(deep, probabilities, params, shortcuts=Shortcuts(tile_side_px=48))
    assert (whole.argmax(0) != tiled.argmax(0)).mean() < 0.001


@pytest.mark.parametrize(
    ("image", "std", "narrowing"),
    [
        (np.full((2, 2, 1), 3, np.uint8), 8, 1.05),
        (np.full((2, 2, 1), 255.0), 8, 1.05),
        (np.full((2, 2, 1), 1.0), 8 / 255, 1.05),
        (np.full((2, 2, 1), 4095, np.uint16), 8 * 4095 / 255, 1.05),
        (np.full((2, 2, 1), 4095, np.uint16), 8, 1),
        (np.full((2, 2, 1), 1e6), 8e6 / 255, 1.05),
        (np.full((2, 2, 2), 255.0), (6.5, 20), 1.025),
    ],
)
def test_narrowing_goes_by_levels_of_255(image, std, narrowing):
    params = narrowed(CRFSettings(CRFParams(bilateral_rgb_std=std)), image)[0].params
    found = [params.bilateral_xy_std_px, *np.ravel(params.bilateral_rgb_std)]
    np.testing.assert_allclose(found, [50 / narrowing, *np.divide(std, narrowing).ravel()])


def test_parameters_with_a_deviation_for_each_channel_go_through_json():
    params = CRFParams(bilateral_rgb_std=np.array([3, 4.5, 10]))
    assert params.bilateral_rgb_std == (3.0, 4.5, 10.0)
    assert CRFParams.from_dict(json.loads(json.dumps(params.to_dict()))) == params
    assert hash(params) == hash(CRFParams(bilateral_rgb_std=[3, 4.5, 10]))
    assert params.scaled(2).bilateral_rgb_std == params.bilateral_rgb_std
    for wrong in ([3, 0], [3, -1], [], [[3, 4], [5, 6]], [3, np.nan], [[3], [4, 5]], (3, None)):
        with pytest.raises(InputError, match="bilateral_rgb_std"):
            CRFParams(bilateral_rgb_std=wrong)


def test_deviations_of_other_channels_than_the_image_has(make_scene):
    image, probabilities = make_scene(9, 12, 2)
    with pytest.raises(InputError, match=r"bilateral_rgb_std has shape \(2,\); expected a number, or 3 of them"):
        refine(image, probabilities, CRFParams(bilateral_rgb_std=(3, 4)))


NORMALISED = {
    "0-1": (RANDOM.uniform(0, 1, (9, 12, 3)), "multiply it by 255, or pass a standard deviation such as 0.051"),
    "dark": (RANDOM.uniform(0, 0.2, (9, 12, 3)).astype(np.float32), "multiply it by 255"),
    "around 0": (RANDOM.uniform(-1, 1, (9, 12, 3)), "pass it as it was before it was normalised"),
    "ImageNet": (RANDOM.uniform(-2.1, 2.6, (9, 12, 3)), "pass it as it was before it was normalised"),
}


@pytest.mark.parametrize(("image", "message"), NORMALISED.values(), ids=NORMALISED)
def test_normalised_images_with_the_deviations_of_photos(image, message):
    """All their colours would count as alike, and the appearance kernel blur away what is smaller than its reach."""
    crf = DenseCRF2D(12, 9, 2)
    for call in (
        lambda: refine(image, EVEN, CRFParams(bilateral_rgb_std=13)),
        lambda: refine_batch([image], [EVEN], CRFParams(bilateral_rgb_std=(13, 14, 15))),
        lambda: bilateral_kernel(image, xy_std_px=50, rgb_std=13, weight=1),
        lambda: crf.addPairwiseBilateral(80, 13, image, 10),
        lambda: create_pairwise_bilateral((80, 80), (13, 13, 13), image, chdim=2),
    ):
        with pytest.raises(InputError, match=f"deviation of 13 takes all colours for alike; .*{message}"):
            call()


@pytest.mark.parametrize(
    ("image", "std"),
    [
        (RANDOM.uniform(0, 1, (9, 12)), 0.05),
        (np.zeros((9, 12)), 13),  # nothing in it to tell apart
        (np.full((9, 12), -1000.0), 13),
        (RANDOM.uniform(-1000, -998, (9, 12)), 13),
        (RANDOM.uniform(0, 1.5, (9, 12)), 13),
        (RANDOM.uniform(0, 1, (9, 12, 2)), (0.05, 100)),  # one that counts, one that does not
        (RANDOM.integers(0, 2, (9, 12), np.uint8), 13),
    ],
)
def test_what_is_no_normalised_photo_passes(image, std):
    refine(image, EVEN, CRFParams(bilateral_rgb_std=std))


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("nothing", [-9999, np.nan])
def test_pixels_without_data_neither_speak_nor_hear(make_scene, bands, nothing):
    image, probabilities = make_scene(30, 40, 3)
    scan = image[..., :bands] * 10.0
    scan[:, :4, bands - 1] = nothing
    params, hole = CRFParams(5, 20, 100, 3, 3), np.broadcast_to(np.arange(40) < 4, (30, 40))
    expected = refine(np.where(hole[..., None], 0, scan), probabilities, params, mask=~hole)
    masked = np.ma.masked_invalid(scan) if np.isnan(nothing) else np.ma.masked_equal(scan, nothing)
    np.testing.assert_array_equal(refine(masked, probabilities, params), expected)
    np.testing.assert_array_equal(refine(scan, probabilities, params, nodata=nothing), expected)
    np.testing.assert_array_equal(refine_batch([scan], [probabilities], params, nodata=nothing)[0], expected)
    before = masked.mask.copy()
    refine(masked, probabilities, params, nodata=scan[0, 10, 0])
    np.testing.assert_array_equal(masked.mask, before)  # the arguments are left alone
    right = np.broadcast_to(np.arange(40) > 20, (30, 40))
    beside = refine(masked, probabilities, params, mask=right | hole)
    np.testing.assert_array_equal(beside, refine(image[..., :bands] * 10.0, probabilities, params, mask=right))


def test_an_image_of_no_data_at_all_keeps_its_probabilities(make_scene):
    _, probabilities = make_scene(9, 12, 3)
    np.testing.assert_allclose(refine(np.full((9, 12), -9999.0), probabilities, nodata=-9999), probabilities, atol=1e-6)


def test_values_that_are_not_finite_are_told_how_to_be_left_out():
    scan = np.ones((9, 12))
    scan[2, 3:5] = np.nan
    with pytest.raises(InputError, match=r"image has 2 NaN or infinite values.*np.ma.masked_invalid\(image\)"):
        refine(scan, EVEN)
    with pytest.raises(InputError, match="masked pixels; expected none"):
        bilateral_kernel(np.ma.masked_invalid(scan), xy_std_px=5, rgb_std=3, weight=1)


def test_a_strip_without_data_is_named_where_the_lattice_cannot_hold_it():
    """Wider deviations would spoil the image that the strip is part of."""
    scan = RANDOM.uniform(0, 1, (30, 40, 2))
    scan[:, 37:, 1] = -9999
    named = r"feature 3 .*90 points of 1200, up to -9\.999e\+07.*hold no data.*nodata="
    with pytest.raises(InputError, match=named) as error:
        refine(scan, np.full((2, 30, 40), 0.5), CRFParams(bilateral_rgb_std=1e-4))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="standard deviations: use larger standard deviations"):
        refine(scan[:, :37], np.full((2, 30, 37), 0.5), CRFParams(bilateral_rgb_std=1e-8))
