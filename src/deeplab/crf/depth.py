"""What a depth camera, a stereo pair or a depth network knows of a photo: one more coordinate of its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_number
from deeplab.crf.checks import as_array, check_real
from deeplab.errors import InputError


@dataclass(frozen=True, eq=False)
class Depth:
    """The depth of a photo's pixels, as a coordinate of the bilateral kernel: exp(-(z_i - z_j)² / 2σz²).

    Disparity, whose noise is alike near and far, is better than metres where depth comes from a stereo pair. Where
    depth is unknown it has no say: between such a pixel and any other the kernel is the one without depth.

    >>> disparity_px = np.array([[0, 7, 7, 31], [7, 7, 30, 31]], np.uint16)
    >>> Depth(disparity_px, std=2, unknown=0).known[0]  # the first pixel is unknown
    array([False,  True,  True,  True])

    Attributes:
        values: z, (H, W) like the photo, of any number type and in any unit. Pixels that are NaN, infinite, or left out
            by a masked array are unknown. Kept as float32.
        std: σz, how far apart two pixels may lie and still speak to each other; in the unit of `values`, above 0.
        unknown: the value that stands for no depth, such as 0; None: none does.
        known: (H, W) bool, True where the depth is known.

    Raises:
        InputError: the values are no real numbers (H, W), none is known, or `std` is not a number above 0.
    """

    values: npt.NDArray[np.float32]
    std: float
    unknown: float | None = None
    known: npt.NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", check_number(self.std, "the depth's std", above_zero=True))
        given: Any = self.values
        array = as_array(np.ma.getdata(given) if isinstance(given, np.ma.MaskedArray) else given, "depth")
        check_real(array, "depth")
        if array.ndim != 2 or array.size == 0:
            raise InputError(f"depth has shape {array.shape}; expected (height, width), at least one pixel")
        known = np.isfinite(array) & ~np.ma.getmaskarray(given)
        if self.unknown is not None:
            known &= array != self.unknown
        if not known.any():
            stands = "" if self.unknown is None else f", {self.unknown:g}"
            raise InputError(
                f"depth is unknown at all {array.size} pixels (NaN, infinite, masked{stands}); expected some that are "
                "known: check which value stands for no depth, or leave the depth away"
            )
        object.__setattr__(self, "known", known)
        with np.errstate(over="ignore"):
            object.__setattr__(
                self, "values", np.where(known, array, array[known].mean(dtype=np.float64)).astype(np.float32)
            )

    def scaled(self, factor: float) -> "Depth":
        """Return the depth with its standard deviation times a factor."""
        return replace(self, values=np.where(self.known, self.values, np.nan), std=self.std * factor, unknown=None)

    def features(self, part: Sequence[slice] = ()) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return z over its standard deviation (h, w), of a part of the photo, and where it is unknown."""
        window = tuple(part)
        return self.values[window] / np.float32(max(self.std, 1e-30)), ~self.known[window]


def check_depth(depth: Any, height: int, width: int) -> None:
    """Raise unless `depth` is None, or a `Depth` of the size of a photo."""
    if depth is None:
        return
    if not isinstance(depth, Depth):
        raise InputError(f"depth is {type(depth).__name__}; expected Depth(values, std=…), as deeplab.crf has it")
    if depth.values.shape != (height, width):
        own_height, own_width = depth.values.shape
        turned = (own_height, own_width) == (width, height)
        way = "height comes before width" if turned else "resize it to the photo's size, by its nearest values"
        raise InputError(f"depth is {own_width}x{own_height} pixels, the photo {width}x{height}: {way}")
