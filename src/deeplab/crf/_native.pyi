import numpy as np
import numpy.typing as npt

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
    def filter(
        self, values: npt.NDArray[np.float32], out: npt.NDArray[np.float32], reverse: bool, threads: int
    ) -> None: ...

class MeanField:
    def __init__(
        self,
        unary: npt.NDArray[np.float32],
        kernels: list[
            tuple[
                Lattice,
                float,
                npt.NDArray[np.float32] | None,
                npt.NDArray[np.float32] | None,
                npt.NDArray[np.float32],
            ]
        ],
        threads: int,
    ) -> None: ...
    def step(self, steps: int, threads: int) -> None: ...
    def belief(self, out: npt.NDArray[np.float32], threads: int) -> None: ...

def instruction_set() -> str: ...
