from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

def empty(shape: Sequence[int]) -> npt.NDArray[np.float32]: ...

class Lattice:
    def __init__(self, features: npt.NDArray[np.float32], threads: int) -> None: ...
    @property
    def points(self) -> int: ...
    @property
    def dimension(self) -> int: ...
    @property
    def vertices(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def sums(self, out: npt.NDArray[np.float32], threads: int) -> None: ...
    def filter(
        self, values: npt.NDArray[np.float32], out: npt.NDArray[np.float32], reverse: bool, threads: int
    ) -> None: ...

class Grid:
    def __init__(
        self,
        taps: npt.NDArray[np.float32],
        columns_before: npt.NDArray[np.float32],
        columns_after: npt.NDArray[np.float32],
        columns_total: npt.NDArray[np.float32],
        rows_before: npt.NDArray[np.float32],
        rows_after: npt.NDArray[np.float32],
        rows_total: npt.NDArray[np.float32],
    ) -> None: ...

class Pairwise: ...

def lattice_term(
    lattice: Lattice,
    weight: float,
    before: npt.NDArray[np.float32] | None,
    after: npt.NDArray[np.float32] | None,
    matrix: npt.NDArray[np.float32] | None,
) -> Pairwise: ...
def grid_term(grid: Grid, weight: float, matrix: npt.NDArray[np.float32] | None) -> Pairwise: ...

class MeanField:
    def __init__(
        self,
        unary: npt.NDArray[np.float32],
        probabilities: bool,
        terms: list[Pairwise],
        negligible: float,
        threads: int,
        fixed: npt.NDArray[np.bool_] | None = None,
    ) -> None: ...
    def step(self, steps: int, threads: int) -> None: ...
    def belief(self, out: npt.NDArray[np.float32], threads: int) -> None: ...
    def release(self) -> None: ...
    @property
    def contested(self) -> int: ...

def instruction_set() -> str: ...
