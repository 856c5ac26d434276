"""Unary energies, -log of each label's probability, from what other programs give: the first argument of `DenseCRF`."""

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_count, check_number
from deeplab.crf.checks import as_array, check_energies, check_label_count, check_probabilities, check_real
from deeplab.errors import InputError

_SMALLEST = np.finfo(np.float32).tiny  # 1.2e-38


def unary_from_probabilities(
    probabilities: npt.ArrayLike, *, least: float = float(_SMALLEST)
) -> npt.NDArray[np.float32]:
    """Return -log of `probabilities` (L, ...), 0-1, summing to one over the labels within 2 %; float32 of that shape.

    `least` (above 0, at most 1) is what smaller ones count as: it bounds how sure the unary can be of a label.

    Raises:
        InputError: the probabilities or `least` have the wrong type, shape or values.
    """
    given = as_array(probabilities, "probabilities")
    floor = max(check_number(least, "least", above_zero=True, most=1.0), float(_SMALLEST))
    unary: npt.NDArray[np.float32] = -np.log(np.maximum(check_probabilities(given), np.float32(floor)))
    return unary.reshape(given.shape)


def unary_from_scores(scores: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return -log softmax of `scores` (logits) (L, ...), any real numbers; float32 of that shape.

    Raises:
        InputError: the scores are not real, not finite, beyond 1e9, or have no label or no point.
    """
    given = as_array(scores, "scores")
    check_real(given, "scores")
    if given.ndim < 2 or given.size == 0:
        raise InputError(f"scores have shape {given.shape}; expected (labels, ...), at least one label and one point")
    check_label_count(len(given), "scores", "for the logits x of a foreground, pass np.stack([np.zeros_like(x), x])")
    with np.errstate(over="ignore"):
        logits = given.astype(np.float32)
    check_energies(logits, "scores")
    logits -= logits.max(axis=0)
    unary: npt.NDArray[np.float32] = np.log(np.exp(logits).sum(axis=0)) - logits
    return unary


def softmax_in_place(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Turn scores (L, ...) into probabilities over the L labels, which overwrite the scores and are returned."""
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)
    return scores


def unary_from_labels(
    labels: npt.ArrayLike, count: int, *, confidence: float, unknown: int | None = None
) -> npt.NDArray[np.float32]:
    """Return the unary of hard labels: each has the probability `confidence`, the others share the rest.

    Args:
        labels: integers (...), 0 … count-1 or `unknown`, one for each point.
        count: L, the number of labels.
        confidence: 0-1, both excluded: how likely a given label is right.
        unknown: the value of points that know nothing, where all labels are as likely (255 in VOC's masks). None: none.

    Returns:
        (count, ...) float32.

    Raises:
        InputError: an argument has the wrong type or is out of range.
    """
    array = as_array(labels, "labels")
    count = check_count(count, 1, "count")
    if not 0 < check_number(confidence, "confidence", most=1.0) < 1:
        raise InputError(f"confidence is {confidence!r}; expected a number above 0 and below 1")
    if not np.issubdtype(array.dtype, np.integer) or array.size == 0:
        raise InputError(f"labels have dtype {array.dtype} and shape {array.shape}; expected integers, at least one")
    known = np.ones(array.shape, bool) if unknown is None else array != unknown
    if strange := np.setdiff1d(array[known], np.arange(count)).tolist():
        hint = "" if unknown is not None else "; pass unknown= for the value of points without a label"
        raise InputError(f"labels hold {strange[:5]}; expected 0-{count - 1} for {count} labels{hint}")
    if count == 1:
        return np.zeros((1, *array.shape), np.float32)
    unary = np.full((count, *array.shape), -np.log((1 - confidence) / (count - 1)), np.float32)
    own = array == np.arange(count).reshape(-1, *[1] * array.ndim)
    unary[own] = -np.log(confidence)
    unary[:, ~known] = np.log(count)
    return unary
