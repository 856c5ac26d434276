"""Predicted label maps, whoever wrote them: whether their numbers are labels or the values that the masks store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab.data.samples import Sample
from deeplab.errors import DataError, InputError
from deeplab.files import is_file
from deeplab.label_maps import read_label_map, read_label_set
from deeplab.labels import LabelSet

Labels = NDArray[np.uint8]

NUMBERS = ("labels", "masks")
"""What the numbers of predictions may be: the classes in order, or the values that the data set's masks store."""


def prediction_table(samples: Sequence[Sample], folder: Path, numbers: str | None = None) -> Labels:
    """Return the label that each number in the predictions means, (256,) uint8.

    Where a names file or layout gives masks other values than their labels, only the predictions can tell which of the
    two they hold: numbers that only one of them knows.

    Args:
        samples: at least one, all of one data set.
        folder: where their predictions lie as ``<photo>.png``.
        numbers: one of `NUMBERS`; None: what the predictions show.

    Raises:
        ImageError: a prediction cannot be read.
        DataError: the predictions may be either, and their scores would differ.
        InputError: `numbers` is something else.
    """
    if numbers not in (None, *NUMBERS):
        raise InputError(f"numbers is {numbers!r}; expected one of {', '.join(NUMBERS)}")
    label_set, relabel = samples[0].label_set, samples[0].relabel
    as_labels = np.arange(256, dtype=np.uint8)
    as_stored = as_labels if relabel is None else np.frombuffer(relabel, dtype=np.uint8)
    count = len(label_set)
    if numbers is not None:
        return as_stored if numbers == "masks" else as_labels
    if (as_stored == as_labels)[(as_stored < count) | (as_labels < count)].all():
        return as_labels
    held = np.zeros(256, dtype=np.bool_)
    for path in (folder / f"{sample.name}.png" for sample in samples):
        if is_file(path) and _said_names(path) is None:
            held |= np.bincount(read_label_map(path).ravel(), minlength=256) > 0
    known = (as_stored < count) | (as_stored == label_set.void)  # whoever predicts such values may predict void, too
    if not known[held].all() or (as_stored == as_labels)[held].all():
        return as_labels
    if not (as_labels[held] < count).all():
        return as_stored
    number = int(np.flatnonzero(held & (as_stored != as_labels))[0])
    stored = "void" if as_stored[number] == label_set.void else repr(label_set.names[as_stored[number]])
    raise DataError(
        f"{folder}: {number} is the label of {label_set.names[number]!r}, but in the masks it stands for {stored}; say "
        "which of the two the predictions hold: --numbers labels or masks (numbers=…)"
    )


def read_prediction(path: Path, label_set: LabelSet, table: Labels) -> Labels:
    """Read one prediction: (H, W) uint8 labels.

    Args:
        path: a label map. Where it says the names of its labels, its numbers are those.
        label_set: the data set's.
        table: (256,), what the numbers of label maps without names mean.

    Raises:
        ImageError: the file cannot be read.
        DataError: its labels are others than the data set's.
    """
    found, names = read_label_map(path), _said_names(path)
    if names is None:
        return table[found]
    if names != label_set.names:
        raise DataError(
            f"{path} says that its labels are {', '.join(names[:3])}, …, not those of the data, "
            f"{', '.join(label_set.names[:3])}, …; predict with a model of the data's labels"
        )
    return found


def _said_names(path: Path) -> tuple[str, ...] | None:
    """The names that a label map says; None without any, or with numbers in their place, as `deeplab refine` writes."""
    said = read_label_set(path)
    return None if said is None or all(name.isdecimal() for name in said.names) else said.names
