"""Whatever comes to the CRF's doors, it answers with beliefs or with an error, and never crashes.

Most useful under a sanitizer; CONTRIBUTING.md says how.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab.crf import CRFParams, DenseCRF, GaussianKernel, _native, refine
from deeplab.errors import InputError

NATIVE_REFUSALS = (ValueError, TypeError, MemoryError)
REFUSALS = (InputError, MemoryError)


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def spoil(array: np.ndarray) -> np.ndarray:
        array = array.astype(np.result_type(array, np.float32))
        array.flat[array.size // 2] = value
        return array

    return spoil


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


# What is done to an argument before it is passed on.
FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "float16": lambda a: a.astype(np.float16),
    "float64": lambda a: a.astype(np.float64),
    "big endian": lambda a: a.astype(">f4"),
    "integer": lambda a: a.astype(np.int32),
    "bool": lambda a: a > 0,
    "complex": lambda a: a.astype(np.complex64),
    "objects": lambda a: a.astype(object),
    "text": lambda a: a.astype(str),
    "list": lambda a: a.tolist(),
    "None": lambda _: None,
    "Fortran order": np.asfortranarray,
    "strided": lambda a: a.repeat(2, -1)[..., ::2],
    "backwards": lambda a: a[::-1],
    "not aligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "read-only": read_only,
    "subclass": lambda a: np.ma.masked_array(a, mask=a > 0),
}
SHAPES: dict[str, Callable[[np.ndarray], Any]] = {
    "transposed": lambda a: np.ascontiguousarray(a.T),
    "one column less": lambda a: np.ascontiguousarray(a[..., :-1]),
    "one row less": lambda a: a[:-1],
    "one row more": lambda a: np.concatenate([a, a[:1]]),
    "no columns": lambda a: a[..., :0],
    "no rows": lambda a: a[:0],
    "flat": np.ravel,
    "one axis more": lambda a: a[None],
    "scalar": lambda a: a.flat[0],
}
VALUES: dict[str, Callable[[np.ndarray], Any]] = {
    "a NaN": with_value(np.nan),
    "an infinity": with_value(np.inf),
    "minus infinity": with_value(-np.inf),
    "a huge value": with_value(3e38),
    "a large value": with_value(-1e9),
    "all large": lambda a: a * np.float32(1e6),
    "all denormal": lambda a: a * np.float32(1e-40),
    "all equal": np.zeros_like,
}
SPOILERS = FORMS | SHAPES | VALUES

SEEDS = st.integers(0, 2**32 - 1)
THREADS = st.sampled_from([-3, 0, 1, 2, 3, 7])
NUMBERS = [0, 1e-45, 1e-30, 0.01, 1, 3, 5.0, 1e5, 1e9, np.float16(2)]
ODD_NUMBERS = [*NUMBERS, -1, 1e30, np.nan, np.inf, 2**70, 10**400, True, None, "3"]


def spoilers(*arguments: str) -> st.SearchStrategy[dict[str, str]]:
    """Draw at most two arguments, and what is wrong with each."""
    return st.dictionaries(st.sampled_from(arguments), st.sampled_from(sorted(SPOILERS)), max_size=2)


def spoil(arrays: dict[str, Any], wrong: dict[str, str]) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        return arrays | {name: SPOILERS[how](arrays[name]) for name, how in wrong.items()}


def table(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return random.normal(0, 2, (rows, columns)).astype(np.float32)


def assert_beliefs(belief: np.ndarray) -> None:
    assert belief.dtype == np.float32
    assert ((belief >= 0) & (belief <= 1)).all()
    np.testing.assert_allclose(belief.sum(0, dtype=np.float64), 1, atol=1e-4)


@settings(max_examples=150, deadline=None)
@given(
    seed=SEEDS,
    points=st.integers(1, 90),
    dimension=st.integers(1, 7),
    channels=st.integers(1, 40),
    reverse=st.booleans(),
    in_place=st.booleans(),
    threads=THREADS,
    wrong=spoilers("features", "values", "out"),
)
def test_native_lattice(
    seed: int,
    points: int,
    dimension: int,
    channels: int,
    reverse: bool,
    in_place: bool,
    threads: int,
    wrong: dict[str, str],
) -> None:
    random = np.random.default_rng(seed)
    values = abs(table(random, channels, points))
    out = values if in_place else np.zeros_like(values)
    arrays = {"features": table(random, points, dimension), "values": values, "out": out}
    arrays = spoil(arrays, wrong)
    try:
        lattice = _native.Lattice(arrays["features"], threads)
        lattice.filter(arrays["values"], arrays["out"], reverse, threads)
    except NATIVE_REFUSALS:
        assert wrong
    else:
        assert dimension + 1 <= lattice.vertices or "features" in wrong
        if not wrong:
            assert np.isfinite(out).all()
            assert (out >= 0).all()


@settings(max_examples=150, deadline=None)
@given(
    seed=SEEDS,
    height=st.integers(1, 7),
    width=st.integers(1, 11),
    labels=st.integers(1, 70),
    probabilities=st.booleans(),
    matrices=st.booleans(),
    negligible=st.sampled_from([0.0, 0.1, 1.0, -1.0, np.nan]),
    steps=st.integers(-1, 3),
    threads=THREADS,
    wrong=spoilers("unary", "taps", "ends", "before", "total", "matrix", "fixed", "out"),
)
def test_native_mean_field(
    seed: int,
    height: int,
    width: int,
    labels: int,
    probabilities: bool,
    matrices: bool,
    negligible: float,
    steps: int,
    threads: int,
    wrong: dict[str, str],
) -> None:
    random = np.random.default_rng(seed)
    points = height * width
    unary = abs(table(random, labels, points))
    arrays: dict[str, Any] = {
        "unary": unary / unary.sum(0) if probabilities else unary,
        "taps": random.uniform(0, 1, 3).astype(np.float32),
        "ends": np.ones(width, np.float32),
        "total": np.ones(width, np.float32),
        "before": random.uniform(0.1, 1, points).astype(np.float32),
        "matrix": table(random, labels, labels),
        "fixed": random.random(points) < 0.3,
        "out": np.zeros((labels, points), np.float32),
    }
    arrays = spoil(arrays, wrong)
    matrix = arrays["matrix"] if matrices else None
    try:
        lattice = _native.Lattice(table(random, points, 3), threads)
        ends, rows = arrays["ends"], np.ones(height, np.float32)
        grid = _native.Grid(arrays["taps"], ends, ends, arrays["total"], rows, rows, rows)
        terms = [
            _native.lattice_term(lattice, 2.0, arrays["before"], None, None),
            _native.grid_term(grid, 1.0, matrix),
        ]
        field = _native.MeanField(arrays["unary"], probabilities, terms, negligible, threads, arrays["fixed"])
        field.step(steps, threads)
        field.belief(arrays["out"], threads)
        field.release()
        field.belief(arrays["out"], threads)
    except NATIVE_REFUSALS:
        assert wrong
    else:
        if not wrong:
            assert_beliefs(arrays["out"])


@pytest.mark.filterwarnings("ignore:nanobind")
def test_native_objects_out_of_turn() -> None:
    features, unary = np.zeros((2, 1), np.float32), np.ones((3, 2), np.float32)
    lattice = _native.Lattice(features, 1)
    field = _native.MeanField(unary, False, [], 0.0, 1)
    with pytest.raises(TypeError):
        _native.lattice_term(None, 1.0, None, None, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _native.MeanField(unary, False, [lattice], 0.0, 1)  # type: ignore[list-item]
    with pytest.raises(NATIVE_REFUSALS):
        _native.MeanField(unary, False, [None], 0.0, 1)  # type: ignore[list-item]
    with pytest.raises(TypeError):
        lattice.__init__(features, 1)  # type: ignore[misc]
    with pytest.raises(TypeError):
        _native.Lattice.__new__(_native.Lattice).filter(unary, unary, False, 1)
    field.release()
    field.release()
    with pytest.raises(ValueError, match="released"):
        field.step(1, 1)


@settings(max_examples=150, deadline=None)
@given(
    seed=SEEDS,
    points=st.integers(1, 60),
    dimension=st.integers(1, 6),
    labels=st.integers(2, 40),
    numbers=st.dictionaries(
        st.sampled_from(["weight", "iterations", "threads", "prune_below"]), st.sampled_from(ODD_NUMBERS), max_size=2
    ),
    options=st.dictionaries(
        st.sampled_from(["normalization", "method"]),
        st.sampled_from(["after", "none", "symmetric", "exact", "lattice", "", None, 3]),
        max_size=1,
    ),
    compatible=st.booleans(),
    wrong=spoilers("unary", "features", "compatibility"),
)
def test_dense_crf(
    seed: int,
    points: int,
    dimension: int,
    labels: int,
    numbers: dict[str, Any],
    options: dict[str, Any],
    compatible: bool,
    wrong: dict[str, str],
) -> None:
    random = np.random.default_rng(seed)
    matrix = table(random, labels, labels)
    arrays: dict[str, Any] = {
        "unary": table(random, labels, points),
        "features": table(random, points, dimension),
        "compatibility": matrix + matrix.T,
    }
    arrays = spoil(arrays, wrong)
    try:
        kernel = GaussianKernel(
            arrays["features"],
            weight=numbers.get("weight", 1.0),
            compatibility=arrays["compatibility"] if compatible else None,
            normalization=options.get("normalization", "after"),
        )
        crf = DenseCRF(
            arrays["unary"],
            [kernel],
            method=options.get("method", "lattice"),
            prune_below=numbers.get("prune_below", 0.0),
            threads=numbers.get("threads", 2),
        )
        belief = crf.infer(numbers.get("iterations", 2))
    except REFUSALS:
        assert wrong or numbers or options
    else:
        assert belief.shape == np.shape(arrays["unary"])
        assert_beliefs(belief)


@pytest.mark.parametrize("how", ["big endian", "Fortran order", "strided", "backwards", "not aligned", "read-only"])
def test_memory_layout_does_not_matter(how: str) -> None:
    random = np.random.default_rng(5)
    unary, features, matrix = table(random, 4, 60), table(random, 60, 3), np.ones((4, 4), np.float32)
    form = FORMS[how]

    def infer(*arrays: np.ndarray) -> np.ndarray:
        return DenseCRF(arrays[0], [GaussianKernel(arrays[1], compatibility=arrays[2])]).infer(2)

    plain = infer(*(np.array(form(array), np.float32, order="C") for array in (unary, features, matrix)))
    np.testing.assert_array_equal(infer(form(unary), form(features), form(matrix)), plain)


@settings(max_examples=150, deadline=None)
@given(
    seed=SEEDS,
    height=st.integers(1, 9),
    width=st.integers(1, 13),
    labels=st.integers(2, 30),
    numbers=st.dictionaries(
        st.sampled_from([*CRFParams().to_dict(), "iterations", "threads"]), st.sampled_from(ODD_NUMBERS), max_size=2
    ),
    normalization=st.sampled_from(["after", "symmetric", "before", "none"]),
    wrong=spoilers("image", "probabilities"),
)
def test_refine(
    seed: int,
    height: int,
    width: int,
    labels: int,
    numbers: dict[str, Any],
    normalization: str,
    wrong: dict[str, str],
) -> None:
    random = np.random.default_rng(seed)
    scores = random.uniform(0.01, 1, (labels, height, width)).astype(np.float32)
    arrays: dict[str, Any] = {
        "image": random.integers(0, 256, (height, width, 3), np.uint8),
        "probabilities": scores / scores.sum(0),
    }
    arrays = spoil(arrays, wrong)
    sigmas = {name: value for name, value in numbers.items() if name in CRFParams().to_dict()}
    others = {name: value for name, value in numbers.items() if name not in sigmas}
    try:
        belief = refine(
            arrays["image"],
            arrays["probabilities"],
            CRFParams(**sigmas),
            **({"iterations": 2, "threads": 2} | others),
            normalization=normalization,
        )
    except REFUSALS:
        assert wrong or numbers
    else:
        assert belief.shape == np.shape(arrays["probabilities"])
        assert_beliefs(belief)
