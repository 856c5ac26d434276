"""pydensecrf's unary objects, for `DenseCRF.setUnary`."""

import numpy as np
import numpy.typing as npt

from deeplab.crf.checks import as_array, check_real
from deeplab.errors import InputError


class Unary:
    """The energy of each label at each point, (L, N), for `DenseCRF.setUnary`."""

    def __init__(self, u: npt.ArrayLike) -> None:
        self.energy = as_array(u, "u").copy()


class ConstUnary(Unary):
    """The energy itself: `u` (L, N) float."""


class LogisticUnary(Unary):
    """A linear function of features: `L` (labels, F) times `f` (F, N), both float.

    Raises:
        InputError: the two are not matrices of real numbers that can be multiplied.
    """

    def __init__(self, L: npt.ArrayLike, f: npt.ArrayLike) -> None:
        weights, features = as_array(L, "L"), as_array(f, "f")
        check_real(weights, "L")
        check_real(features, "f")
        if weights.ndim != 2 or features.ndim != 2 or weights.shape[1] != features.shape[0]:
            raise InputError(f"L has shape {weights.shape}, f {features.shape}; expected (labels, F) and (F, points)")
        with np.errstate(over="ignore", invalid="ignore"):  # setUnary has its word on what is not finite
            super().__init__(weights.astype(np.float32) @ features.astype(np.float32))
