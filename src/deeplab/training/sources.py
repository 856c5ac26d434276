"""The photos that a recipe names: read, checked, counted and told from others, before any training begins."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample
from deeplab.errors import DataError, InputError
from deeplab.files import is_file
from deeplab.progress import Say, Show, duration
from deeplab.training.balance import class_counts, median_frequency_weights
from deeplab.training.recipe import Recipe, Source


def read_sources(recipe: Recipe, data: Path, say: Say) -> tuple[list[Sample], list[Sample]]:
    """List a recipe's photos, those to learn from and those held out for validation, and say what is lost of them.

    Raises:
        DataError: photos, masks or lists are missing, sources differ in their labels, or photos are in both parts
            though the recipe does not say `Recipe.shared_photos`.
    """
    samples = [sample for source in recipe.data for sample in _read(source, data, say)]
    held_out = _read(recipe.validation, data, say) if recipe.validation else []
    if any(sample.label_set != samples[0].label_set for sample in samples + held_out):
        raise DataError("all sources of a recipe must share one label set; train on each alone, or map their labels")
    learnt = {os.path.realpath(sample.photo) for sample in samples}
    shared = [sample for sample in held_out if os.path.realpath(sample.photo) in learnt]
    if shared and not recipe.shared_photos:
        first = ", ".join(str(sample.photo) for sample in shared[:3])
        raise DataError(
            f"{len(shared)} of the {len(held_out)} validation photos are training photos too ({first}"
            f"{' …' if len(shared) > 3 else ''}); take them out of one list, or say shared_photos: true in the recipe"
        )
    return samples, held_out


def _read(source: Source, data: Path, say: Say) -> list[Sample]:
    names = data / source.names if source.names else None
    where = data / source.path
    samples = read_samples(source.reader, where, source.split, names=names, crowds=source.crowds, tell=say)
    return list(samples[: source.photos or None])


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

    counts = class_counts(samples, recipe.skip_bad_photos, report)
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
