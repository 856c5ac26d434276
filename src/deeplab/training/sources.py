"""The photos that a recipe names: read, checked, counted and told from others, before any training begins."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample
from deeplab.errors import DataError, InputError
from deeplab.files import is_file
from deeplab.progress import Say, Show, duration, silent
from deeplab.training.balance import class_counts, median_frequency_weights
from deeplab.training.own_data import check_apart
from deeplab.training.recipe import Recipe
from deeplab.training.source import Source
from deeplab.training.weak.samples import WeakSample, read_weak
from deeplab.training.weak.settings import ESTIMATED, STROKES


def read_sources(
    recipe: Recipe, data: Path, say: Say, show: Show = silent
) -> tuple[list[Sample], list[Sample], tuple[int, ...]]:
    """List a recipe's photos, those to learn from and those held out for validation, and say what is lost of them.

    Returns:
        Both, and how many photos to learn from each of the sources has, in whose order they come.

    Raises:
        DataError: photos, masks or lists are missing, sources differ in their labels, or photos are in both parts
            though the recipe does not say `Recipe.shared_photos`.
    """
    parts = [_read(source, data, say, show) for source in recipe.data]
    samples = [sample for part in parts for sample in part]
    held_out = _read(recipe.validation, data, say, show) if recipe.validation else []
    if any(sample.label_set != samples[0].label_set for sample in samples + held_out):
        raise DataError("all sources of a recipe must share one label set; train on each alone, or map their labels")
    if not recipe.shared_photos:
        check_apart(samples, held_out, ", or say shared_photos: true in the recipe")
    return samples, held_out, tuple(map(len, parts))


def _read(source: Source, data: Path, say: Say, show: Show) -> list[Sample]:
    names = data / source.names if source.names else None
    where = data / source.path
    if source.labels in ("boxes", "image"):
        weak = read_weak(where, source.split, source.boxes, source.way, reader=source.reader, names=names, show=show)
        samples: Sequence[Sample] = weak
    else:
        samples = read_samples(source.reader, where, source.split, names=names, crowds=source.crowds, tell=say)
    count = min(source.photos or len(samples), len(samples))
    chosen = [samples[i * len(samples) // count if source.evenly else i] for i in range(count)]
    if source.labels == STROKES:
        return [WeakSample(**{entry.name: getattr(each, entry.name) for entry in fields(each)}) for each in chosen]
    return chosen


def photos_in_short(samples: Sequence[Sample]) -> dict[str, Any]:
    """How many photos there are, and a hash of their names, order and sizes and their masks', wherever they lie."""
    lines = (f"{sample.name} {_size(sample.photo)} {_size(sample.mask)}" for sample in samples)
    return {"photos": len(samples), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


def _size(path: Path) -> int:
    return path.stat().st_size if is_file(path) else -1


def count_classes(recipe: Recipe, samples: Sequence[Sample], say: Say, show: Show) -> NDArray[np.int64]:
    """Count every photo's pixels by class, (N, L), and name the classes that no photo shows.

    Raises:
        DataError: a mask cannot be read and the recipe leaves none out, or none has a labelled pixel though the recipe
            goes by the counts.
    """
    start = time.monotonic()

    def report(done: int, count: int) -> None:
        show("counting classes", done, count, duration(time.monotonic() - start))

    estimated = [isinstance(sample, WeakSample) and sample.method in ESTIMATED for sample in samples]
    counts = np.zeros((len(samples), len(samples[0].label_set)), np.int64)
    if known := [sample for sample, guessed in zip(samples, estimated, strict=True) if not guessed]:
        counts[~np.array(estimated)] = class_counts(known, recipe.skip_bad_photos, report)
    for own, sample, guessed in zip(counts, samples, estimated, strict=True):
        if guessed and isinstance(sample, WeakSample):
            own[sample.present] = 1  # what a photo shows is known, and no more
    if recipe.goes_by_counts and not counts.any():
        raise DataError("no training photo has a labelled pixel; check the data with `deeplab check-data`")
    names = samples[0].label_set.names
    if never := [name for name, pixels in zip(names, counts.sum(axis=0), strict=True) if not pixels]:
        say(f"no training photo shows {', '.join(never)}")
    return counts


def class_weights(recipe: Recipe, classes: int, counts: NDArray[np.int64] | None) -> NDArray[np.float32] | None:
    """The weights (L,) of classes in the loss; None where all count alike.

    Args:
        recipe: says which.
        classes: L.
        counts: as `count_classes` gives them, where the recipe goes by them.

    Raises:
        InputError: the recipe gives weights for another number of classes.
    """
    if recipe.class_weights == "even":
        return None
    if recipe.class_weights == "median_frequency":
        assert counts is not None
        return median_frequency_weights(counts)
    if len(recipe.class_weights) != classes:
        raise InputError(f"class_weights has {len(recipe.class_weights)} numbers, but there are {classes} classes")
    return np.array(recipe.class_weights, dtype=np.float32)
