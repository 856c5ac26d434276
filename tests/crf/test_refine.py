"""`refine` at its door: whatever is right goes through, whatever is wrong is told in one line."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from time import sleep

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeplab.checks import thread_count
from deeplab.crf import (
    PARITY,
    CRFParams,
    CRFSettings,
    DenseCRF,
    Shortcuts,
    photo_kernels,
    refine,
    refine_batch,
    spatial_kernel,
)
from deeplab.crf.tiles import tiles_of
from deeplab.errors import DeepLabError, InputError


def check_marginals(marginals, shape):
    assert marginals.shape == shape
    assert marginals.dtype == np.float32
    assert (marginals >= 0).all()
    np.testing.assert_allclose(marginals.sum(0), 1, atol=1e-5)


def test_labels_follow_the_edge():
    """A blurred guess about a two-coloured image becomes sharp where the colour changes."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = 200
    ramp = np.clip((np.arange(60) - 20) / 30, 0.05, 0.95).astype(np.float32)
    right = np.broadcast_to(ramp, (40, 60))
    labels = refine(image, np.stack([1 - right, right])).argmax(0)
    np.testing.assert_array_equal(labels, image[..., 0] > 100)


def test_no_iterations_give_the_probabilities(make_scene):
    image, probabilities = make_scene(9, 13, 4)
    np.testing.assert_allclose(refine(image, probabilities, iterations=0), probabilities, atol=1e-6)


def test_zero_weights_give_the_probabilities(make_scene):
    image, probabilities = make_scene(9, 13, 4)
    params = CRFParams(bilateral_weight=0, spatial_weight=0)
    np.testing.assert_allclose(refine(image, probabilities, params), probabilities, atol=1e-5)


def test_arguments_are_left_alone(make_scene):
    image, probabilities = make_scene(16, 16, 3)
    before = image.copy(), probabilities.copy()
    refine(image, probabilities)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(probabilities, before[1])


def test_certain_labels_stay(make_scene):
    """Probabilities of exactly zero and one are no trouble, and no neighbour of usual weight changes their minds."""
    image, probabilities = make_scene(20, 20, 5)
    certain = (probabilities.argmax(0) == np.arange(5)[:, None, None]).astype(np.float64)
    np.testing.assert_allclose(refine(image, certain), certain, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 5000), (5000, 3), (1, 997)])
@pytest.mark.parametrize("labels", [2, 21])
def test_odd_shapes(make_scene, shape, labels):
    image, probabilities = make_scene(*shape, labels)
    check_marginals(refine(image, probabilities, iterations=2), (labels, *shape))


def test_threads_change_no_bit(make_scene):
    image, probabilities = make_scene(90, 110, 21)
    one = refine(image, probabilities, threads=1)
    np.testing.assert_array_equal(one, refine(image, probabilities, threads=2))
    np.testing.assert_array_equal(one, refine(image, probabilities, threads=64))
    np.testing.assert_array_equal(one, refine(image, probabilities))


def test_from_several_threads_at_once(make_scene):
    scenes = [make_scene(50, 60, 7, seed) for seed in range(4)]
    expected = [refine(*scene) for scene in scenes]
    with ThreadPoolExecutor(4) as pool:
        for got, want in zip(pool.map(lambda scene: refine(*scene), scenes * 3), expected * 3, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_instruction_sets_agree(make_scene, tmp_path, instruction_set):
    """Each set the processor has gives the same bits."""
    image, probabilities = make_scene(30, 40, 24)
    np.savez(tmp_path / "scene.npz", image=image, probabilities=probabilities)
    program = (
        "import sys, numpy as np; from deeplab.crf import refine, _native\n"
        "scene = np.load(sys.argv[1] + '/scene.npz')\n"
        "np.save(sys.argv[1] + '/out.npy', refine(scene['image'], scene['probabilities']))\n"
        "print(_native.instruction_set())"
    )
    environment = os.environ | {"DEEPLAB_CRF_ISA": instruction_set, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(tmp_path)]
    used = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    if used != instruction_set:
        pytest.skip(f"this processor or build has no {instruction_set}")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), refine(image, probabilities))


def view(array, how):
    match how:
        case "read-only":
            array = array.copy()
            array.flags.writeable = False
        case "strided":
            array = array.repeat(2, -1)[..., ::2]
        case "reversed":
            array = array[..., ::-1].copy()[..., ::-1]
        case "transposed":
            array = np.asfortranarray(array)
        case "swapped":
            array = array.astype(array.dtype.newbyteorder())
    return array


VIEWS = st.sampled_from(["plain", "read-only", "strided", "reversed", "transposed", "swapped"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_right_input_goes_through(make_scene, data):
    height, width, labels = (data.draw(st.integers(least, 24)) for least in (1, 1, 2))
    image, probabilities = make_scene(height, width, labels, data.draw(st.integers(0, 9)))
    given_probabilities = view(
        probabilities.astype(data.draw(st.sampled_from([np.float16, np.float32, np.float64, np.longdouble]))),
        data.draw(VIEWS),
    )
    positive = st.floats(1e-2, 1e4)
    params = CRFParams(
        data.draw(st.floats(0, 100)),
        data.draw(positive),
        data.draw(positive),
        data.draw(st.floats(0, 100)),
        data.draw(positive),
    )
    marginals = refine(
        view(image, data.draw(VIEWS)),
        given_probabilities,
        params,
        iterations=data.draw(st.integers(0, 3)),
        normalization=data.draw(st.sampled_from(["symmetric", "before", "after", "none"])),
        threads=data.draw(st.sampled_from([None, 1, 2])),
    )
    check_marginals(marginals, (labels, height, width))


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.floats(), max_size=3),
    st.builds(
        lambda shape, dtype, fill: np.full(shape, fill).astype(dtype),
        st.lists(st.integers(0, 4), max_size=4),
        st.sampled_from(["u1", "i4", "f2", "f4", "f8", "?", "U1", "c8"]),
        st.integers(0, 1),
    ),
)


@settings(max_examples=150, deadline=None)
@given(arguments=st.tuples(ANYTHING, ANYTHING), iterations=ANYTHING, normalization=ANYTHING, threads=ANYTHING)
def test_anything_is_refused_or_refined(arguments, iterations, normalization, threads):
    with suppress(DeepLabError):
        marginals = refine(*arguments, iterations=iterations, normalization=normalization, threads=threads)
        check_marginals(marginals, (2,) * (arguments[1].ndim == 2) + arguments[1].shape)


IMAGE = np.zeros((4, 6, 3), np.uint8)
EVEN = np.full((2, 4, 6), 0.5, np.float32)


def poisoned(value):
    array = EVEN.copy()
    array[0, 1, 2] = value
    return array


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": IMAGE.transpose(2, 0, 1)}, r"image.transpose\(1, 2, 0\)"),
        ({"image": IMAGE[0, 0]}, r"shape \(3,\); expected \(height, width\) or"),
        ({"image": IMAGE[None]}, r"shape \(1, 4, 6, 3\); expected \(height, width\) or"),
        ({"image": IMAGE > 0}, "image has dtype bool"),
        ({"image": [[1, 2], [3]]}, "image: expected an array, or nested lists of equal lengths"),
        ({"image": np.zeros((0, 6, 3), np.uint8)}, "at least one pixel"),
        ({"image": None}, "expected"),
        ({"probabilities": EVEN.transpose(1, 2, 0)}, r"pass probabilities.transpose\(2, 0, 1\)"),
        ({"probabilities": EVEN.transpose(0, 2, 1)}, "height comes before width"),
        ({"probabilities": EVEN[:, :2]}, r"\(2, 2, 6\); expected \(labels, 4, 6\).*resize"),
        ({"probabilities": EVEN[0, 0]}, r"\(6,\); expected \(labels, 4, 6\)"),
        ({"probabilities": [[0.5], [0.5, 0.5]]}, "probabilities: expected an array, or nested lists of equal lengths"),
        ({"probabilities": np.ma.masked_less(EVEN, 1)}, r"48 values are masked.*pass probabilities.filled"),
        ({"probabilities": EVEN[:0]}, "at least one label"),
        ({"probabilities": EVEN.astype(np.int64)}, "int64; expected a float type"),
        ({"probabilities": poisoned(np.nan)}, "NaN or infinite"),
        ({"probabilities": poisoned(np.inf)}, "NaN or infinite"),
        ({"probabilities": poisoned(-0.5)}, "softmax"),
        ({"probabilities": 8 * EVEN}, "sum to 8-8; expected 1: divide them by 8"),
        ({"probabilities": np.stack([100 * EVEN[0], 0 * EVEN[1]])}, "expected 1: divide them by 50"),
        ({"probabilities": EVEN * np.linspace(2, 9, 6)}, "sum to 2-9; expected 1: for logits, apply softmax"),
        (
            {"probabilities": poisoned(-9999)},
            "go down to -9999; .*: where there is no data give every",
        ),
        ({"probabilities": np.full((4, 6, 3), 1 / 3)}, r"pass probabilities.transpose\(2, 0, 1\)"),  # not the image
        ({"probabilities": np.full((4, 6, 1), 0.5)}, r"for a foreground pass probabilities\[..., 0\]"),
        ({"probabilities": 0 * EVEN}, "sum to 0-0; expected 1"),
        ({"probabilities": np.full((2, 4, 6), 1e300)}, "NaN or infinite"),
        ({"params": (5, 50, 3)}, "expected CRFParams"),
        ({"params": CRFParams(bilateral_rgb_std=1e-6), "image": IMAGE + np.uint8(9)}, "use larger standard deviations"),
        ({"params": CRFParams(spatial_xy_std_px=1e-300), "shortcuts": PARITY}, "use larger standard deviations"),
        ({"shortcuts": {}}, "shortcuts are dict; expected Shortcuts"),
        ({"mask": np.ones((4, 5), bool)}, r"shape \(4, 5\).*expected \(4, 6\) bool"),
        ({"mask": np.ones((4, 6), np.uint8)}, "dtype uint8; expected"),
        (
            {"fixed": np.ones((4, 5), bool)},
            r"fixed has shape \(4, 5\).*expected \(4, 6\) bool, True for the pixels that",
        ),
        ({"fixed": np.ones((4, 6), np.int8)}, "fixed has .*dtype int8; expected"),
        ({"nodata": 10**400}, "nodata is of type int; expected a number, or NaN"),
        (
            {"image": np.full((4, 6), -3.4e38), "params": CRFParams(bilateral_rgb_std=0.01)},
            "features has 24 NaN or inf",
        ),
        ({"nodata": "none"}, "nodata is of type str; expected a number, or NaN"),
        ({"iterations": -1}, "iterations is -1; expected an integer, at least 0"),
        ({"iterations": 2.5}, "iterations is 2.5"),
        ({"iterations": 2**31}, "iterations is 2147483648; expected an integer, at least 0 and at most 1,000,000"),
        ({"iterations": True}, "iterations is True"),
        ({"normalization": "aftr"}, "did you mean 'after'"),
        ({"normalization": "softmax"}, "expected one of 'symmetric', 'before', 'after', 'none'"),
        ({"threads": 0}, "threads is 0; expected an integer, at least 1"),
        ({"threads": 1.0}, "threads is 1.0"),
    ],
)
def test_wrong_arguments(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        refine(**({"image": IMAGE, "probabilities": EVEN} | changes))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="reads how much address space is in use from /proc")
def test_memory_that_is_not_there_is_an_error_not_a_crash(make_scene):
    """In a child with little address space, the allocation fails inside the native core."""
    program = (
        "import resource, numpy as np; from deeplab.crf import refine\n"
        "image, even = np.zeros((1000, 1000, 3), np.uint8), np.full((21, 1000, 1000), 1 / 21, np.float32)\n"
        "from deeplab.crf import memory; memory.check_memory = lambda *_: None  # the native core finds out\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (150 << 20),) * 2)\n"
        "try: refine(image, even, threads=1)\n"
        "except MemoryError: print('refused')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert run.stdout.strip() == "refused", run.stderr


def test_pruning_changes_next_to_nothing(make_scene):
    """Labels that matter nowhere are pooled; what they might have said is bounded by what they may be."""
    image, six = make_scene(60, 80, 6)
    weak = np.random.default_rng(0).dirichlet(np.ones(34), (60, 80)).transpose(2, 0, 1)
    probabilities = np.concatenate([0.9 * six, 0.1 * weak]).astype(np.float32)
    whole = refine(image, probabilities, shortcuts=Shortcuts(prune_below=0))
    pruned = refine(image, probabilities, shortcuts=Shortcuts(prune_below=0.1))
    assert np.abs(whole - pruned).max() > 0  # something was pruned
    assert (whole.argmax(0) != pruned.argmax(0)).mean() <= 0.001
    assert np.quantile(np.abs(whole - pruned), 0.999) < 0.01
    check_marginals(pruned, probabilities.shape)


def test_everything_pruned_but_one_label(make_scene):
    image, _ = make_scene(9, 12, 2)
    sure = np.full((30, 9, 12), 1e-4, np.float32)
    sure[17] = 1 - 29e-4
    check_marginals(refine(image, sure), sure.shape)
    assert (refine(image, sure).argmax(0) == 17).all()


def test_exact_spatial_kernel_is_nearer_to_the_exact_mean_field(make_scene):
    image, probabilities = make_scene(30, 40, 4)
    params = CRFParams(0, 50, 3, 3, 3)  # the spatial kernel alone
    kernel = spatial_kernel(30, 40, xy_std_px=3, weight=3)
    exact = DenseCRF.from_probabilities(probabilities, [kernel], method="exact").infer(10)
    ours = refine(image, probabilities, params, shortcuts=Shortcuts(prune_below=0))
    lattice = refine(image, probabilities, params, shortcuts=PARITY)
    np.testing.assert_allclose(ours, exact, atol=1e-3)
    assert np.abs(ours - exact).max() < np.abs(lattice - exact).max()


@pytest.mark.parametrize(("rgb_std", "narrowing"), [(3, 1), (5, 1), (6.5, 1.025), (8, 1.05), (20, 1.05)])
def test_the_bilateral_kernel_is_narrowed_where_its_levels_are_many(make_scene, rgb_std, narrowing):
    """Narrowed or not, it is the plain lattice of other standard deviations."""
    image, probabilities = make_scene(30, 40, 3)
    narrowed = Shortcuts(exact_spatial=False, prune_below=0)
    found = refine(image, probabilities, CRFParams(4, 20, rgb_std, 2, 3), shortcuts=narrowed)
    plain = CRFParams(4, 20 / narrowing, rgb_std / narrowing, 2, 3)
    np.testing.assert_allclose(found, refine(image, probabilities, plain, shortcuts=PARITY), atol=1e-6)


def test_settings_are_parameters_and_options(make_scene):
    image, probabilities = make_scene(20, 30, 4)
    settings = CRFSettings(CRFParams(4, 20, 8, 2, 3), 3, "symmetric")
    apart = refine(image, probabilities, settings.params, iterations=3, normalization="symmetric")
    np.testing.assert_array_equal(refine(image, probabilities, settings), apart)
    np.testing.assert_array_equal(refine_batch([image], [probabilities], settings)[0], apart)
    once = refine(image, probabilities, settings, iterations=1)  # what is given beside them counts
    np.testing.assert_array_equal(once, refine(image, probabilities, replace(settings, iterations=1)))
    np.testing.assert_array_equal(refine(image, probabilities), refine(image, probabilities, CRFSettings()))


@pytest.mark.parametrize("params", [CRFParams(4, 20, 8, 2, 3), CRFParams(4, 20, 3, 2, 13)])
@pytest.mark.parametrize("shortcuts", [Shortcuts(), PARITY])
def test_a_photos_kernels_are_those_of_refine(make_scene, params, shortcuts):
    """To the last bit; and so they are with other weights, on the same lattices."""
    image, probabilities = make_scene(20, 30, 4)
    for other in params, replace(params, bilateral_weight=7, spatial_weight=0.5):
        settings = CRFSettings(other, 4, "symmetric")
        own = photo_kernels(image, settings, shortcuts=shortcuts)
        kernels = photo_kernels(image, CRFSettings(params, 4, "symmetric"), shortcuts=shortcuts)
        changed = [kernel.changed(weight=one.weight) for kernel, one in zip(kernels, own, strict=True)]
        for pair in own, changed:
            found = DenseCRF.from_probabilities(probabilities, pair, prune_below=shortcuts.prune_below).infer(4)
            np.testing.assert_array_equal(found, refine(image, probabilities, settings, shortcuts=shortcuts))


@pytest.mark.parametrize(
    ("image", "params", "message"),
    [
        (np.ma.masked_less(np.arange(24.0).reshape(4, 6), 3), CRFParams(), "masked pixels; expected none"),
        (IMAGE, CRFParams(bilateral_rgb_std=(3, 4)), r"bilateral_rgb_std has shape \(2,\)"),
        (np.linspace(0, 1, 24).reshape(4, 6), CRFParams(), "multiply it by 255"),
        (IMAGE, (5, 50, 3), "expected CRFParams"),
    ],
)
def test_kernels_of_no_photo(image, params, message):
    with pytest.raises(InputError, match=message):
        photo_kernels(image, params)


@pytest.mark.parametrize("size", [(90, 130), (200, 20), (7, 300)])
def test_tiles_are_close_to_the_whole(make_scene, size):
    image, probabilities = make_scene(*size, 4)
    params = CRFParams(bilateral_xy_std_px=8)
    whole = refine(image, probabilities, params, shortcuts=Shortcuts(tile_side_px=0))
    tiled = refine(image, probabilities, params, shortcuts=Shortcuts(tile_side_px=64 if min(size) > 20 else 40))
    assert np.abs(whole - tiled).max() > 0
    assert (whole.argmax(0) != tiled.argmax(0)).mean() < 0.001
    check_marginals(tiled, probabilities.shape)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("normalization", ["after", "none"])
def test_where_a_margin_sees_all_that_counts_no_seam_is_left(make_scene, normalization, masked):
    """One update hears what lies within reach of both lattices; the tiles' lattices are parts of the whole photo's."""
    image, probabilities = make_scene(50, 150, 4)
    params = CRFParams(0.05, 3, 12, 0.05, 1.2)
    mask = np.random.default_rng(0).random((50, 150)) < 0.8 if masked else None
    options = {"iterations": 1, "normalization": normalization, "mask": mask}
    lattices = Shortcuts(exact_spatial=masked, prune_below=0, tile_side_px=0)  # with a mask there are only lattices
    whole = refine(image, probabilities, params, shortcuts=lattices, **options)
    tiled = refine(image, probabilities, params, shortcuts=replace(lattices, tile_side_px=72), **options)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.integers(1, 60), st.floats(0.1, 90))
def test_tiles_cover_each_pixel_once_and_stay_small(height, width, side, reach):
    count = np.zeros((height, width), int)
    tiles = tiles_of(height, width, side, reach)
    for tile in tiles:
        count[tile.kept] += 1
        seen = np.arange(height * width).reshape(height, width)
        np.testing.assert_array_equal(seen[tile.seen][tile.kept_of_seen], seen[tile.kept])
        assert len(tiles) == 1 or (max(seen[tile.seen].shape) <= side and 2 * tile.pixels <= height * width)
    assert (count == 1).all()


def test_masked_pixels_neither_speak_nor_hear(make_scene):
    image, probabilities = make_scene(30, 40, 3)
    mask = np.random.default_rng(0).random((30, 40)) < 0.7
    refined = refine(image, probabilities, mask=mask)
    np.testing.assert_allclose(refined[:, ~mask], probabilities[:, ~mask], atol=1e-6)
    other_image, other = image.copy(), probabilities.copy()
    other_image[~mask], other[:, ~mask] = 7, 1 / 3
    np.testing.assert_array_equal(refine(other_image, other, mask=mask)[:, mask], refined[:, mask])
    # A mask that leaves out whole columns is the photo without them, but for the places of those that stay.
    left = np.broadcast_to(np.arange(40) < 25, (30, 40))
    alone = refine(image[:, :25], probabilities[..., :25], shortcuts=PARITY)
    np.testing.assert_allclose(refine(image, probabilities, mask=left, shortcuts=PARITY)[..., :25], alone, atol=1e-4)
    nothing = refine(image, probabilities, mask=np.zeros((30, 40), bool))
    np.testing.assert_allclose(nothing, probabilities, atol=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_masked_pixels_are_scaled_to_sum_to_one(make_scene, share):
    image, probabilities = make_scene(12, 16, 3)
    given = probabilities * np.linspace(0.985, 1.015, 16, dtype=np.float32)  # two percent off are taken
    mask = np.random.default_rng(0).random((12, 16)) < share
    refined = refine(image, given, mask=mask)
    np.testing.assert_allclose(refined[:, ~mask], (probabilities / probabilities.sum(0))[:, ~mask], atol=1e-6)
    np.testing.assert_allclose(refined.sum(0), 1, atol=1e-5)


def test_fixed_pixels_speak_and_do_not_hear(make_scene):
    image, probabilities = make_scene(30, 40, 3)
    fixed = np.zeros((30, 40), bool)
    fixed[12:15, 5:30] = True
    stroke = probabilities.copy()
    stroke[:, fixed] = np.float32([[0], [1], [0]])
    refined = refine(image, stroke, fixed=fixed)
    check_marginals(refined, stroke.shape)
    np.testing.assert_array_equal(refined[:, fixed], stroke[:, fixed])
    assert refined[1].sum() > refine(image, probabilities)[1].sum() + fixed.sum() / 2  # the others heard
    np.testing.assert_array_equal(refine(image, stroke, fixed=~(fixed | True)), refine(image, stroke))
    np.testing.assert_allclose(refine(image, stroke, fixed=fixed | True), stroke, atol=1e-6)


def test_fixed_pixels_in_tiles_and_under_a_mask(make_scene):
    image, probabilities = make_scene(30, 40, 3)
    random = np.random.default_rng(0)
    fixed, mask = random.random((30, 40)) < 0.2, random.random((30, 40)) < 0.7
    stroke = np.where(fixed, np.float32([[[0]], [[1]], [[0]]]), probabilities)
    masked = refine(image, stroke, mask=mask, fixed=fixed)
    np.testing.assert_allclose(masked[:, fixed | ~mask], stroke[:, fixed | ~mask], atol=1e-6)
    other = np.where(mask, stroke, np.float32(1 / 3))  # a stroke beyond the mask is not heard
    np.testing.assert_array_equal(refine(image, other, mask=mask, fixed=fixed)[:, mask], masked[:, mask])
    params = CRFParams(5, 3, 30, 3, 1)
    whole = refine(image, stroke, params, fixed=fixed, shortcuts=PARITY)
    tiled = refine(image, stroke, params, fixed=fixed, shortcuts=replace(PARITY, tile_side_px=20))
    assert (tiled.argmax(0) != whole.argmax(0)).mean() < 0.01
    np.testing.assert_array_equal(tiled[:, fixed], stroke[:, fixed])


def test_batches_are_the_photos_one_by_one(make_scene):
    scenes = [make_scene(20 + 3 * seed, 30, 4, seed) for seed in range(4)]
    images, probabilities = zip(*scenes, strict=True)
    for batch, scene in zip(refine_batch(images, probabilities, iterations=3), scenes, strict=True):
        np.testing.assert_array_equal(batch, refine(*scene, iterations=3))
    stacked = refine_batch(np.stack([images[0]] * 2), np.stack([probabilities[0]] * 2), threads=2)
    np.testing.assert_array_equal(stacked[1], refine(*scenes[0]))
    with pytest.raises(InputError, match="4 images come with 3 probabilities"):
        refine_batch(images, probabilities[:3])
    with pytest.raises(InputError, match="probabilities is NoneType; expected a list, or an array with a batch axis"):
        refine_batch(images, None)
    with pytest.raises(InputError, match="images is ndarray; expected a list"):
        refine_batch(np.array(3), probabilities)


def test_the_environment_sets_the_threads(monkeypatch):
    monkeypatch.setenv("DEEPLAB_THREADS", "1")
    assert thread_count(None) == 1
    for wrong in ("0", "two", "-1", "1.5"):
        monkeypatch.setenv("DEEPLAB_THREADS", wrong)
        with pytest.raises(InputError, match=f"DEEPLAB_THREADS is .*{wrong}"):
            refine(IMAGE, EVEN)
    assert thread_count(1) == 1  # what is asked for goes first


def test_inference_lets_other_threads_run(make_scene):
    """While one thread is inside the native core, this one goes on: the interpreter's lock is free."""
    image, probabilities = make_scene(200, 200, 21)
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(refine, image, probabilities, iterations=40, threads=1)
        turns = 0
        while not work.done():
            turns += 1
            sleep(0.001)
    assert turns > 20


class Subclassed(np.ndarray):
    pass


def test_subclasses_of_arrays_are_arrays(make_scene):
    image, probabilities = make_scene(12, 15, 300)
    expected = refine(image, probabilities, iterations=2)
    ours = refine(image.view(Subclassed), probabilities.view(Subclassed), iterations=2)
    np.testing.assert_array_equal(np.asarray(ours), expected)
    masked = refine(np.ma.array(image), np.ma.array(probabilities), iterations=2)
    np.testing.assert_array_equal(np.asarray(masked), expected)


@pytest.mark.parametrize(("alpha", "beta"), [(1e-3, 1e4), (1e4, 0.01), (1e9, 1e9), (0.05, 0.05)])
def test_extreme_ratios_of_deviations(make_scene, alpha, beta):
    image, probabilities = make_scene(20, 30, 3)
    check_marginals(refine(image, probabilities, CRFParams(5, alpha, beta, 3, 3)), probabilities.shape)
