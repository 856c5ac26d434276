"""The CRF with marks held, against `refine`; and how loud they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings, refine
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.models import ModelInfo
from deeplab.preprocessing import PAPER
from deeplab.teach.held import HeldCRF

SIZE = 48, 64
INFO = ModelInfo("own", "largefov", LabelSet("own", ("ground", "cat", "dog")), PAPER)
CRF = CRFSettings()


def look() -> Look:
    random = np.random.default_rng(0)
    photo = random.integers(60, 80, (*SIZE, 3), np.uint8)
    photo[10:40, 20:50] += 100
    scores = random.normal(0, 0.3, (3, 7, 9)).astype(np.float32)
    scores[0] += 3
    return Look(photo, scores, SIZE, INFO, 1)


def line(size: tuple[int, int]) -> NDArray[np.uint8]:
    labels = np.full(size, 255, np.uint8)
    labels[24:27, 22:48] = 1
    labels[3:6, 5:60] = 0
    return labels


def test_held_alone_it_is_what_refine_does_with_fixed() -> None:
    seen, drawn = look(), line(SIZE)
    fixed = drawn != 255
    probabilities = seen.probabilities()
    probabilities[:, fixed] = drawn[fixed] == np.arange(3)[:, None]
    expected = refine(seen.photo, probabilities, CRF, fixed=fixed, threads=1)
    for held in (HeldCRF(1), again := HeldCRF(1), again):
        found = held.segment(seen, "a", line, CRF, loudness=0)
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


def test_the_louder_the_farther_marks_are_heard_and_not_across_edges() -> None:
    seen, held = look(), HeldCRF(1)
    inside = np.zeros(SIZE, bool)
    inside[10:40, 20:50] = True
    shares = []
    for loudness in (0.0, 30.0, 100.0, 1e6):
        found = held.segment(seen, "a", line, CRF, loudness)
        assert np.isfinite(found.probabilities).all()
        assert (found.labels[24:27, 22:48] == 1).all()
        assert (found.labels[~inside] == 1).mean() < 0.02
        shares.append((found.labels[inside] == 1).mean())
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[2] > 0.95


def test_without_marks_or_crf_nothing_is_held() -> None:
    seen, held = look(), HeldCRF(1)
    nothing = np.full(SIZE, 255, np.uint8)
    for crf in (None, CRF):
        found = held.segment(seen, "a", lambda _: nothing, crf, loudness=100)
        expected = seen.refined(CRF) if crf else seen.unrefined()
        np.testing.assert_array_equal(found.labels, expected.labels)
