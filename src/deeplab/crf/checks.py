"""What the public functions of the CRF accept, checked once at the door."""

import operator
import os
from difflib import get_close_matches
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.errors import InputError

__all__ = [
    "check_choice",
    "check_count",
    "check_energies",
    "check_finite",
    "check_image",
    "check_labels",
    "check_like_image",
    "check_mask",
    "check_number",
    "check_probabilities",
    "check_real",
    "thread_count",
]

# Weights and energies beyond this drown all others in float32.
LARGEST = 1e9

# No count makes sense beyond this, and the native core takes 32 bits.
MOST = 1_000_000

# float16 probabilities of a thousand labels add up to one within this.
_SUM_TOLERANCE = 0.02


def check_choice(value: Any, choices: tuple[str, ...], name: str) -> str:
    """Return `value` if it is one of `choices`."""
    if isinstance(value, str) and value in choices:
        return value
    near = get_close_matches(str(value).lower(), choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}{hint}")


def check_count(value: Any, least: int, name: str, *, most: int = MOST) -> int:
    """Return `value` as an int from `least` to `most`. Floats and booleans are refused."""
    expected = f"expected an integer, at least {least} and at most {most:,}"
    try:
        count = operator.index(value)
    except TypeError:
        raise InputError(f"{name} is {value!r}; {expected}") from None
    if isinstance(value, (bool, np.bool_)) or not least <= count <= most:
        raise InputError(f"{name} is {value!r}; {expected}")
    return count


def check_number(value: Any, name: str, *, above_zero: bool = False, most: float = LARGEST) -> float:
    """Return `value` as a float from 0 (or above it) to `most`."""
    number = float(value) if isinstance(value, np.floating) else value  # float16 would compare as float16
    real = isinstance(number, Real) and not isinstance(number, bool)
    if not real or not 0 <= number <= most or (above_zero and number == 0):
        least = "above 0" if above_zero else "at least 0"
        raise InputError(f"{name} is {value!r}; expected a number {least} and at most {most:g}")
    return float(number)


def thread_count(threads: int | None) -> int:
    """Return how many threads to use: `threads`, up to the number of cores.

    None: as many as the environment variable DEEPLAB_THREADS says, or all that this process may run on.
    """
    cores = os.cpu_count() or 1
    if threads is not None:
        return min(check_count(threads, 1, "threads"), cores)
    if said := os.environ.get("DEEPLAB_THREADS"):
        number = int(said) if said.isascii() and said.isdigit() else said
        return min(check_count(number, 1, "the environment variable DEEPLAB_THREADS"), cores)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores


def check_real(array: npt.NDArray[Any], name: str) -> None:
    """Raise unless the values are real numbers: floats or integers."""
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise InputError(f"{name} has dtype {array.dtype}; expected a float type")


def check_finite(array: npt.NDArray[np.floating], name: str) -> None:
    """Raise unless every value is finite."""
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise InputError(f"{name} has {bad} NaN or infinite values; expected finite ones: replace them before the CRF")


def check_energies(array: npt.NDArray[np.floating], name: str) -> None:
    """Raise unless every value is finite and of a size that float32 can add up."""
    check_finite(array, name)
    largest = float(np.abs(array).max(initial=0))
    if largest > LARGEST:
        raise InputError(f"{name} reaches {largest:.3g}; expected magnitudes up to {LARGEST:.0e}: clip them")


def check_image(image: Any) -> npt.NDArray[np.uint8]:
    """Return `image` as (H, W, 3) uint8, the photo itself: not normalised, not mean-subtracted."""
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] != 3 and array.shape[0] == 3:
        raise InputError(f"image has shape {array.shape}; expected (H, W, 3): pass image.transpose(1, 2, 0)")
    if array.ndim != 3 or array.shape[2] != 3:
        raise InputError(f"image has shape {array.shape}; expected (H, W, 3), red, green and blue")
    if array.dtype != np.uint8:
        raise InputError(
            f"image has dtype {array.dtype}; expected uint8, the photo's own values 0-255 before any normalisation"
        )
    if array.size == 0:
        raise InputError(f"image has shape {array.shape}; expected at least one pixel")
    return array


def check_like_image(array: Any, height: int, width: int, name: str) -> npt.NDArray[Any]:
    """Return `array` if it is (L, H, W) like an image of `height` and `width`."""
    given = np.asarray(array)
    if given.ndim != 3 or given.shape[1:] != (height, width):
        message = f"{name} have shape {given.shape}; expected (labels, {height}, {width}) like the image"
        if given.ndim == 3 and given.shape[:2] == (height, width):
            message += f": pass {name}.transpose(2, 0, 1)"
        elif given.ndim == 3 and given.shape[1:] == (width, height):
            message += ": height comes before width"
        elif given.ndim == 3:
            message += ": resize the scores to the image's size first"
        raise InputError(message)
    return given


def check_mask(mask: Any, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return `mask` if it is (H, W) bool like an image of `height` and `width`."""
    array = np.asarray(mask)
    if array.shape != (height, width) or array.dtype != np.bool_:
        raise InputError(
            f"mask has shape {array.shape} and dtype {array.dtype}; expected ({height}, {width}) bool, True for the "
            "pixels that take part"
        )
    return array


def check_probabilities(given: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return `given` (L, ...) as (L, N) float32, contiguous, non-negative, each point's sum within 2 % of one."""
    if not np.issubdtype(given.dtype, np.floating):
        raise InputError(f"probabilities have dtype {given.dtype}; expected a float type, values 0-1")
    if given.ndim < 2 or given.size == 0:
        raise InputError(f"probabilities have shape {given.shape}; expected at least one label and one point")
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.require(given, np.float32, ("C", "A")).reshape(given.shape[0], -1)
        sums = array.sum(axis=0)
    check_finite(sums, "probabilities")
    smallest = float(array.min())
    if smallest < 0:
        raise InputError(
            f"probabilities go down to {smallest:.4g}; expected values 0-1: for scores (logits), apply softmax first"
        )
    low, high = float(sums.min()), float(sums.max())
    if low < 1 - _SUM_TOLERANCE or high > 1 + _SUM_TOLERANCE:
        raise InputError(
            f"probabilities of a pixel sum to {low:.4g}-{high:.4g}; expected 1: for logits, apply softmax first"
        )
    return array


def check_labels(labels: Any, shape: tuple[int, ...]) -> npt.NDArray[np.integer]:
    """Return `labels` if they are integers 0 … L-1, one for each point of a unary of `shape` (L, ...)."""
    array = np.asarray(labels)
    if array.shape != shape[1:]:
        raise InputError(f"labels have shape {array.shape}; expected {shape[1:]} like the unary's points")
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"labels have dtype {array.dtype}; expected an integer type")
    if array.min() < 0 or array.max() >= shape[0]:
        raise InputError(f"labels are {array.min()}-{array.max()}; expected 0-{shape[0] - 1} for {shape[0]} labels")
    return array
