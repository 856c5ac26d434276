"""A linear classifier of features, fitted to a few marked places in a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_DECAY = 3e-5  # of squared weights, over a mean loss
_STEPS = 60
_MEMORY = 8  # of past steps
_STILL = 1e-4  # of the gradient's length where all weights are zero: then it is done
_NEVER = np.float32(-100)  # the bias of a class that was not marked


def fit(
    rows: Array,
    labels: NDArray[np.intp],
    count: int,
    mean: Array,
    std: Array,
    start: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """Fit multinomial logistic regression with a small penalty on the weights.

    All classes count alike, however much of each is marked: a long stroke does not outvote a dot. The same input gives
    the same result.

    Args:
        rows: (N, D) float32 features.
        labels: (N,) 0 … count-1, at least two different ones.
        count: L.
        mean: (D,) of the features, to be taken off.
        std: (D,) their standard deviation, above 0, to be divided by.
        start: what a fit to nearly the same places returned, for as many classes: a few steps lead on from there.

    Returns:
        weight (L, D) and bias (L,) float32 of the features themselves. A class that was not marked never wins.
    """
    found, target = np.unique(labels, return_inverse=True)
    scale = np.float32(1) / (std * np.float32(np.sqrt(rows.shape[1])))
    inputs = np.concatenate([(rows - mean) * scale, np.ones((len(rows), 1), np.float32)], axis=1)
    share = 1 / (len(found) * np.bincount(target).astype(np.float32))[target]
    one_hot = np.eye(len(found), dtype=np.float32)[target]

    def loss(weights: Array) -> tuple[float, Array]:
        scores = inputs @ weights
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        likelihood, belief = scores[np.arange(len(target)), target], np.exp(scores)
        decay = np.float32(_DECAY) * weights
        decay[-1] = 0  # the bias goes free
        gradient = inputs.T @ ((belief - one_hot) * share[:, None]) + decay
        return float(-(share * likelihood).sum() + (decay * weights).sum() / 2), gradient

    zeros = np.zeros((inputs.shape[1], len(found)), np.float32)
    least = _STILL * _length(loss(zeros)[1])
    weights = _minimum(loss, zeros if start is None else _scaled(*start, found, mean, scale), least)
    weight, bias = np.zeros((count, rows.shape[1]), np.float32), np.full(count, _NEVER, np.float32)
    weight[found] = (weights[:-1] * scale[:, None]).T
    bias[found] = weights[-1] - weight[found] @ mean
    return weight, bias


def _scaled(weight: Array, bias: Array, found: NDArray[np.intp], mean: Array, scale: Array) -> Array:
    """Return what the classes' scores are of the scaled inputs and the one beside them, (D + 1, classes)."""
    known = bias[found] != _NEVER
    free = np.where(known, bias[found] + weight[found] @ mean, np.float32(0))
    return np.concatenate([weight[found].T / scale[:, None], free[None]], dtype=np.float32)


def _minimum(loss: Callable[[Array], tuple[float, Array]], start: Array, least: float) -> Array:
    """Return where a smooth convex function is least, by L-BFGS (Nocedal & Wright 2006, algorithm 7.5).

    It is done where the gradient's length is `least`, or after so many steps.
    """
    at = start
    value, gradient = loss(at)
    past: list[tuple[Array, Array]] = []
    for _ in range(_STEPS):
        if _length(gradient) <= least:
            break
        direction = -_inverse_hessian_times(gradient, past)
        slope, stride = _dot(direction, gradient), 1.0
        while (new := loss(at + np.float32(stride) * direction))[0] > value + 1e-4 * stride * slope and stride > 1e-6:
            stride /= 2
        step, change = np.float32(stride) * direction, new[1] - gradient
        if _dot(step, change) > 1e-12 * _dot(change, change):
            past = [*past[-_MEMORY + 1 :], (step, change)]
        at = at + step
        value, gradient = new
    return at


def _inverse_hessian_times(gradient: Array, past: Sequence[tuple[Array, Array]]) -> Array:
    result, used = gradient.copy(), []
    for step, change in reversed(past):
        factor = _dot(step, result) / _dot(step, change)
        used.append(factor)
        result -= np.float32(factor) * change
    if past:
        step, change = past[-1]
        result *= np.float32(_dot(step, change) / _dot(change, change))
    for (step, change), factor in zip(past, reversed(used), strict=True):
        result += np.float32(factor - _dot(change, result) / _dot(step, change)) * step
    return result


def _dot(one: Array, other: Array) -> float:
    return float(np.vdot(one, other))


def _length(vector: Array) -> float:
    return float(np.linalg.norm(vector))
