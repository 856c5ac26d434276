"""NIfTI volumes: scans and what a model says of them read, refined labels written where the scan lies in space."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_number
from deeplab.errors import InputError, OutputError
from deeplab.files import is_file
from deeplab.refinement.score_files import load_scores

NIFTI_SUFFIXES = (".nii", ".nii.gz")

_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}

_SAME_PLACE_MM = 0.01

_LARGEST_RATIO = 1032  # of what gzip packs to what it takes


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan, or scores of one.

    Attributes:
        values: (D, H, W), or with one more axis; of the file's number type, scaled as its header says.
        spacing_mm: how far apart voxels lie along the first three axes.
        affine: (4, 4) float, from voxels to places in space, in the file's own unit.
        header: the file's, which a result is written with.
    """

    values: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    header: Any


def read_volume(paths: Sequence[str | os.PathLike[str]]) -> Volume:
    """Read a NIfTI volume, or several of one body as its modalities, (D, H, W, C).

    Raises:
        InputError: nibabel is missing, a file is missing, damaged or no NIfTI, or the files differ in sides or place.
    """
    volumes = [_read(Path(path)) for path in paths]
    for path, volume in zip(paths, volumes, strict=True):
        check_same_place(path, volume, volumes[0])
    if len(volumes) == 1:
        return volumes[0]
    first = volumes[0]
    values = np.concatenate([v.values.reshape(*v.values.shape[:3], -1) for v in volumes], axis=3)
    return Volume(values, first.spacing_mm, first.affine, first.header)


def read_volume_scores(path: Path, like: Volume) -> NDArray[Any]:
    """Read scores of a volume as `refine_volume` takes them, labels first; or a label map (D, H, W) of integers.

    Args:
        path: NIfTI (its fourth axis the labels), ``.npy`` or ``.npz``.
        like: the volume they are of.

    Raises:
        InputError: the file cannot be read, or lies elsewhere in space.
    """
    if not path.name.lower().endswith(NIFTI_SUFFIXES):
        return load_scores(path)
    scores = _read(path)
    check_same_place(path, scores, like)
    return np.moveaxis(scores.values, 3, 0) if scores.values.ndim == 4 else scores.values


def check_same_place(path: str | os.PathLike[str], volume: Volume, like: Volume) -> None:
    """Raise unless a file's voxels are those of another volume, in number and in place."""
    shape, expected = volume.values.shape[:3], like.values.shape[:3]
    if shape != expected:
        raise InputError(f"{path} is {_sides(shape)} voxels, the volume {_sides(expected)}; resample it to the volume")
    away = float(np.abs(volume.affine - like.affine).max())
    if away > _SAME_PLACE_MM:
        raise InputError(
            f"{path} lies elsewhere in space than the volume (their affines differ by up to {away:.3g}); resample it "
            "to the volume's voxels"
        )


def label_probabilities(
    labels: NDArray[Any], confidence: float, void: int | None
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the probabilities (L, D, H, W) of a label map, and the label of each plane.

    Each label has the probability `confidence` (above chance and below 1), the others found share the rest, and voxels
    of the value `void` are undecided.

    Raises:
        InputError: there are fewer than two labels, or the confidence is out of range.
    """
    found = np.unique(labels)
    found = found[found != void] if void is not None else found
    if not 2 <= len(found) <= 256:
        raise InputError(f"a label map of {len(found)} labels; expected 2-256: probabilities are read from floats")
    if not 1 / len(found) < check_number(confidence, "confidence") < 1:
        raise InputError(f"confidence is {confidence:g}; expected above {1 / len(found):.3g} (chance) and below 1")
    planes = np.full((len(found), *labels.shape), (1 - confidence) / (len(found) - 1), np.float32)
    for plane, label in zip(planes, found, strict=True):
        plane[labels == label] = confidence
    if void is not None:
        planes[:, labels == void] = 1 / len(found)
    return planes, found


def check_nifti_name(path: Path) -> None:
    """Raise unless a result's name ends as NIfTI's do."""
    if not path.name.lower().endswith(NIFTI_SUFFIXES):
        raise OutputError(f"{path}: volumes are written as .nii.gz or .nii; let the name end so")


def put_volume(file: IO[bytes], path: Path, values: NDArray[Any], like: Volume) -> None:
    """Write values (D, H, W) or (D, H, W, L) into an open file that will be called `path`, in the place of another."""
    header = like.header.copy()
    header.set_slope_inter(1, 0)
    image = _nibabel().Nifti1Image(values, like.affine, header, dtype=values.dtype)
    if not path.name.lower().endswith(".gz"):
        image.to_stream(file)
        return
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=4, mtime=0) as packed:
        image.to_stream(packed)


def _read(path: Path) -> Volume:
    nibabel = _nibabel()
    if not path.name.lower().endswith(NIFTI_SUFFIXES):
        raise InputError(f"{path}: volumes are read from NIfTI, .nii or .nii.gz; convert it, DICOM by dcm2niix")
    if not is_file(path):
        raise InputError(f"{path}: no such file; check the spelling")
    try:
        image = nibabel.load(path)
        _check_size(path, image)
        scaled = image.dataobj.slope != 1 or image.dataobj.inter != 0
        values = image.get_fdata(dtype=np.float32, caching="unchanged") if scaled else np.asanyarray(image.dataobj)
        sizes = nibabel.affines.voxel_sizes(image.affine) * _MM[image.header.get_xyzt_units()[0]]
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise InputError(f"{path} is no NIfTI volume, or damaged: {error}") from None
    except MemoryError:
        raise InputError(f"{path} does not fit in memory: {_sides(image.shape)} voxels; cut it, or shrink it") from None
    except (OSError, EOFError, ValueError, KeyError, OverflowError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}; copy it again") from None
    if values.ndim not in (3, 4) or values.dtype.kind not in "iuf":
        raise InputError(f"{path} has shape {values.shape} of {values.dtype}; expected numbers along 3 axes, or 4")
    depth, height, width = sizes.tolist()
    return Volume(values, (depth, height, width), image.affine, image.header)


def _check_size(path: Path, image: Any) -> None:
    """Raise where the header promises more voxels than the file's bytes can unpack to."""
    promised = prod(image.shape) * image.get_data_dtype().itemsize
    most = path.stat().st_size * (_LARGEST_RATIO if path.name.lower().endswith(".gz") else 1)
    if promised > most:
        raise InputError(
            f"{path} is damaged: its header promises {_sides(image.shape)} voxels, {promised / 1e9:.3g} GB, more than "
            "the file holds; copy it again"
        )


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _nibabel() -> ModuleType:
    """Import and return nibabel, here because it is an extra."""
    try:
        return import_module("nibabel")
    except ModuleNotFoundError:
        raise InputError("NIfTI volumes need nibabel: run pip install '.[nifti]' in deeplab's folder") from None
