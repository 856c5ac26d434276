"""Conversion of pydensecrf's arguments into deeplab's."""

from enum import IntEnum
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_count
from deeplab.crf.checks import as_array, check_energies, check_real
from deeplab.crf.levels import check_deviations
from deeplab.errors import InputError

Array: TypeAlias = npt.NDArray[np.float32]
Member = TypeVar("Member", bound=IntEnum)

MOST_POINTS = 2**31 - 1


def as_count(value: Any, least: int, name: str) -> int:
    """Return `value` as an int from `least` to 2³¹ - 1; whole floats count as integers, as they do in pydensecrf."""
    whole = isinstance(value, float) and value.is_integer()
    return check_count(int(value) if whole else value, least, name, most=MOST_POINTS)


def as_member(value: Any, kind: type[Member], name: str) -> Member:
    """Return the member of `kind` that `value`, a member or its number, stands for."""
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(f"{member.name} ({member.value})" for member in kind)
        raise InputError(f"{name} is {value!r}; expected {choices}") from None


def as_rows(given: Any, rows: int | None, grid: tuple[int, ...], name: str) -> Array:
    """Return a copy of `given` as (rows, points) float32, C-contiguous; any number of rows if `rows` is None.

    `grid` is the shape of the points: (N,), or (H, W), which `given` may keep as its last axes.
    """
    array = as_array(given, name)
    check_real(array, name)
    points = int(np.prod(grid))
    count = "n" if rows is None else rows
    expected = f"expected ({count}, {points})"
    if len(grid) > 1:
        expected += f" or ({count}, {', '.join(map(str, grid))})"
    if array.ndim < 2 or array.shape[1:] not in ((points,), grid) or array.shape[0] != (rows or array.shape[0]):
        hint = ""
        if array.ndim > 1 and array.shape[:-1] in ((points,), grid) and rows in (None, array.shape[-1]):
            hint = f": move the last axis first, np.moveaxis({name}, -1, 0)"
        elif array.ndim == 3 and array.shape[1:] == grid[::-1]:
            hint = ": DenseCRF2D takes width before height, arrays have height before width"
        raise InputError(f"{name} has shape {array.shape}; {expected}{hint}")
    with np.errstate(over="ignore"):
        return np.array(array.reshape(array.shape[0], points), np.float32, order="C")


def as_deviations(given: Any, count: int, name: str) -> Array:
    """Return `count` standard deviations as float32, above 0; `given` is one for all, or one for each."""
    stds = check_deviations(given, count, name)
    # Not so small that float32 divides by zero: the lattice has its own word on those.
    return np.broadcast_to(np.maximum(stds, 1e-30).astype(np.float32), count)


def as_compatibility(given: Any, labels: int) -> tuple[float, Array | None]:
    """Return the weight and the compatibility of a `GaussianKernel`.

    A number w is the Potts model, energy -w for equal labels. A vector (labels,) is the energy of each label beside
    itself; a matrix (labels, labels) that of any two, of which the symmetric part counts.
    """
    array = as_array(given, "compat")
    check_real(array, "compat")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    check_energies(array, "compat")
    if array.ndim == 0:
        weight = float(array)
        return (weight, None) if weight >= 0 else (1.0, -weight * np.eye(labels, dtype=np.float32))
    if array.shape == (labels,):
        return 1.0, np.diag(array)
    if array.shape == (labels, labels):
        return 1.0, (array + array.T) / 2
    raise InputError(f"compat has shape {array.shape}; expected a number, ({labels},) or ({labels}, {labels})")
