"""Look through a whole set of labelled photos for what spoils training, before it does: `check_data`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_count
from deeplab.data.coco_objects import CROWDS_AUTO
from deeplab.data.inspection import KINDS, Inspection, inspect_sample
from deeplab.data.readers import AUTO, find_splits, guess_layout, list_samples, names_file
from deeplab.data.samples import Listing, Sample
from deeplab.errors import DataError
from deeplab.files import is_file, is_folder
from deeplab.images import PHOTO_SUFFIXES, not_taken
from deeplab.labels import LabelSet
from deeplab.progress import Show, silent

__all__ = ["DataReport", "Finding", "SplitCounts", "check_data"]


class Finding(NamedTuple):
    """Something found in one file.

    Attributes:
        kind: its name in `KINDS`.
        split: the split where it was met first.
        name: of the photo in its set, or "" for what is about a whole split.
        file: the file it is about.
        detail: what exactly, e.g. the values.
    """

    kind: str
    split: str
    name: str
    file: Path
    detail: str


@dataclass(frozen=True)
class SplitCounts:
    """What the masks of a split show.

    Attributes:
        photos: number of photos listed.
        pixels: (256,) int64: pixels of every label, void among them; values without meaning are not counted.
        shown: (256,) int64: number of photos that show each label.
        sizes: (H, W) of the photos that can be read.
    """

    photos: int
    pixels: NDArray[np.int64]
    shown: NDArray[np.int64]
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class DataReport:
    """The outcome of `check_data`.

    Attributes:
        root: the data set's folder.
        reader: the layout it was read as, a name in `READERS`.
        names: the names file, or None for the layout's own classes.
        label_set: the classes.
        splits: what the masks of each split show.
        findings: all of them, in the order of `KINDS`.
    """

    root: Path
    reader: str
    names: Path | None
    label_set: LabelSet
    splits: Mapping[str, SplitCounts]
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that are problems."""
        return tuple(finding for finding in self.findings if KINDS[finding.kind].problem)


def check_data(
    root: Path,
    *,
    reader: str = AUTO,
    splits: Sequence[str] = (),
    names: Path | None = None,
    crowds: str = CROWDS_AUTO,
    threads: int = 1,
    show: Show = silent,
) -> DataReport:
    """Read every photo and mask of a data set, and find what spoils training, by name.

    Args:
        root: the data set's folder.
        reader: its layout, a name in `READERS`, or ``auto`` for the one that it has.
        splits: the parts to check; none: all that are found.
        names: a names file, as for `read_samples`.
        crowds: what becomes of COCO's crowds, as for `read_samples`.
        threads: photos in work at a time. The result does not depend on it.
        show: takes progress after each photo.

    Returns:
        What was found, and how often every class occurs.

    Raises:
        DataError: there is no such folder, layout, split or names file, there are no photos, or a list is damaged.
        InputError: `threads` is below 1, or a package that reads the masks is missing.
    """
    check_count(threads, 1, "threads")
    reader = guess_layout(root) if reader == AUTO else reader
    splits = splits or find_splits(reader, root)
    listings = {split: list_samples(reader, root, split, names=names, crowds=crowds) for split in splits}
    samples = {_key(sample): sample for listing in listings.values() for sample in listing.samples}
    if not samples:
        sources = ", ".join(str(listing.source) for listing in listings.values())
        left_out = [finding.detail for finding in _left_out(listings)]
        raise DataError("; ".join((f"{sources}: there are no photos to check", *left_out)))
    inspected: dict[_Key, Inspection] = {}
    pool = ThreadPoolExecutor(threads)
    try:
        for key, result in zip(samples, pool.map(inspect_sample, samples.values()), strict=True):
            inspected[key] = result
            show("checking", len(inspected), len(samples), "")
    finally:
        pool.shutdown(cancel_futures=True)  # when stopped, not after all photos
    label_set = next(iter(samples.values())).label_set
    counts = {split: _count(listing, inspected) for split, listing in listings.items()}
    findings = [
        *_in_files(listings, inspected),
        *_in_lists(listings),
        *_same_photos(listings, inspected),
        *_left_out(listings),
        *_rare_classes(root, next(iter(samples.values())), counts),
    ]
    findings.sort(key=lambda finding: list(KINDS).index(finding.kind))
    return DataReport(root, reader, names_file(root, names), label_set, counts, tuple(findings))


_Key = tuple[Path, Path]


def _key(sample: Sample) -> _Key:
    return sample.photo, sample.mask


def _count(listing: Listing, inspected: Mapping[_Key, Inspection]) -> SplitCounts:
    pixels, shown = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for sample in listing.samples:
        for label, count in inspected[_key(sample)].pixels.items():
            pixels[label] += count
            shown[label] += 1
    sizes = (inspected[_key(sample)].size for sample in listing.samples)
    return SplitCounts(len(listing.samples), pixels, shown, tuple(size for size in sizes if size is not None))


def _in_files(listings: Mapping[str, Listing], inspected: Mapping[_Key, Inspection]) -> Iterator[Finding]:
    """What was found in photos and masks, each told once, the masks without a photo, and what the layout remarks."""
    told: set[_Key] = set()
    for split, listing in listings.items():
        for sample in listing.samples:
            if _key(sample) not in told:
                told.add(_key(sample))
                for kind, file, detail in inspected[_key(sample)].facts:
                    yield Finding(kind, split, sample.name, file, detail)
        for stray in listing.strays:
            yield Finding("missing", split, stray.stem, stray, "a mask without a photo")
        for kind, name, detail in listing.remarks:
            yield Finding(kind, split, name, listing.source, detail)


def _in_lists(listings: Mapping[str, Listing]) -> Iterator[Finding]:
    for split, listing in listings.items():
        for name, count in Counter(sample.name for sample in listing.samples).items():
            if count > 1:
                yield Finding("repeated", split, name, listing.source, f"comes {count} times")


def _left_out(listings: Mapping[str, Listing]) -> Iterator[Finding]:
    """The files beside photos that are not taken for any, where a folder's photos are taken all."""
    folders = {listing.source: split for split, listing in listings.items() if is_folder(listing.source)}
    for folder, split in folders.items():
        for line in not_taken((file.name for file in folder.iterdir() if is_file(file)), PHOTO_SUFFIXES):
            yield Finding("left", split, "", folder, line)


def _same_photos(listings: Mapping[str, Listing], inspected: Mapping[_Key, Inspection]) -> Iterator[Finding]:
    """Photos with the same bytes: under several names, or both in training and held out."""
    uses: dict[str, list[tuple[str, Sample]]] = defaultdict(list)  # hash → splits and samples
    for split, listing in listings.items():
        for sample in listing.samples:
            if (sha256 := inspected[_key(sample)].sha256) is not None:
                uses[sha256].append((split, sample))
    for same in uses.values():
        (split, first), photos = same[0], dict.fromkeys(sample.photo for _, sample in same)
        training = next((use for use in same if _is_training(use[0])), None)
        held_out = next((use for use in same if use[0].startswith(("val", "test"))), None)
        if training and held_out:
            (split, first), (other, second) = training, held_out
            yield Finding("leak", split, first.name, first.photo, f"in {split}, and as {second.photo.name} in {other}")
        elif len(photos) > 1:
            others = ", ".join(photo.name for photo in photos if photo != first.photo)
            yield Finding("duplicate", split, first.name, first.photo, f"the same as {others}")


def _is_training(split: str) -> bool:
    return split.startswith("train") and not split.startswith("trainval")


def _rare_classes(root: Path, sample: Sample, counts: Mapping[str, SplitCounts]) -> Iterator[Finding]:
    """Classes that a split never shows, and splits that show only one, as masks of 0 and 255 seem to."""
    label_set = sample.label_set
    void = [value for value, label in enumerate(sample.relabel or range(256)) if label == label_set.void]
    stored = ", ".join(map(str, void[:3])) + (", …" if len(void) > 3 else "")
    for split, count in counts.items():
        absent = [name for label, name in enumerate(label_set.names) if not count.pixels[label]]
        if len(absent) == len(label_set) - 1 > 0 and count.pixels[label_set.void]:
            only = int(count.pixels[: len(label_set)].argmax())
            yield Finding("single", split, "", root, f"only {label_set.names[only]!r} and void, {stored}")
        if absent:
            yield Finding("absent", split, "", root, ", ".join(absent))
