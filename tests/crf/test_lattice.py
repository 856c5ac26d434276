"""The filter: against its definition, and the identities that hold whatever the points."""

import numpy as np
import pytest

from deeplab.crf import _native
from deeplab.crf.exact import filter_exactly
from deeplab.crf.lattice import build_lattice, filter_by_lattice
from deeplab.errors import InputError


def points(count, dimension, seed=0, spread=2.0):
    return np.random.default_rng(seed).normal(0, spread, (count, dimension)).astype(np.float32)


def rows(count, channels, seed=1):
    return np.random.default_rng(seed).uniform(0, 1, (channels, count)).astype(np.float32)


def test_exact_filter_is_its_definition():
    features, values = points(40, 3), rows(40, 2)
    difference = features[:, None].astype(np.float64) - features[None]
    kernel = np.exp(-(difference**2).sum(-1) / 2)
    np.testing.assert_allclose(filter_exactly(features, values), values @ kernel, rtol=1e-5)


def test_exact_filter_in_pieces(monkeypatch):
    features, values = points(50, 2), rows(50, 3)
    whole = filter_exactly(features, values)
    monkeypatch.setattr("deeplab.crf.exact._PAIRS_AT_ONCE", 170)
    np.testing.assert_allclose(filter_exactly(features, values), whole, rtol=1e-6)


# Adams, Baek & Davis 2010, figure 5 shows the response: it is the Gaussian up to some percent, and a factor that
# normalisation takes out. The bounds are what was measured here, rounded up.
@pytest.mark.parametrize(
    ("dimension", "spread", "bound"), [(1, 4.0, 0.03), (2, 2.0, 0.04), (3, 1.5, 0.05), (5, 1.0, 0.06)]
)
def test_normalised_lattice_is_close_to_the_exact_filter(dimension, spread, bound):
    features = points(3000, dimension, spread=spread)
    smooth = np.stack([np.sin(features[:, 0]), np.cos(features.sum(1) / 2), features[:, -1] > 0]).astype(np.float32) + 1
    values = np.concatenate([np.ones((1, 3000), np.float32), smooth])
    approximate = filter_by_lattice(build_lattice(features, 1), values, 1)
    exact = filter_exactly(features, values)
    approximate, exact = approximate[1:] / approximate[0], exact[1:] / exact[0]
    assert np.linalg.norm(approximate - exact) / np.linalg.norm(exact) < bound


def test_response_to_one_point_is_the_gaussian():
    x = np.arange(-4, 4.01, 0.05, dtype=np.float32)
    features = np.stack([x, np.zeros_like(x)], 1)
    impulse = np.zeros((1, len(x)), np.float32)
    impulse[0, len(x) // 2] = 1
    response = filter_by_lattice(build_lattice(features, 1), impulse, 1)[0]
    gaussian = np.exp(-(x**2) / 2)
    assert np.corrcoef(response, gaussian)[0, 1] > 0.98
    assert (response >= 0).all()


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 5, 7, 12])
@pytest.mark.parametrize("channels", [1, 2, 3, 20, 33, 70])
def test_transpose_identity(dimension, channels):
    """<Kx, y> = <x, Kᵀy>, with the blur axes run backwards for Kᵀ."""
    features, x, y = points(400, dimension), rows(400, channels), rows(400, channels, seed=2)
    lattice = build_lattice(features, 2)
    forward = np.vdot(filter_by_lattice(lattice, x, 2).astype(np.float64), y)
    backward = np.vdot(x.astype(np.float64), filter_by_lattice(lattice, y, 2, transposed=True))
    assert forward == pytest.approx(backward, rel=1e-5)


def test_channels_do_not_mix():
    features, values = points(300, 5), rows(300, 45)
    lattice = build_lattice(features, 1)
    together = filter_by_lattice(lattice, values, 1)
    alone = np.stack([filter_by_lattice(lattice, row[None], 1)[0] for row in values])
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_filter_is_linear():
    features, a, b = points(500, 5), rows(500, 3), rows(500, 3, seed=5)
    lattice = build_lattice(features, 1)
    total = filter_by_lattice(lattice, a + 2 * b, 1)
    np.testing.assert_allclose(
        total, filter_by_lattice(lattice, a, 1) + 2 * filter_by_lattice(lattice, b, 1), rtol=1e-5
    )


def test_no_points_too_far_apart_to_meet_share_a_vertex():
    """Each isolated point keeps its own value: barycentric weights sum to one, so the response is the squares' sum."""
    features = np.arange(50, dtype=np.float32)[:, None] * np.full(6, 97.3, np.float32)
    values = np.eye(50, dtype=np.float32)
    response = filter_by_lattice(build_lattice(features, 1), values, 1)
    assert np.count_nonzero(response) == 50
    assert (np.diagonal(response) > 0).all()


def test_hashed_keys_give_the_same_lattice():
    """Points spread too wide for keys of 64 bits are hashed; each cluster alone is not, and must come out the same."""
    random = np.random.default_rng(3)
    centres = random.uniform(-3000, 3000, (40, 10))
    features = (centres.repeat(5, 0) + random.normal(0, 0.2, (200, 10))).astype(np.float32)
    response = filter_by_lattice(build_lattice(features, 2), np.eye(200, dtype=np.float32), 2)
    expected = np.zeros_like(response)
    for start in range(0, 200, 5):
        cluster = slice(start, start + 5)
        expected[cluster, cluster] = filter_by_lattice(
            build_lattice(features[cluster], 1), np.eye(5, dtype=np.float32), 1
        )
    assert np.count_nonzero(expected) > 400
    np.testing.assert_allclose(response, expected, rtol=1e-6)


# spread 0.3: all vertices are around the first few points; points in order: hardly any is around two threads' points
@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("channels", [1, 21])
@pytest.mark.parametrize(("dimension", "spread"), [(1, 5), (2, 5), (2, 0.3), (3, 20), (5, 5), (5, 0.3)])
@pytest.mark.parametrize("in_order", [False, True])
def test_threads_change_no_bit(threads, channels, dimension, spread, in_order):
    features, values = points(20_000, dimension, spread=spread), rows(20_000, channels)
    if in_order:
        features = np.ascontiguousarray(features[features[:, 0].argsort()])
    alone, together = build_lattice(features, 1), build_lattice(features, threads)
    one = filter_by_lattice(alone, values, 1)
    for lattice, users in ((together, threads), (together, 1), (alone, threads)):
        np.testing.assert_array_equal(filter_by_lattice(lattice, values, users), one)


def test_more_threads_than_vertices():
    features, values = points(1, 1), rows(1, 5)
    lattice = build_lattice(features, 1)
    assert 2 * lattice.vertices < 7
    np.testing.assert_array_equal(filter_by_lattice(lattice, values, 7), filter_by_lattice(lattice, values, 1))


def test_order_of_points_does_not_matter():
    features, values = points(800, 4), rows(800, 2)
    order = np.random.default_rng(8).permutation(800)
    filtered = filter_by_lattice(build_lattice(features, 1), values, 1)
    shuffled = filter_by_lattice(build_lattice(features[order], 1), np.ascontiguousarray(values[:, order]), 1)
    np.testing.assert_allclose(filtered[:, order], shuffled, rtol=1e-5)


@pytest.mark.parametrize("largest", [1e7, 1e20, 3e38])
def test_features_too_far_apart_are_refused(largest):
    with pytest.raises(InputError, match="use larger standard deviations"):
        build_lattice(np.array([[0, 0], [largest, 1]], np.float32), 1)


def test_native_door_refuses_what_would_read_out_of_bounds():
    lattice = _native.Lattice(points(10, 2), 1)
    ones = np.ones(10, np.float32)
    term = _native.lattice_term(lattice, 1.0, None, None, None)
    grid_term = _native.grid_term(_native.Grid(ones[:3], *[ones[:5]] * 3, *[ones[:2]] * 3), 1.0, None)
    field = _native.MeanField(rows(10, 3), False, [term, grid_term], 0.0, 1)
    with pytest.raises(ValueError, match="points"):
        lattice.filter(rows(11, 1), rows(11, 1), False, 1)
    with pytest.raises(ValueError, match="points"):
        lattice.filter(rows(10, 2), rows(10, 1), False, 1)
    with pytest.raises(ValueError, match="per point"):
        lattice.sums(ones[:9], 1)
    for wrong in (term, grid_term):
        with pytest.raises(ValueError, match="points"):
            _native.MeanField(rows(11, 3), False, [wrong], 0.0, 1)
    other = _native.grid_term(_native.Grid(ones[:3], *[ones[:2]] * 3, *[ones[:5]] * 3), 1.0, None)
    with pytest.raises(ValueError, match="same shape"):
        _native.MeanField(rows(10, 3), False, [grid_term, other], 0.0, 1)
    with pytest.raises(ValueError, match="per point"):
        _native.lattice_term(lattice, 1.0, ones[:9], None, None)
    with pytest.raises(ValueError, match="per point"):
        _native.lattice_term(lattice, 1.0, None, ones[:9], None)
    with pytest.raises(ValueError, match="fixed must have one value per point"):
        _native.MeanField(rows(10, 3), False, [term], 0.0, 1, np.ones(9, bool))
    wrong = _native.lattice_term(lattice, 1.0, None, None, np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="labels, labels"):
        _native.MeanField(rows(10, 3), False, [wrong], 0.0, 1)
    with pytest.raises(ValueError, match="tap"):
        _native.Grid(ones[:0], *[ones[:5]] * 3, *[ones[:2]] * 3)
    with pytest.raises(ValueError, match="before and after"):
        _native.Grid(ones[:3], ones[:5], ones[:4], ones[:5], *[ones[:2]] * 3)
    with pytest.raises(ValueError, match="out must"):
        field.belief(rows(9, 3), 1)
    field.release()
    with pytest.raises(ValueError, match="released"):
        field.step(1, 1)
    with pytest.raises(ValueError, match="not finite"):
        _native.Lattice(np.array([[0.0], [np.nan]], np.float32), 1)
    with pytest.raises(ValueError, match="at least one"):
        _native.Lattice(np.empty((0, 2), np.float32), 1)
    for wrong in (points(10, 2).astype(np.float64), points(10, 4)[:, ::2], points(10, 2)[0]):
        with pytest.raises(TypeError):
            _native.Lattice(wrong, 1)


@pytest.mark.parametrize("threads", [1, 3])
def test_sums_are_what_the_filter_makes_of_ones(threads):
    lattice = _native.Lattice(points(3000, 3), threads)
    ones, sums = np.ones((1, 3000), np.float32), np.full(3000, np.nan, np.float32)
    lattice.filter(ones, ones, False, threads)
    lattice.sums(sums, threads)
    np.testing.assert_array_equal(sums, ones[0])


@pytest.mark.parametrize("shape", [[3], [2, 3, 4], [0, 5], [400, 500]])
def test_empty_arrays_are_like_those_of_numpy(shape):
    array = _native.empty(shape)
    assert (array.shape, array.dtype, array.flags.c_contiguous) == (tuple(shape), np.float32, True)
    array[...] = 7
    view = array.reshape(-1)[:1]
    del array
    assert (view == 7).all()


def test_an_array_that_cannot_fit_is_a_memory_error():
    for shape in ([2**62, 2**62], [2**58]):
        with pytest.raises(MemoryError):
            _native.empty(shape)


def test_properties():
    lattice = _native.Lattice(points(100, 3), 1)
    assert (lattice.points, lattice.dimension) == (100, 3)
    assert 4 <= lattice.vertices <= 400
    assert lattice.nbytes >= 100 * 4 * 2 * 4  # a vertex and a weight for each of four corners
