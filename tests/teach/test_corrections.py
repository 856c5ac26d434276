"""Marks on what a network saw: a made-up look in place of a network's, and the shipped trunk where marks teach."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.crf import CRFParams, CRFSettings, refine
from deeplab.errors import InputError
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.models import ModelInfo
from deeplab.preprocessing import PAPER
from deeplab.teach import Stroke
from deeplab.teach.corrections import corrected, regrouped, touched_parts

SIZE = 57, 81
MODEL = LabelSet("model", ("background", "cat", "dog", "cow"))
OWN = LabelSet("own", ("background", "pet", "other"))
LEFT, RIGHT = Stroke("pet", [(10, 20), (10, 40)], 5), Stroke("other", [(70, 20), (70, 40)], 5)


def look_of(left: int, right: int, crf: CRFSettings = CRFSettings()) -> Look:  # noqa: B008 (frozen)
    """A photo of two halves, and a network that is fairly sure of a label for each."""
    photo = np.zeros((*SIZE, 3), np.uint8)
    photo[:, :40], photo[:, 40:] = (40, 80, 200), (230, 140, 30)
    scores = np.zeros((4, 8, 11), np.float32)
    scores[left, :, :5] = scores[right, :, 6:] = 2
    return Look(photo, scores, SIZE, ModelInfo("made up", "largefov", MODEL, PAPER, crf=crf))


def halves(labels: NDArray[Any]) -> tuple[set[int], set[int]]:
    return set(np.unique(labels[:, :36]).tolist()), set(np.unique(labels[:, 45:]).tolist())


def test_labels_of_ones_own_are_sums_of_the_models() -> None:
    look = look_of(1, 2)
    merged = regrouped(look, OWN, ((0,), (1, 2), (3,)))
    seen = look.probabilities()
    np.testing.assert_allclose(merged, [seen[0], seen[1] + seen[2], seen[3]], rtol=1e-6)


def test_marks_that_the_network_agrees_with_are_held_in_its_crf() -> None:
    look, groups = look_of(1, 0), ((0, 3), (1, 2), ())
    result, drawn = corrected(look, [LEFT], OWN, groups)
    probabilities = regrouped(look, OWN, groups)
    fixed = drawn == 1
    probabilities[:, fixed] = np.array([0, 1, 0])[:, None]
    expected = refine(look.photo, probabilities, fixed=fixed)
    np.testing.assert_array_equal(result.labels, expected.argmax(0))
    assert (result.confidence()[fixed] == 1).all()
    assert result.label_set == OWN


@pytest.mark.parametrize("groups", [((0, 1, 3), (2,), ()), ((0, 1, 2, 3), (), ())])
def test_a_label_is_what_the_network_sees_under_its_marks(groups: Any) -> None:
    """It calls the pet a cat, which is no pet of the set-up, or there is none."""
    result, _ = corrected(look_of(1, 0), [LEFT], OWN, groups)
    assert halves(result.labels) == ({1}, {0})


def test_classes_under_two_labels_marks_are_exchanged() -> None:
    result, _ = corrected(look_of(2, 1), [LEFT, RIGHT], OWN, ((0, 3), (1,), (2,)))
    assert halves(result.labels) == ({1}, {2})


def test_marks_teach_where_the_network_sees_one_thing_everywhere() -> None:
    result, _ = corrected(look_of(1, 1), [LEFT, RIGHT], OWN, ((0, 3), (1,), (2,)), "voc-largefov")
    assert halves(result.labels) == ({1}, {2})
    with pytest.raises(InputError, match="one kind of mark alone teaches nothing"):
        corrected(look_of(0, 0), [LEFT], OWN, ((0, 3), (1,), (2,)), "voc-largefov")


def test_a_crf_of_weights_label_by_label_does_for_other_labels() -> None:
    each = CRFSettings(CRFParams(bilateral_weight=(4, 5, 6, 5), compatibility=1 - np.eye(4)))
    result, _ = corrected(look_of(1, 0, each), [LEFT], OWN, ((0, 3), (1, 2), ()))
    expected, _ = corrected(look_of(1, 0), [LEFT], OWN, ((0, 3), (1, 2), ()))
    np.testing.assert_array_equal(result.labels, expected.labels)


def test_a_large_photo_is_marked_at_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    look = look_of(1, 0)
    large = replace(look, photo=look.photo.repeat(3, axis=0).repeat(3, axis=1))
    monkeypatch.setattr("deeplab.look.MAX_CRF_PIXELS", SIZE[0] * SIZE[1])
    mark = Stroke("other", [(220, 60), (220, 120)], 9)
    result, drawn = corrected(large, [mark], OWN, ((3,), (1, 2), (0,)))
    assert result.labels.shape == drawn.shape == (171, 243)
    assert (result.labels[drawn == 2] == 2).all()


def test_parts_that_no_mark_touches_are_left_out() -> None:
    mask, marked = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    mask[1:3, 1:3] = mask[5:8, 5:8] = True
    marked[6, 6] = marked[0, 8] = True
    found = touched_parts(mask, marked)
    assert found[5:8, 5:8].all()
    assert found.sum() == 9
    assert not touched_parts(mask, np.zeros_like(mask)).any()


def test_a_mark_outside_the_photo_or_of_no_class() -> None:
    outside, unknown = Stroke("pet", [(500, 5)]), Stroke("pets", [(5, 5)])
    for mark, message in ((outside, "outside the photo"), (unknown, "unknown class")):
        with pytest.raises(InputError, match=message):
            corrected(look_of(1, 0), [mark], OWN, ((0,), (1,), (2,)))
