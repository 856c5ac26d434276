"""Scores and label maps on disk: read from .npy, .npz and images, written as .npy, .npz and PNG."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.arrays import map_npy, open_npz
from deeplab.errors import ImageError, InputError, OutputError, quoted
from deeplab.files import atomic_file, is_file
from deeplab.label_maps import LABEL_MAP_SUFFIXES, encode_label_map, open_label_map
from deeplab.labels import LabelSet, colours_to_values

SCORE_SUFFIXES = frozenset((".npy", ".npz", *LABEL_MAP_SUFFIXES))
"""Lower-case file name endings that `load_scores` reads."""

LABEL_SUFFIXES = (".png", ".npy")
PROBABILITY_SUFFIXES = (".npy", ".npz")

_TENSOR = "save an array: numpy.save('scores.npy', scores.cpu().numpy())"
_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        ".pt": _TENSOR, ".pth": _TENSOR, ".pkl": "save an array: numpy.save('scores.npy', scores)",
        ".jpg": "JPEG blurs labels: save the label map as PNG", ".jpeg": "JPEG blurs labels: save the label map as PNG",
        ".h5": "read it with h5py and numpy.save the array", ".mat": "read it with scipy.io and numpy.save the array",
    }
)  # fmt: skip

_MOST_PALETTE_LABELS = 255  # an 8-bit map keeps 255 for void


def load_scores(
    path: str | os.PathLike[str], *, key: str | None = None, label_set: LabelSet | None = None
) -> NDArray[Any]:
    """Read an array of scores or a label map; nothing of it is interpreted.

    Args:
        path: ``.npy`` (mapped into memory, not read), ``.npz``, or a label map as a palette, grey (1, 8 or 16 bits) or
            colour-coded PNG, TIFF or BMP. Pickled objects are never loaded.
        key: the array's name in an ``.npz`` of several.
        label_set: what the colours of a colour-coded label map stand for.

    Returns:
        the array as stored, read-only where it is mapped; of an image, (H, W) its values.

    Raises:
        InputError: the file is no such file or is damaged, there is no array of that name, or colours stand in it that
            the label set does not know.
        ImageError: an image cannot be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SCORE_SUFFIXES:
        advice = _ADVICE.get(suffix, "save an array with numpy.save")
        raise InputError(f"{path}: scores are read from {', '.join(sorted(SCORE_SUFFIXES))}; {advice}")
    if key is not None and suffix != ".npz":
        raise InputError(f"{path} holds one array, none by the name {key!r}; leave the key away")
    return _load_map(path, label_set) if suffix in LABEL_MAP_SUFFIXES else _load_array(path, key)


def _load_array(path: Path, key: str | None) -> NDArray[Any]:
    if not is_file(path):
        raise InputError(f"{path}: no such file; check the spelling")
    if path.suffix.lower() == ".npy":
        return map_npy(path)
    with open_npz(path) as archive:
        return archive[_name(path, archive.names, key)]


def _name(path: Path, names: list[str], key: str | None) -> str:
    if not names:
        raise InputError(f"{path} holds no array; save the scores again with numpy.savez")
    if key is None and len(names) == 1:
        return names[0]
    if key not in names:
        missing = "several arrays" if key is None else f"no array {quoted(key)}"
        raise InputError(f"{path} holds {missing}; choose one with --key (key=…): {', '.join(names)}")
    return key


def _load_map(path: Path, label_set: LabelSet | None) -> NDArray[Any]:
    with open_label_map(path) as image:
        if image.mode in ("P", "L", "1", "F") or image.mode.startswith("I"):
            return np.array(image)
        colours = np.array(image.convert("RGB"))
    if label_set is None:
        raise ImageError(
            f"{path} is colour-coded (mode {image.mode}); say what the colours mean with --labels (label_set=…), or "
            "save a label map whose pixel values are labels (mode P or L)"
        )
    return _labels_of(colours, label_set, path)


def _labels_of(colours: NDArray[np.uint8], label_set: LabelSet, path: Path) -> NDArray[np.uint8]:
    """Return the labels (H, W) that colours (H, W, 3) stand for in a label set, void included."""
    palette = [tuple(colour) for colour in label_set.colours().tolist()]
    values = {palette[label]: label for label in (*range(len(label_set)), label_set.void)}
    labels, strange = colours_to_values(colours, values)
    if strange:
        more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
        raise ImageError(
            f"{path} has the colour {strange[0]}{more}, which stands for no label of {label_set.name!r}; give --labels "
            "another palette, or save labels instead of colours"
        )
    return labels


def check_suffix(path: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Check, before the work is done, the ending of a result's name.

    Raises:
        OutputError: it is none of `suffixes`.
    """
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"{path}: {what} are written as {' or '.join(suffixes)}; let the name end so")


def put_labels(file: IO[bytes], path: Path, labels: NDArray[Any], label_set: LabelSet | None) -> None:
    """Write labels (H, W) into an open file that will be called `path`, as `write_labels` does.

    Raises:
        InputError: the label set does not know a label.
        OutputError: the name ends in something else, or labels exceed 65535 in a PNG.
    """
    most = int(labels.max())
    check_suffix(path, LABEL_SUFFIXES if most <= 65535 else (".npy",), f"labels up to {most}")
    if path.suffix.lower() == ".npy":
        np.save(file, labels, allow_pickle=False)
    elif most < _MOST_PALETTE_LABELS:
        file.write(encode_label_map(labels, label_set or LabelSet("labels", tuple(map(str, range(most + 1))))))
    else:
        Image.fromarray(labels.astype(np.uint16)).save(file, format="PNG")


def write_labels(
    path: str | os.PathLike[str], labels: NDArray[Any], label_set: LabelSet | None, *, overwrite: bool = False
) -> None:
    """Write labels (H, W): ``.npy`` as they are, ``.png`` with the set's palette, or 16-bit grey for labels above 254.

    Without a label set, the palette is VOC's.

    Raises:
        InputError: the label set does not know a label.
        OutputError: the name ends in neither, labels exceed 65535 in a PNG, or the file exists or cannot be written.
    """
    with atomic_file(path, overwrite=overwrite) as file:
        put_labels(file, Path(path), labels, label_set)


def put_probabilities(file: IO[bytes], path: Path, probabilities: NDArray[np.float32], labels: tuple[int, ...]) -> None:
    """Write probabilities (L, H, W) into an open file that will be called `path`, as `write_probabilities` does.

    Raises:
        OutputError: the name ends in something else.
    """
    check_suffix(path, PROBABILITY_SUFFIXES, "probabilities")
    if path.suffix.lower() == ".npy":
        np.save(file, probabilities, allow_pickle=False)
    else:
        np.savez_compressed(file, probabilities=probabilities, labels=np.array(labels))


def write_probabilities(
    path: str | os.PathLike[str],
    probabilities: NDArray[np.float32],
    labels: tuple[int, ...],
    *,
    overwrite: bool = False,
) -> None:
    """Write probabilities (L, H, W): ``.npy``, or ``.npz`` (compressed) with the arrays `probabilities` and `labels`.

    Raises:
        OutputError: the name ends in neither, or the file exists or cannot be written.
    """
    with atomic_file(path, overwrite=overwrite) as file:
        put_probabilities(file, Path(path), probabilities, labels)
