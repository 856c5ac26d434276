"""Checks of the arrays that the CRF's public functions are given."""

from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.checks import LARGEST
from deeplab.errors import InputError

# float16 probabilities of a thousand labels add up to one within this.
_SUM_TOLERANCE = 0.02


def as_array(given: Any, name: str) -> npt.NDArray[Any]:
    """Return `given` as an array. What is none is refused, and masked values, whose mask would be lost."""
    if np.ma.is_masked(given):
        count = np.count_nonzero(np.ma.getmask(given))
        raise InputError(f"{name}: {count} values are masked; expected all of them: pass {name}.filled(…)")
    try:
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; what belongs to another device
        raise InputError(f"{name}: expected an array, or nested lists of equal lengths: {error}") from None


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


def check_like_image(array: Any, height: int, width: int, name: str) -> npt.NDArray[Any]:
    """Return `array` if it is (L, H, W) like an image of `height` and `width`."""
    given = as_array(array, name)
    if given.ndim != 3 or given.shape[1:] != (height, width):
        message = f"{name} have shape {given.shape}; expected (labels, {height}, {width}) like the image"
        if given.shape == (height, width, 1):
            message += f": for a foreground pass {name}[..., 0]"
        elif given.ndim == 3 and given.shape[:2] == (height, width):
            message += f": pass {name}.transpose(2, 0, 1)"
        elif given.ndim == 3 and given.shape[1:] == (width, height):
            message += ": height comes before width"
        elif given.ndim == 3:
            message += ": resize the scores to the image's size first"
        raise InputError(message)
    return given


def check_mask(mask: Any, shape: tuple[int, ...], name: str, meaning: str) -> npt.NDArray[np.bool_]:
    """Return `mask` if it is bool and of `shape`; `meaning` says for which points it is True."""
    array = as_array(mask, name)
    if array.shape != shape or array.dtype != np.bool_:
        raise InputError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; expected {shape} bool, True for the {meaning}"
        )
    return array


def check_label_count(count: int, name: str, remedy: str) -> None:
    """Raise where there is one label alone, the trap for a foreground's map; `remedy` is what to pass in its place."""
    if count == 1:
        raise InputError(f"{name} of one label alone, which wins everywhere; expected two or more: {remedy}")


def both_labels(foreground: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the foreground's probabilities p (H, W) as those of both labels, [1 - p, p] (2, H, W)."""
    if not np.issubdtype(foreground.dtype, np.floating):
        raise InputError(f"the foreground's probabilities have dtype {foreground.dtype}; {_floats(foreground)}")
    check_finite(foreground, "the foreground's probabilities")
    low, high = float(foreground.min(initial=0)), float(foreground.max(initial=0))
    if low < 0 or high > 1:
        raise InputError(
            f"the foreground's probabilities go from {low:.4g} to {high:.4g}; expected 0-1: for logits, apply the "
            "sigmoid first, 1 / (1 + np.exp(-x))"
        )
    p = foreground.astype(np.float32)
    return np.stack([1 - p, p])


def _floats(given: npt.NDArray[Any]) -> str:
    """Say what is expected in place of numbers that are no floats, and the way there."""
    way = ""
    if given.dtype == np.bool_:
        way = ": convert them, .astype(np.float32)"
    elif np.issubdtype(given.dtype, np.integer) and given.size:
        way = f": divide them by what stands for 1, {255 if given.max() <= 255 else given.max()}, say"
    return f"expected a float type, values 0-1{way}"


def check_probabilities(given: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return `given` (L, ...) as (L, N) float32, contiguous, non-negative, each point's sum within 2 % of one."""
    if not np.issubdtype(given.dtype, np.floating):
        raise InputError(f"probabilities have dtype {given.dtype}; {_floats(given)}")
    if given.ndim < 2 or given.size == 0:
        raise InputError(
            f"probabilities have shape {given.shape}; expected (labels, ...), at least one label and one point"
        )
    check_label_count(len(given), "probabilities", "for the probabilities p of a foreground, pass np.stack([1 - p, p])")
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.require(given, np.float32, ("C", "A")).reshape(given.shape[0], -1)
        sums = array.sum(axis=0)
    check_finite(sums, "probabilities")
    smallest = float(array.min())
    if smallest < 0:
        others = array[array != smallest]
        no_data = smallest < -99 and others.size and others.min() >= 0
        remedy = "where there is no data give every label 1 / L" if no_data else "for logits, apply softmax first"
        raise InputError(f"probabilities go down to {smallest:.4g}; expected values 0-1: {remedy}")
    if not _add_up(sums):
        raise InputError(
            f"probabilities of a pixel sum to {sums.min():.4g}-{sums.max():.4g}; expected 1: {_way_to_sum(given)}"
        )
    return array


def _add_up(sums: npt.NDArray[np.floating]) -> bool:
    return float(sums.min()) >= 1 - _SUM_TOLERANCE and float(sums.max()) <= 1 + _SUM_TOLERANCE


def _way_to_sum(given: npt.NDArray[np.floating]) -> str:
    """Say what to do with values that do not sum to one over the first axis."""
    if labels_come_last(given):
        return f"the labels come first, so pass {labels_first('probabilities', given.ndim)}"
    sums = given.sum(axis=0, dtype=np.float64)
    if sums.min() > 1 and sums.max() < (1 + _SUM_TOLERANCE) * sums.min():
        return f"divide them by {sums.mean():.6g}"
    if given.max() > 1:
        return "for logits, apply softmax first"
    return "divide them by their sum over the labels; for the probabilities p of a foreground, np.stack([1 - p, p])"


def labels_come_last(probabilities: npt.NDArray[Any]) -> bool:
    """Tell whether probabilities sum to one over the last axis, and not over the first."""
    return _add_up(probabilities.sum(-1, np.float64)) and not _add_up(probabilities.sum(0, np.float64))


def labels_first(name: str, axes: int) -> str:
    """Return the expression for the array `name` of so many axes with its last axis, the labels, moved first."""
    return f"{name}.T" if axes == 2 else f"np.moveaxis({name}, -1, 0)"


def check_labels(labels: Any, shape: tuple[int, ...]) -> npt.NDArray[np.integer]:
    """Return `labels` if they are integers 0 … L-1, one for each point of a unary of `shape` (L, ...)."""
    array = as_array(labels, "labels")
    if array.shape != shape[1:]:
        raise InputError(f"labels have shape {array.shape}; expected {shape[1:]} like the unary's points")
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"labels have dtype {array.dtype}; expected an integer type")
    if array.min() < 0 or array.max() >= shape[0]:
        raise InputError(f"labels are {array.min()}-{array.max()}; expected 0-{shape[0] - 1} for {shape[0]} labels")
    return array
