"""A photo's features by a model's trunk: computed once, kept in a file, and read from there cell by cell."""

from __future__ import annotations

import hashlib
import os
import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.arrays import map_npy
from deeplab.errors import InputError, ModelError
from deeplab.files import atomic_file, is_file, make_folder
from deeplab.models import read_model
from deeplab.runtime import OnnxNetwork
from deeplab.teach.onnx_file import FEATURES, STRIDE, with_classifier, with_features


class Features(NamedTuple):
    """What the trunk found in a photo.

    Attributes:
        cells: (h, w, D) uint8, one cell for every 8 pixels of what the network saw.
        seen: (H, W) of what it saw: the photo, or a smaller copy.
    """

    cells: NDArray[np.uint8]
    seen: tuple[int, int]

    def at(self, y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the features (N, D) float32 at pixels of what the network saw, as bilinear interpolation has them."""
        height, width, depth = self.cells.shape
        top, left = np.minimum(y // STRIDE, height - 2), np.minimum(x // STRIDE, width - 2)
        down, across = (y / STRIDE - top).astype(np.float32), (x / STRIDE - left).astype(np.float32)
        rows = np.zeros((len(y), depth), np.float32)
        for row, share_y in ((top, 1 - down), (top + 1, down)):
            for column, share_x in ((left, 1 - across), (left + 1, across)):
                rows += self.cells[row, column] * (share_y * share_x)[:, None]
        return rows


class FeatureNetwork(OnnxNetwork):
    """The trunk of a model file, whose output is ``features``, uint8 (1, D, h, w)."""

    _output, _type = FEATURES, "tensor(uint8)"

    @property
    def _stride(self) -> int:
        return STRIDE

    def _prepared(self, content: bytes) -> bytes:
        return with_features(content)

    def features(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the cells (h, w, D) of what the network sees of a photo, (H, W, 3) uint8 RGB.

        Raises:
            ModelError: the network fails, or its trunk has other strides.
        """
        return np.ascontiguousarray(self._run(photo).transpose(1, 2, 0))

    def taught(self, weight: NDArray[np.float32], bias: NDArray[np.float32], metadata: str) -> bytes:
        """Return a model file of this trunk and a classifier; see `with_classifier`."""
        try:
            return with_classifier(read_model(self.path), weight, bias, metadata)
        except (ModelError, ValueError) as error:
            raise ModelError(f"{self.path} is not what was loaded any more ({error}); load it again") from None


class FeatureStore:
    """Photos' features, one file of at most 7 MB for each; the system keeps in memory what there is room for."""

    def __init__(self, network: FeatureNetwork, folder: str | os.PathLike[str] | None = None) -> None:
        """Keep the features in `folder`, where later stores find them; None: in one that goes with this store."""
        self._network = network
        self._folder = Path(mkdtemp(prefix="deeplab-teach-") if folder is None else folder)
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        make_folder(self._folder)

    def add(self, content: str, photo: NDArray[np.uint8]) -> Features:
        """Return the features of a photo (H, W, 3) uint8 RGB whose file or pixels have the hash `content`."""
        seen, path = self._network.info.preprocessing.shrink(photo), self._path(content)
        if not (is_file(path) and self._fits(path, seen.shape[:2])):
            with atomic_file(path, overwrite=True) as file:
                np.save(file, self._network.features(seen))
        return Features(map_npy(path), seen.shape[:2])

    def of(self, content: str, seen: tuple[int, int]) -> Features:
        """Return the features of a photo that was added, of which the network saw (H, W) pixels.

        Raises:
            InputError: their file is gone.
        """
        try:
            return Features(map_npy(self._path(content)), seen)
        except InputError as error:
            raise InputError(
                f"{self._folder} lacks a marked photo's features, or they are damaged ({error}); leave the folder "
                "alone while a teacher works, and start a new one"
            ) from None

    def _path(self, content: str) -> Path:
        return self._folder / f"{hashlib.sha256(f'{self._network.sha256} {content}'.encode()).hexdigest()}.npy"

    def _fits(self, path: Path, seen: tuple[int, int]) -> bool:
        """Whether a file holds features of such a photo, and not what a broken disk made of them."""
        try:
            cells = map_npy(path)
        except InputError:
            return False
        sides = tuple(max(1, -(-(side - 1) // STRIDE)) + 1 for side in seen)
        return cells.dtype == np.uint8 and cells.ndim == 3 and cells.shape[:2] == sides
