"""Another model's scores in, sharper labels out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings, Depth, refine
from deeplab.errors import InputError
from deeplab.images import Photo, read_image
from deeplab.labels import LabelSet
from deeplab.refinement.probabilities import to_probabilities, undecided_pixels
from deeplab.refinement.understanding import Understanding, understand
from deeplab.scores import likeliest


@dataclass(frozen=True, eq=False)
class Refinement:
    """What the CRF made of scores.

    Attributes:
        labels: (H, W) of the smallest unsigned dtype that holds them; the most probable label of each pixel.
        probabilities: (L, H, W) float32, 0–1, summing to 1; plane i is that of label `understanding.labels[i]`.
        before: (H, W), like `labels`, by the scores alone.
        undecided: (H, W) bool, where the scores had no opinion: void in a label map. `before` means nothing there.
        understanding: what the scores were taken for.
        label_set: names and colours of the labels, if they were given.
        image: (H, W, 3) uint8, the upright RGB photo.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    probabilities: NDArray[np.float32]
    before: NDArray[np.unsignedinteger[Any]]
    undecided: NDArray[np.bool_]
    understanding: Understanding
    label_set: LabelSet | None
    image: NDArray[np.uint8]

    @cached_property
    def changed(self) -> float:
        """The share of all pixels (0–1) that had a label and now have another."""
        return float(((self.labels != self.before) & ~self.undecided).mean())

    @cached_property
    def filled(self) -> float:
        """The share of all pixels (0–1) that had no label."""
        return float(self.undecided.mean())

    def shares(self) -> dict[int, tuple[float, float]]:
        """Return each label's share of the pixels (0–1) before and after, the largest after first."""
        after, before = (
            [float((labels == label).mean()) for label in self.understanding.labels]
            for labels in (self.labels, np.where(self.undecided, -1, self.before.astype(np.int64)))
        )
        found = zip(self.understanding.labels, before, after, strict=True)
        return {label: (b, a) for label, b, a in sorted(found, key=lambda item: (-item[2], -item[1])) if a or b}


def refine_scores(
    image: Photo,
    scores: NDArray[Any],
    crf: CRFSettings = CRFSettings(),  # noqa: B008 (frozen)
    *,
    label_set: LabelSet | None = None,
    kind: str | None = None,
    axes: str | None = None,
    align: str | None = None,
    stretch: bool = False,
    void: int | None = None,
    confidence: float = 0.7,
    depth: Depth | None = None,
    threads: int | None = None,
    tell: Callable[[Understanding], None] | None = None,
) -> Refinement:
    """Refine any model's scores, or its label map, by the fully connected CRF of the photo.

    Args:
        image: the photo, as `deeplab.images.read_image` takes it.
        scores: as `deeplab.refinement.understand` takes it, which also explains the options.
        crf: the CRF's parameters, in pixels of the photo, and how it runs.
        label_set: names and colours for the result; the scores are checked against it.
        kind: see `understand`.
        axes: see `understand`.
        align: see `understand`.
        stretch: see `understand`.
        void: see `understand`.
        confidence: how far a label map is trusted; see `to_probabilities`.
        depth: of the photo's size; one more coordinate of the CRF's bilateral kernel.
        threads: None for every core this process may use.
        tell: takes what the scores are taken for, before the CRF runs.

    Raises:
        ImageError: the photo cannot be read.
        InputError: the scores cannot be understood or do not fit the photo, or an option is unusable.
        MemoryError: the probabilities, four bytes for each label and pixel, do not fit.
    """
    photo = read_image(image)
    understanding = understand(
        scores, (photo.shape[0], photo.shape[1]), kind=kind, axes=axes, align=align, stretch=stretch, void=void
    )
    if label_set is not None:
        _check_labels(understanding, label_set)
    given = to_probabilities(scores, understanding, confidence=confidence)
    if tell is not None:
        tell(understanding)
    refined = given
    if len(given) > 1:  # a map of one label alone leaves nothing to decide
        refined = refine(photo, given, crf, depth=depth, threads=threads)
    names = np.array(understanding.labels, dtype=np.min_scalar_type(understanding.labels[-1]))
    return Refinement(
        labels=names[likeliest(refined)[0]],
        probabilities=refined,
        before=names[likeliest(given)[0]],
        undecided=undecided_pixels(scores, understanding),
        understanding=understanding,
        label_set=label_set,
        image=photo,
    )


def _check_labels(understanding: Understanding, label_set: LabelSet) -> None:
    """Raise unless every label has a name, and every name a plane where there are planes for labels."""
    most, names = understanding.labels[-1], len(label_set)
    if most >= names:
        raise InputError(
            f"the scores have label {most}, but label set {label_set.name!r} ends at {names - 1}; give another, or, if "
            f"{most} means no opinion in a label map, --void {most} (void={most})"
        )
    if understanding.kind != "labels" and most + 1 < names:
        raise InputError(
            f"the scores are of {most + 1} labels, but label set {label_set.name!r} has {names}; give one that fits"
        )
