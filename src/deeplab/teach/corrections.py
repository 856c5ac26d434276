"""One photo segmented by what a network saw in it and by what a user marked: marks hold, the CRF finds the edges."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFParams, CRFSettings, refine
from deeplab.errors import InputError
from deeplab.formats.regions import components_of
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.segmentation import Segmentation
from deeplab.teach.held import hold
from deeplab.teach.marks import Mark, checked, draw
from deeplab.teach.teacher import Teacher

Groups = Sequence[Sequence[int]]
"""For each label of one's own the labels of a model that it is made of; none where the model knows nothing like it."""

_LEAST_SHARE = 0.1  # of a label's marks that the model must give to a class to see it there


def regrouped(look: Look, label_set: LabelSet, groups: Groups) -> NDArray[np.float32]:
    """Return a look's probabilities with a model's labels put together, (L, H, W) float32 for L labels of one's own."""
    seen = look.probabilities()
    merged = np.zeros((len(label_set), *seen.shape[1:]), np.float32)
    for label, group in enumerate(groups):
        merged[label] = seen[list(group)].sum(axis=0)
    return merged


def corrected(
    look: Look, marks: Iterable[Any], label_set: LabelSet, groups: Groups, model: str | os.PathLike[str] | None = None
) -> tuple[Segmentation, NDArray[np.uint8]]:
    """Segment a photo with a user's marks held fixed: the CRF may not change them, and all other pixels hear them.

    Where the model sees most of a label's marks otherwise, or knows no such label, the label is taken for what the
    model sees under its marks. Where that tells it from nothing, being the background or what lies under other marks,
    too, the marks teach: see `Teacher`.

    Args:
        look: the network's look at the photo.
        marks: strokes, boxes and masks, each as `Teacher.mark` takes it.
        label_set: the labels of one's own; its background, label 0, stands for all else.
        groups: what each of them is made of, the background's being all that is left.
        model: whose trunk teaches; see `Teacher`.

    Returns:
        The segmented photo, and the label map that the marks make, (H, W) uint8, void where nothing is marked.

    Raises:
        InputError: a mark is unusable, or teaching needs marks of another class, too.
        ModelError: the model has no trunk to teach by.
    """
    size, small = look.photo.shape[:2], look.for_crf()
    given: tuple[Mark, ...] = tuple(one for mark in marks for one in checked(mark, size, label_set))
    drawn = draw(given, size, label_set, size)
    known, crf = _agreeing(groups, drawn, look), _for_any_labels(look.info.crf)
    if known is None:
        teacher = Teacher(label_set, model, crf=crf, threads=look.threads)
        teacher.replace(look.photo, given)
        return _taught(teacher, look.photo), drawn
    probabilities = regrouped(small, label_set, known)
    held = draw(given, size, label_set, small.photo.shape[:2])
    fixed = held != label_set.void
    probabilities[:, fixed] = held[fixed] == np.arange(len(label_set))[:, None]
    beliefs = refine(small.photo, probabilities, crf.scaled(small.enlargement), fixed=fixed, threads=look.threads)
    result = replace(look, info=replace(look.info, label_set=label_set, crf=crf)).segmentation(beliefs)
    hold(result, drawn)
    return result, drawn


def touched_parts(mask: NDArray[np.bool_], marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return those connected parts of a mask (H, W) that marks (H, W) touch: of two cats the one that was marked."""
    parts = components_of(mask)
    touched = np.unique(parts[marked & mask])
    return np.isin(parts, touched[touched > 0])


def _for_any_labels(crf: CRFSettings) -> CRFSettings:
    """Return a CRF whose weights are those of a model's labels, label by label, as one for labels of one's own."""
    if crf.params.labels is None:
        return crf
    return replace(crf, params=CRFParams.from_dict(crf.params.numbers()))


def _agreeing(groups: Groups, drawn: NDArray[np.uint8], look: Look) -> Groups | None:
    """Return groups by which the model sees most of what is marked as it is marked; None where there are none.

    A label that it sees otherwise gets what it sees under that label's marks, and under no other's.
    """
    seen, count = look.labels(), len(look.info.label_set)
    under = [np.bincount(seen[drawn == label], minlength=count) for label in range(len(groups))]
    marked = [label for label, classes in enumerate(under) if classes.any()]
    if _agree(groups, under, marked):
        return groups
    share = {label: under[label] >= _LEAST_SHARE * under[label].sum() for label in marked}
    own = [set(group) for group in groups]
    for label in marked:
        if _agree(groups, under, [label]):
            continue
        alone = share[label] & (sum(share.values()) == 1)
        found = set(np.flatnonzero(alone).tolist()) - ({look.info.label_set.background} if label else set())
        own = [found if other == label else group - found for other, group in enumerate(own)]
    own[0] |= set(range(count)) - set().union(*own)
    changed = [sorted(group) for group in own]
    return changed if _agree(changed, under, marked) else None


def _agree(groups: Groups, under: Sequence[NDArray[np.intp]], marked: Iterable[int]) -> bool:
    return all(2 * under[label][list(groups[label])].sum() > under[label].sum() for label in marked)


def _taught(teacher: Teacher, photo: NDArray[np.uint8]) -> Segmentation:
    try:
        return teacher.segment(photo)
    except InputError as error:
        raise InputError(
            f"the model does not tell what is marked from what lies around it, and one kind of mark alone teaches "
            f"nothing ({error})"
        ) from None
