"""What a folder of labelled photos holds that a recipe for it depends on; what leaves nothing to learn is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab.data.check import DataReport, SplitCounts, check_data
from deeplab.data.inspection import KINDS
from deeplab.data.readers import find_splits, guess_layout, read_samples
from deeplab.data.samples import Sample
from deeplab.errors import DataError
from deeplab.labels import LabelSet
from deeplab.progress import Show, silent

SPOILT = ("unreadable", "colours", "depth", "beyond", "void", "exif", "size")
"""The kinds of findings with which a photo cannot be learnt from."""


@dataclass(frozen=True)
class OwnData:
    """A data set, looked at.

    Attributes:
        root: its folder.
        train, validation: the splits to learn from and to score; "" where nothing is held out.
        report: what `check_data` found in them.
        spoilt: number of photos to learn from that cannot be.
    """

    root: Path
    train: str
    validation: str
    report: DataReport
    spoilt: int

    @property
    def label_set(self) -> LabelSet:
        """The classes."""
        return self.report.label_set

    @property
    def learnt(self) -> SplitCounts:
        """What the masks to learn from show."""
        return self.report.splits[self.train]

    @property
    def photos(self) -> int:
        """Number of photos that can be learnt from."""
        return self.learnt.photos - self.spoilt

    @property
    def held_out(self) -> int:
        """Number of photos to score."""
        return self.report.splits[self.validation].photos if self.validation else 0

    @property
    def pixels(self) -> NDArray[np.int64]:
        """(L,): pixels of each class in the photos to learn from."""
        return self.learnt.pixels[: len(self.label_set)]


def look_at(root: Path, *, threads: int = 1, show: Show = silent) -> OwnData:
    """Look at every photo and mask of a data set, whatever its layout.

    Args:
        root: the data set's folder.
        threads: photos in work at a time.
        show: takes progress.

    Raises:
        DataError: there is no such folder or layout, photos lack masks, fewer than two classes are shown, half of the
            photos or more cannot be learnt from, or a file is both learnt and held out.
    """
    reader = guess_layout(root)
    train, validation = choose_splits(reader, root)
    samples = read_samples(reader, root, train)
    if validation:
        check_apart(samples, read_samples(reader, root, validation))
    splits = (train, validation) if validation else (train,)
    report = check_data(root, reader=reader, splits=splits, threads=threads, show=show)
    spoilt = [finding for finding in report.findings if finding.kind in SPOILT and finding.split == train]
    count = len({finding.name for finding in spoilt})
    data = OwnData(root, train, validation, report, count)
    if 2 * count >= len(samples):
        kinds = ", ".join(dict.fromkeys(KINDS[finding.kind].title for finding in spoilt))
        raise DataError(
            f"{count} of the {len(samples)} photos of {root} to learn from cannot be used ({kinds}), such as "
            f"{spoilt[0].file}: {spoilt[0].detail}; `deeplab check-data {root}` names all, and how to mend them"
        )
    if np.count_nonzero(data.pixels) < 2:
        shown = [repr(name) for name, pixels in zip(data.label_set.names, data.pixels, strict=True) if pixels]
        raise DataError(
            f"the masks of {root} show {' and '.join(shown) or 'void'} alone, so there is nothing to tell apart; "
            f"`deeplab check-data {root}` says what they hold, and classes.txt what it means (docs/data.md)"
        )
    return data


def check_apart(samples: Sequence[Sample], held_out: Sequence[Sample], remedy: str = "") -> None:
    """Check that no file is both learnt and held out.

    Raises:
        DataError: some are; `remedy` ends the message.
    """
    learnt = {os.path.realpath(sample.photo) for sample in samples}
    shared = [sample for sample in held_out if os.path.realpath(sample.photo) in learnt]
    if shared:
        first = ", ".join(str(sample.photo) for sample in shared[:3])
        raise DataError(
            f"{len(shared)} of the {len(held_out)} validation photos are training photos too ({first}"
            f"{' …' if len(shared) > 3 else ''}); take them out of one list{remedy}"
        )


def choose_splits(reader: str, root: Path) -> tuple[str, str]:
    """The split to learn from, and that to score or "": ``val…``, or else ``test…``; a fifth of data without splits.

    Raises:
        DataError: no split is called ``train…``.
    """
    splits = find_splits(reader, root)
    train = next((split for split in ("train", *splits) if split in splits and split.startswith("train")), "")
    if train:
        others = [split for start in ("val", "dev", "test") for split in splits if split.startswith(start)]
        return train, others[0] if others else ""
    if splits != ["all"]:
        raise DataError(f"{root} has the splits {', '.join(splits)}; call the one to learn from 'train' (docs/data.md)")
    return ("train", "val") if len(read_samples(reader, root, "all")) > 1 else ("all", "")
