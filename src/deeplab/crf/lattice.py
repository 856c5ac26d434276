"""The permutohedral lattice: the Gaussian filter in time linear in the number of points."""

from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.crf import _native
from deeplab.errors import InputError

__all__ = ["SharedLattice", "build_lattice", "filter_by_lattice"]


def build_lattice(features: npt.NDArray[np.float32], threads: int) -> _native.Lattice:
    """Return the lattice over `features` (N, d) float32, C-contiguous, finite, divided by the standard deviations.

    Adams, Baek & Davis 2010, section 3.

    Raises:
        InputError: the features span too many standard deviations for float32 positions, or there are more than
            2³¹ / (d + 1) points.
    """
    try:
        return _native.Lattice(features, threads)
    except ValueError as error:
        largest = float(np.abs(features).max())
        raise InputError(
            f"no lattice over {features.shape[0]} points of {features.shape[1]} features up to {largest:.3g} standard "
            f"deviations: {error}; use larger standard deviations or fewer points"
        ) from None


def filter_by_lattice(
    lattice: _native.Lattice, values: npt.NDArray[np.float32], threads: int, *, transposed: bool = False
) -> npt.NDArray[np.float32]:
    """Return about Σ_j exp(-|f_i - f_j|² / 2) · values_j, up to a factor that normalisation takes out.

    The filter is nearly symmetric but not quite: its blurs run axis by axis. `transposed` runs them backwards, which
    is the exact transpose, as gradients need it.

    Args:
        lattice: over N points.
        values: (C, N) float32, C-contiguous.
        threads: at least 1; the result does not depend on it.
        transposed: filter with the transposed matrix.

    Returns:
        (C, N) float32.
    """
    filtered = np.empty_like(values)
    lattice.filter(values, filtered, transposed, threads)
    return filtered


class SharedLattice:
    """A lattice and what it makes of ones, built when first asked for and then kept, whichever thread asks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._built: tuple[_native.Lattice, npt.NDArray[np.float32]] | None = None

    def over(self, features: npt.NDArray[np.float32], threads: int) -> tuple[_native.Lattice, npt.NDArray[np.float32]]:
        """Return the lattice over `features`, the same at every call, and K·1 (N,) float32.

        Raises:
            InputError: as `build_lattice` raises it.
        """
        with self._lock:
            if self._built is None:
                lattice = build_lattice(features, threads)
                k = _native.empty([lattice.points])
                lattice.sums(k, threads)
                self._built = lattice, k
            return self._built

    def __reduce__(self) -> tuple[type[Any], tuple[()]]:
        return SharedLattice, ()  # a pickle leaves the lattice out: building it anew takes less than reading it
