from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import Segmenter
from deeplab.crf import CRFParams, CRFSettings
from deeplab.errors import InputError, ModelError, OutputError
from deeplab.models.cards import card_of
from deeplab.runtime import ScoreNetwork
from deeplab.teach import Box, Stroke, Teacher
from deeplab.verify import verify_model

MakeTeacher = Callable[..., Teacher]
MakeScene = Callable[..., tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def strokes(mask: NDArray[np.uint8]) -> list[Stroke]:
    """One stroke in the middle of the disc, one along the photo's upper edge."""
    y, x = (float(places.mean()) for places in np.nonzero(mask))
    return [Stroke("disc", [(x - 6, y), (x + 6, y)], 3), Stroke("background", [(4, 4), (mask.shape[1] - 4, 4)], 3)]


def overlap(found: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    return float(((found == 1) & (mask == 1)).sum() / ((found == 1) | (mask == 1)).sum())


def test_two_strokes_find_the_thing_here_and_in_another_photo(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    teacher, (photo, mask), (other, other_mask) = make_teacher(), make_scene(), make_scene(seed=1)
    teacher.mark(photo, strokes(mask))
    assert overlap(teacher.segment(photo).labels, mask) > 0.95
    assert overlap(teacher.segment(other).labels, other_mask) > 0.9
    soft = teacher.segment(other)
    np.testing.assert_allclose(soft.probabilities.sum(0), 1, atol=1e-5)
    assert soft.label_set.names == ("background", "disc")


def test_a_box_needs_no_stroke_for_what_lies_around(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    teacher, (photo, mask), (other, other_mask) = make_teacher(), make_scene(), make_scene(seed=1)
    y, x = np.nonzero(mask)
    teacher.mark(photo, Box("disc", x.min() - 2, y.min() - 2, x.max() + 3, y.max() + 3))
    assert overlap(teacher.segment(photo).labels, mask) > 0.9
    assert overlap(teacher.segment(other).labels, other_mask) > 0.85


def test_a_mask_teaches_as_well(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    teacher, (photo, mask), (other, other_mask) = make_teacher(), make_scene(), make_scene(seed=1)
    teacher.mark(photo, mask)
    np.testing.assert_array_equal(teacher.segment(photo).labels, mask)
    assert overlap(teacher.segment(other).labels, other_mask) > 0.95


@pytest.mark.parametrize("crf", [True, False, CRFSettings(CRFParams(50, 50, 50))])
def test_marks_hold_even_where_they_are_wrong(make_teacher: MakeTeacher, make_scene: MakeScene, crf: Any) -> None:
    teacher, (photo, mask) = make_teacher(), make_scene()
    y, x = np.argwhere(mask).mean(axis=0)
    teacher.mark(photo, [*strokes(mask), Stroke("background", [(x, y)], 5)])
    result = teacher.segment(photo, crf)
    rows, columns = np.indices(mask.shape) + 0.5
    marked = np.hypot(rows - y, columns - x) < 2
    assert (result.labels[marked] == 0).all()
    assert (result.confidence()[marked] == 1).all()


def test_in_a_photo_larger_than_the_crf_takes_marks_hold_to_the_pixel(
    make_teacher: MakeTeacher, make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplab.look.MAX_CRF_PIXELS", 2000)
    teacher, (photo, mask) = make_teacher(), make_scene()
    labels = np.full(mask.shape, 255, np.uint8)
    labels[10:60:3, 5:90:4] = np.random.default_rng(0).integers(0, 2, labels[10:60:3, 5:90:4].shape)
    teacher.mark(photo, labels)
    found = teacher.segment(photo).labels
    np.testing.assert_array_equal(found[labels != 255], labels[labels != 255])


def test_the_same_marks_give_the_same_bits(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    results = []
    for order in (1, -1):
        teacher = make_teacher()
        photo, mask = make_scene()
        for stroke in strokes(mask)[::order]:
            teacher.mark(photo, stroke)
        results.append(teacher.segment(photo).probabilities)
        teacher.mark(photo, Stroke("disc", [(3, 3)]))
        teacher.undo()
        np.testing.assert_array_equal(teacher.segment(photo).probabilities, results[-1])
    np.testing.assert_array_equal(results[0], results[1])


def test_marks_are_undone_redone_changed_and_removed(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    teacher, (photo, mask) = make_teacher(), make_scene()
    first, second = strokes(mask)
    assert not teacher.undo()
    teacher.mark(photo, first)
    teacher.mark(photo, second)
    both = teacher.marks(photo)
    assert [mark.label for mark in both] == [1, 0]  # type: ignore[union-attr]
    assert teacher.undo()
    assert teacher.marks(photo) == both[:1]
    with pytest.raises(InputError, match="all marks are of 'disc'; mark something of another class, too"):
        teacher.segment(photo)
    assert teacher.redo()
    assert not teacher.redo()
    assert teacher.marks(photo) == both
    teacher.replace(photo, both[1:])
    assert teacher.marks(photo) == both[1:]
    teacher.replace(photo, [])
    assert teacher.marks(photo) == ()
    with pytest.raises(InputError, match="nothing is marked yet; mark something"):
        teacher.segment(photo)
    assert teacher.undo()
    assert teacher.undo()
    assert teacher.marks(photo) == both
    teacher.mark(photo, first)  # a new step ends what could be redone
    assert not teacher.redo()


def test_classes_are_renamed_and_joined_by_others(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    teacher, (photo, mask) = make_teacher(), make_scene()
    teacher.mark(photo, strokes(mask))
    before = teacher.segment(photo)
    teacher.rename(["ground", "plate"])
    renamed = teacher.segment(photo)
    np.testing.assert_array_equal(renamed.labels, before.labels)
    assert renamed.label_set.names == ("ground", "plate")
    teacher.rename(["ground", "plate", "fork"])
    assert set(np.unique(teacher.segment(photo).labels)) == {0, 1}
    teacher.mark(photo, Stroke("fork", [(5, 60)], 3))
    assert teacher.segment(photo).labels[60, 5] == 2
    with pytest.raises(InputError, match="there are 2 names for 3 classes"):
        teacher.rename(["ground", "plate"])


def test_a_photo_is_segmented_at_another_size(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    teacher, (photo, mask) = make_teacher(), make_scene()
    teacher.mark(photo, strokes(mask))
    large = photo.repeat(2, axis=0).repeat(2, axis=1)
    found = teacher.segment(photo, at=large)
    assert overlap(found.labels, mask.repeat(2, axis=0).repeat(2, axis=1)) > 0.9
    np.testing.assert_array_equal(found.image, large)


def test_what_is_unusable_leaves_everything_as_it_was(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    teacher, (photo, mask) = make_teacher(), make_scene()
    teacher.mark(photo, strokes(mask))
    before = teacher.marks(photo)
    with pytest.raises(InputError, match="lies outside the photo"):
        teacher.mark(photo, [Stroke("disc", [(5, 5)]), Stroke("disc", [(500, 5)])])
    teacher.mark(photo, [])
    assert teacher.marks(photo) == before
    assert teacher.undo()
    assert not teacher.undo()


def test_sixty_classes(make_teacher: MakeTeacher, make_scene: MakeScene) -> None:
    photo, mask = make_scene()
    teacher = make_teacher(["background", "disc", *(f"class {number}" for number in range(58))])
    teacher.mark(photo, [*strokes(mask), *(Stroke(label, [(label, 70)], 1) for label in range(2, 60))])
    found = teacher.segment(photo)
    assert found.probabilities.shape[0] == 60
    assert [int(found.labels[70, label]) for label in range(2, 60)] == list(range(2, 60))
    with pytest.raises(InputError, match="1 to 255 non-empty class names, got 300"):
        make_teacher([f"class {number}" for number in range(300)])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (8, 8), (1, 700)])
def test_photos_of_a_pixel_or_a_line(make_teacher: MakeTeacher, make_scene: MakeScene, size: tuple[int, int]) -> None:
    teacher, (photo, mask) = make_teacher(), make_scene()
    small = np.full((*size, 3), 200, np.uint8)
    teacher.mark(photo, strokes(mask))
    assert teacher.segment(small).labels.shape == size
    teacher.mark(small, Stroke("disc", [(0.5, 0.5)]))
    assert teacher.segment(small).labels[0, 0] == 1


def test_a_photo_that_was_replaced_is_not_taken_for_the_marked_one(
    make_teacher: MakeTeacher, make_scene: MakeScene, tmp_path: Path
) -> None:
    teacher, path, (photo, mask) = make_teacher(), tmp_path / "a photo\n<b>é.png", make_scene()
    Image.fromarray(photo).save(path)
    teacher.mark(path, strokes(mask))
    first = teacher.segment(path).labels
    Image.fromarray(photo).save(path, compress_level=1)  # the same pixels in another file are another photo
    for use in (teacher.segment, teacher.marks, lambda at: teacher.mark(at, strokes(mask))):
        with pytest.raises(InputError, match=r"was replaced since it was marked; mark it anew: Teacher\.replace"):
            use(path)
    teacher.replace(path, strokes(mask))
    np.testing.assert_array_equal(teacher.segment(path).labels, first)
    path.unlink()
    with pytest.raises(InputError, match="No such file; check the path"):
        teacher.segment(path)


def test_features_are_computed_once_for_a_photo_and_kept_for_later_teachers(
    make_teacher: MakeTeacher, make_scene: MakeScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, mask = make_scene()
    teacher = make_teacher()
    teacher.mark(photo, strokes(mask))
    expected = teacher.segment(photo).labels
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.stat().st_size < 10_000_000 * mask.size / 513**2
    with monkeypatch.context() as patched:
        patched.delattr("deeplab.teach.features.FeatureNetwork.features")
        later = make_teacher()
        later.mark(photo, strokes(mask))
        np.testing.assert_array_equal(later.segment(photo).labels, expected)
    for damage in (b"", kept.read_bytes()[:-9], b"nonsense"):
        kept.write_bytes(damage)
        again = make_teacher()
        again.mark(photo, strokes(mask))
        np.testing.assert_array_equal(again.segment(photo).labels, expected)


def test_features_that_vanish_are_missed_in_so_many_words(
    make_teacher: MakeTeacher, make_scene: MakeScene, tmp_path: Path
) -> None:
    teacher, (photo, mask) = make_teacher(), make_scene()
    teacher.mark(photo, strokes(mask))
    next((tmp_path / "cache").iterdir()).unlink()
    with pytest.raises(InputError, match="cache lacks a marked photo's features, or they are damaged"):
        teacher.segment(photo)


def test_features_go_with_the_teacher(make_scene: MakeScene) -> None:
    teacher, (photo, mask) = Teacher(["background", "disc"]), make_scene()
    teacher.mark(photo, strokes(mask))
    folder = teacher._store._folder
    assert len(list(folder.iterdir())) == 1
    del teacher
    assert not folder.exists()


def test_the_model_file_says_and_does_what_was_taught(
    make_teacher: MakeTeacher, make_scene: MakeScene, tmp_path: Path
) -> None:
    teacher, (photo, mask), (other, _) = make_teacher(), make_scene(), make_scene(60, 110, seed=5)
    path = tmp_path / "mine.onnx"
    with pytest.raises(InputError, match="nothing is marked yet"):
        teacher.save(path)
    teacher.mark(photo, strokes(mask))
    teacher.save(path)
    with pytest.raises(OutputError, match=r"mine\.onnx exists; give --force"):
        teacher.save(path)
    teacher.save(path, overwrite=True, name="my discs")
    with pytest.raises(InputError, match=r"mine\.pt is no name of a model file; expected one that ends in \.onnx"):
        teacher.save(tmp_path / "mine.pt")
    network = ScoreNetwork(path, threads=1)
    np.testing.assert_allclose(network.scores(other), teacher.look(other).scores, atol=1e-4)
    segmenter = Segmenter.from_pretrained(path, threads=1)
    np.testing.assert_array_equal(segmenter.segment(other).labels, teacher.segment(other).labels)
    assert all(check.passed for check in verify_model(path, threads=1))
    info = network.info
    assert (info.name, info.variant, info.label_set) == ("my discs", "taught largefov", teacher.label_set)
    assert info.card["taught on"] == {
        "photos": 1, "strokes": 2, "boxes": 0, "masks": 0, "photos with marks of": {"background": 1, "disc": 1},
    }  # fmt: skip
    assert "licence" in info.card
    assert '| taught on | `{"photos": 1, "strokes": 2' in card_of(path, info)


def test_a_taught_model_teaches_on(make_teacher: MakeTeacher, make_scene: MakeScene, tmp_path: Path) -> None:
    teacher, (photo, mask) = make_teacher(), make_scene()
    teacher.mark(photo, strokes(mask))
    teacher.save(tmp_path / "mine.onnx")
    again = make_teacher(model=tmp_path / "mine.onnx")
    again.mark(photo, strokes(mask))
    np.testing.assert_array_equal(again.segment(photo).labels, teacher.segment(photo).labels)
    again.save(tmp_path / "again.onnx")
    assert ScoreNetwork(tmp_path / "again.onnx").info.variant == "taught largefov"


def test_bad_teachers(make_teacher: MakeTeacher, tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(InputError, match="there is one class, 'cat'; expected two or more"):
        make_teacher(["cat"])
    with pytest.raises(InputError, match="names is of type str; give a list"):
        make_teacher("cats")
    with pytest.raises(InputError, match="'cat' comes twice"):
        make_teacher(["cat", "cat"])
    with pytest.raises(ModelError, match="unknown model 'voc'"):
        make_teacher(model="voc")
    with pytest.raises(ModelError, match=r"no layer conv1_2\.u8, an int8 trunk's"):
        make_teacher(model=tiny_model)


MEMORY = """
import resource, sys
import numpy as np
from deeplab.teach import Box, Stroke, Teacher

photo = np.zeros((7000, 7200, 3), np.uint8)
photo[2000:5000, 2000:5000] = 200
teacher = Teacher(["background", "square"], threads=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
teacher.mark(photo, [Box("square", 1900, 1900, 5100, 5100), Stroke("background", [(10, 10), (7100, 6900)], 20)])
labels = teacher.segment(photo).labels
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6, labels[3000, 2500], labels[100, 100])
"""


def test_fifty_megapixels_take_a_gigabyte() -> None:
    ran = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    gigabytes, inside, outside = ran.stdout.split()
    assert (inside, outside) == ("1", "0")
    assert float(gigabytes) < 1.3
