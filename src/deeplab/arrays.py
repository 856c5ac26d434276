"""NumPy's files read header first: what an array would take is known before it is made. Nothing is unpickled."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import DeepLabError, InputError, quoted

MOST_BYTES = 1_200_000_000
"""How much the arrays that are read of one ``.npz`` may take together."""

_KINDS = "biufU"  # of dtypes: booleans, whole and real numbers, text
_MOST_DIMENSIONS = 8
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those of numpy.savez and numpy.savez_compressed


def map_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Map the array of an ``.npy`` file into memory, read-only.

    Raises:
        InputError: the file cannot be read, is damaged, or holds no array of numbers.
    """
    with _refusing(path):
        with Path(path).open("rb") as file:
            _check_header(file, "its array", math.inf)
        return np.lib.format.open_memmap(path, mode="r")  # refuses what is longer than the file


class Archive:
    """An open ``.npz`` file.

    Attributes:
        names: of its arrays.
    """

    def __init__(self, path: str | os.PathLike[str], file: zipfile.ZipFile) -> None:
        self._path = path
        self._file = file
        self._left = MOST_BYTES
        self._members = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
        self.names = list(self._members)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Read an array.

        Raises:
            InputError: there is none of that name, it is damaged, or it is too large.
        """
        with _refusing(self._path):
            if name not in self._members:
                raise InputError(f"it has no array {quoted(name)}")
            info = self._members[name]
            if info.compress_type not in _PACKINGS:
                raise InputError(f"its array {quoted(name)} is packed in a way that NumPy does not use")
            with self._file.open(info) as member:
                self._left -= _check_header(member, f"its array {quoted(name)}", self._left)
            with self._file.open(info) as member:
                array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
            return array


@contextmanager
def open_npz(path: str | os.PathLike[str], content: bytes | None = None) -> Iterator[Archive]:
    """Open an ``.npz`` file for the time of a block; its bytes, where they are in memory already.

    Raises:
        InputError: the file cannot be read, or is no ``.npz`` file.
    """
    with _refusing(path):
        file = zipfile.ZipFile(path if content is None else io.BytesIO(content))
    with file:
        yield Archive(path, file)


def _check_header(file: IO[bytes], what: str, most_bytes: float) -> int:
    """Return how many bytes an array takes, from the header that its file begins with."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in _KINDS or dtype.itemsize == 0 or len(shape) > _MOST_DIMENSIONS or min(shape, default=0) < 0:
        raise InputError(f"{what} is {quoted(shape)} of {quoted(dtype)}; expected a plain array of numbers")
    size = math.prod(shape) * dtype.itemsize
    if size > most_bytes:
        raise InputError(
            f"{what} unpacks to {size / 1e9:.3g} GB; expected at most {MOST_BYTES / 1e9:.3g} GB for a file: "
            "save float16, or one array with numpy.save, which is read piece by piece"
        )
    return size


@contextmanager
def _refusing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn whatever zip and header parsing raise on damaged bytes, errors of many kinds, into an InputError."""
    try:
        yield
    except MemoryError:
        raise
    except DeepLabError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({said}); save plain numbers with numpy.save or numpy.savez") from None
