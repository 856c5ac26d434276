"""The permutohedral lattice: the Gaussian filter in time linear in the number of points."""

from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.crf import _native
from deeplab.crf.memory import memory_for
from deeplab.errors import InputError

_BYTES_PER_CORNER = 8  # of each point's simplex: which vertex it is, and its weight

_FAR = 20  # times the middle half of a column


def build_lattice(features: npt.NDArray[np.float32], threads: int) -> _native.Lattice:
    """Return the lattice over `features` (N, d) float32, C-contiguous, finite, divided by the standard deviations.

    Adams, Baek & Davis 2010, section 3.

    Raises:
        InputError: the features span too many standard deviations for float32 positions, or there are more than
            2³¹ / (d + 1) points.
        MemoryError: the lattice does not fit in memory. Where that is clear beforehand, it is said before any work.
    """
    points, dimension = features.shape
    what = f"a lattice over {points:,} points of {dimension} features"
    needed = _BYTES_PER_CORNER * points * (dimension + 1)
    try:
        with memory_for(needed, what, "use fewer points, such as a smaller image or a part of it"):
            return _native.Lattice(features, threads)
    except ValueError as error:
        way = way_to_nearer(features) if "span" in str(error) else "use fewer points"
        raise InputError(f"no lattice over {points} points: {error}; {way}") from None


def way_to_nearer(features: npt.NDArray[np.floating]) -> str:
    """Say what keeps features (N, d) apart, and how to have them nearer: few points of no data, or small deviations.

    Half of the points lie within a column's middle half. Those of no data, as -9999 for it, lie far beyond.
    """
    spread = features.max(axis=0).astype(np.float64) - features.min(axis=0)
    column = int(spread.argmax())
    values = features[:, column].astype(np.float64)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    far = np.abs(values - middle) > max(_FAR * (high - low), spread[column] / 4)
    where = f"feature {column} (of an image, 0 is x, 1 is y, and 2 its first channel) spans {spread[column]:.3g}"
    if not far.any() or far.mean() > 0.25:
        return f"{where} standard deviations: use larger standard deviations or fewer points"
    worst = float(values[np.abs(values - middle).argmax()])
    return (
        f"{where} standard deviations, but for {far.sum()} points of {len(far)}, up to {worst:.6g}, only "
        f"{np.ptp(values[~far]):.3g}: where those hold no data, leave them out (refine takes a masked image, mask= and "
        "nodata=, and kernels have at()), or else use larger standard deviations"
    )


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
