"""Weak labels in recipes: targets, losses against sums written out, proportions, runs, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deeplab.data.augment import Augment
from deeplab.errors import DataError, InputError
from deeplab.label_maps import read_label_map
from deeplab.labels import LabelSet
from deeplab.network.importers import Initialisation
from deeplab.network.weights import load_checkpoint
from deeplab.preprocessing import CAFFE_VGG
from deeplab.teach.marks import Box
from deeplab.training.batches import Crops, Photos
from deeplab.training.recipe import JointCRF, Recipe, Source, WarmUp
from deeplab.training.sources import read_sources
from deeplab.training.train import MASKS, train
from deeplab.training.weak.crops import Shares, WeakCrops
from deeplab.training.weak.loss import WeakLoss, estimate
from deeplab.training.weak.samples import KINDS, WeakSample, allowed_by_code, load
from deeplab.training.weak.settings import METHODS, WeakLabels

GROUND = LabelSet("own", ("ground", "red", "green"), background=0)


@pytest.fixture
def weak_data(data: Path) -> Path:
    """The photos of `data` with a background, and ``strokes``: their masks, void but for two rows."""
    (data / "set" / "classes.txt").write_text("ground\nred\ngreen\nbackground = ground\n")
    (data / "strokes").mkdir()
    for folder in ("images", "masks"):
        (data / "strokes" / folder).mkdir()
    (data / "strokes" / "classes.txt").write_text((data / "set" / "classes.txt").read_text())
    for path in sorted((data / "set" / "images").iterdir()):
        labels = read_label_map(data / "set" / "masks" / path.name).copy()
        known = np.zeros(labels.shape, bool)
        known[8:10], known[20:22] = True, True
        labels[~known] = 255
        Image.fromarray(labels).save(data / "strokes" / "masks" / path.name)
        (data / "strokes" / "images" / path.name).write_bytes(path.read_bytes())
    return data


def sample_with(data: Path, method: str, boxes: tuple[Box, ...]) -> WeakSample:
    photo = data / "set" / "images" / "0.png"
    return WeakSample("0", photo, data / "a.xml", GROUND, method=method, boxes=boxes)


def test_codes_say_which_classes_a_pixel_may_have(weak_data: Path) -> None:
    boxes = (Box(1, 3.4, 2, 20, 30), Box(2, 10, 10, 40, 60), Box(1, -4, 40, 8, 50))
    sample = sample_with(weak_data, "bbox-em-fixed", boxes)
    photo, codes = load(sample)
    allowed = allowed_by_code(sample)[codes]
    assert photo.shape == (50, 60, 3)
    expected = np.zeros((50, 60, 3), bool)
    expected[..., 0] = True
    expected[2:30, 3:20, 1], expected[40:50, 0:8, 1], expected[10:50, 10:40, 2] = True, True, True
    np.testing.assert_array_equal(allowed, expected)


def test_targets_keep_to_the_crop_as_masks_do(weak_data: Path) -> None:
    """Place, mirroring and padding: a box's class is allowed where a mask drawn of the box has it."""
    boxes = (Box(1, 3, 2, 20, 30), Box(2, 22, 10, 40, 50))
    weak = sample_with(weak_data, "bbox-em-fixed", boxes)
    mask = np.zeros((50, 60), np.uint8)
    mask[2:30, 3:20], mask[10:50, 22:40] = 1, 2
    Image.fromarray(mask).save(weak_data / "drawn.png")
    known = replace(weak, mask=weak_data / "drawn.png", method="strokes")
    for number in range(6):
        crops = [Crops(Photos([each], CAFFE_VGG, load=load), CAFFE_VGG, 73, 5) for each in (weak, known)]
        (pixels, planes), (same, labels) = (WeakCrops(each)(number) for each in crops)
        np.testing.assert_array_equal(pixels, same)
        assert (KINDS[planes[1, 0, 0]], KINDS[labels[1, 0, 0]]) == ("bbox-em-fixed", "strokes")
        np.testing.assert_array_equal(planes[0] == 255, labels[0] == 255)
        inside = planes[0] != 255
        assert inside.any()
        assert not inside.all()
        for label in (1, 2):
            np.testing.assert_array_equal(planes[2 + label].astype(bool) & inside, labels[0] == label)


def target_of(kind: str, planes: torch.Tensor) -> torch.Tensor:
    """(1, 2 + L, h, w): labels (h, w), the kind, all labels allowed."""
    rest = torch.ones(3, *planes.shape, dtype=torch.int64)
    return torch.cat([planes[None], torch.full_like(planes, KINDS.index(kind))[None], rest])[None]


def test_the_loss_of_each_kind_is_the_sum_written_out() -> None:
    random = np.random.default_rng(0)
    scores = torch.from_numpy(random.normal(0, 1, (1, 3, 3, 3))).float()
    labels = torch.from_numpy(random.integers(0, 3, (3, 3)))
    labels[0] = 255
    inputs = torch.from_numpy(CAFFE_VGG.apply(random.integers(0, 256, (17, 17, 3), dtype=np.uint8)))
    log = scores.log_softmax(1)[0]

    def by_hand(truth: torch.Tensor) -> float:
        return -sum(float(log[int(truth[y, x]), y, x]) for y in range(3) for x in range(3) if truth[y, x] != 255)

    loss = WeakLoss(GROUND, WeakLabels(crf_loss=0), CAFFE_VGG)
    assert float(loss(scores, target_of("", labels), inputs)) == pytest.approx(by_hand(labels), rel=1e-5)
    assert float(loss(scores, target_of("strokes", labels), inputs)) == pytest.approx(by_hand(labels), rel=1e-5)
    assert loss.valid(target_of("", labels)) == 6
    target = target_of("em-fixed", torch.where(labels == 255, 255, 0))
    guessed = estimate(scores[0], target[0], "em-fixed", GROUND, WeakLabels())
    assert (guessed == 255).sum() == 3
    assert float(loss(scores, target, inputs)) == pytest.approx(by_hand(guessed), rel=1e-5)
    assert loss.valid(target) == 6
    biased = scores[0].clone()
    biased[0] += 3
    biased[1:] += 5
    torch.testing.assert_close(guessed[1:], biased.argmax(0)[1:])


def test_the_crf_loss_on_strokes_is_the_sum_over_all_pairs_and_so_is_its_gradient() -> None:
    """Explicit N² terms: the share of the kernel's weight that each pixel has with unlike ones (Tang et al. 2018)."""
    random = np.random.default_rng(1)
    photo = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    inputs = torch.zeros(1, 3, 9, 9)
    inputs[..., :7] = torch.from_numpy(CAFFE_VGG.apply(photo))
    scores = torch.from_numpy(random.normal(0, 1, (1, 3, 2, 2))).float().requires_grad_()
    settings = WeakLabels(crf_loss=1, crf_loss_xy_std_px=4, crf_loss_rgb_std=60)
    loss = WeakLoss(GROUND, settings, CAFFE_VGG)
    found = loss.crf_loss(scores[0], inputs[0])
    found.backward()

    y, x = np.divmod(np.arange(63), 7)
    apart = ((y[:, None] - y) ** 2 + (x[:, None] - x) ** 2) / (2 * 4**2)
    colours = photo.reshape(-1, 3).astype(float)
    apart = apart + ((colours[:, None] - colours) ** 2).sum(-1) / (2 * 60**2)
    kernel = torch.from_numpy(np.exp(-apart))

    def by_hand(values: torch.Tensor) -> torch.Tensor:
        dense = torch.nn.functional.interpolate(values, (9, 9), mode="bilinear", align_corners=True)
        soft = dense[0, :, :, :7].reshape(3, -1).softmax(0)
        pairs = sum(soft[k] @ ((kernel @ (1 - soft[k])) / kernel.sum(1)) for k in range(3))
        return pairs / 63

    own = scores.detach().double().requires_grad_()
    expected = by_hand(own)
    expected.backward()
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=0.02)  # the lattice is no exact sum
    assert scores.grad is not None
    assert own.grad is not None
    torch.testing.assert_close(scores.grad.double(), own.grad, rtol=0.1, atol=0.1 * float(own.grad.abs().max()))
    step = 1e-4
    for index in np.ndindex(*own.shape):
        ends = []
        for sign in (1, -1):
            moved = own.detach().clone()
            moved[index] += sign * step
            ends.append(float(by_hand(moved)))
        assert float(own.grad[index]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-7)


def test_strokes_add_the_crf_loss_as_often_as_positions_are_known() -> None:
    random = np.random.default_rng(2)
    inputs = torch.from_numpy(CAFFE_VGG.apply(random.integers(0, 256, (17, 17, 3), dtype=np.uint8)))
    scores = torch.from_numpy(random.normal(0, 1, (1, 3, 3, 3))).float()
    labels = torch.full((3, 3), 255)
    labels[1, :2] = 1
    alone, both = (WeakLoss(GROUND, WeakLabels(crf_loss=factor), CAFFE_VGG) for factor in (0.0, 0.5))
    target = target_of("strokes", labels)
    added = float(both(scores, target, inputs)) - float(alone(scores, target, inputs))
    assert added == pytest.approx(0.5 * 2 * float(both.crf_loss(scores[0], inputs[0])), rel=1e-5)
    masks = target_of("", labels)
    assert float(both(scores, masks, inputs)) == float(alone(scores, masks, inputs))
    nothing = target_of("strokes", torch.full((3, 3), 255))
    assert float(both(scores, nothing, inputs)) == 0


def test_every_batch_has_its_share_of_each_source_and_every_photo_comes() -> None:
    order = Shares((3, 10, 2), (2, 3, 1), 7)
    stream = [order.photo_at(position) for position in range(60)]
    for batch in range(10):
        kinds = Counter(0 if photo < 3 else 1 if photo < 13 else 2 for photo in stream[6 * batch : 6 * batch + 6])
        assert kinds == {0: 2, 1: 3, 2: 1}
    assert set(stream) == set(range(15))
    assert sorted(stream[6 * b + p] for b in range(3) for p in (0, 1)) == [0, 0, 1, 1, 2, 2]  # two whole passes
    assert stream != [Shares((3, 10, 2), (2, 3, 1), 8).photo_at(position) for position in range(60)]


WAYS = [
    ("boxes", "bbox-rect"),
    ("boxes", "bbox-seg"),
    ("boxes", "bbox-em-fixed"),
    ("image", "em-fixed"),
    ("image", "em-adapt"),
]


@pytest.mark.parametrize(("labels", "method"), [*WAYS, ("strokes", "")])
def test_a_run_by_each_method(
    labels: Any, method: str, recipe: Recipe, weak_data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    weak = Source("strokes" if labels == "strokes" else "set", reader="folder", labels=labels, method=method, share=1)
    mixed = replace(
        recipe, data=(Source("set", reader="folder", share=1), weak), validation=Source("set", reader="folder")
    )
    mixed = replace(mixed, shared_photos=True)
    path = train(mixed, weak_data, fresh, tmp_path / "run", str)
    model, header = load_checkpoint(path)
    assert all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values())
    assert Recipe.from_dict(header.recipe).data[1].way == (method or "strokes")
    drawn = list((tmp_path / "run" / MASKS).glob("*.png"))
    assert len(drawn) == (3 if method in ("bbox-rect", "bbox-seg") else 0)
    if method == "bbox-rect":
        boxes = {tuple(np.unique(read_label_map(file)).tolist()) for file in drawn}
        assert boxes == {(0, 1, 2)}
    assert train(mixed, weak_data, fresh, tmp_path / "again", str).read_bytes() == path.read_bytes()


def test_defaults_of_methods() -> None:
    assert {kind: Source("a", labels=kind).way for kind in ("masks", "boxes", "image", "strokes")} == {  # type: ignore[arg-type]
        "masks": "", "boxes": "bbox-seg", "image": "em-adapt", "strokes": "strokes"
    }  # fmt: skip
    assert set(METHODS.values()) == {"boxes", "image"}


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ({"labels": "image", "method": "bbox-seg"}, {}, "not for labels: image; give one of em-adapt, em-fixed"),
        ({"method": "em-fixed"}, {}, "not for labels: masks; leave it out"),
        ({"labels": "boxes", "crowds": "void"}, {}, "leave crowds out"),
        ({"share": -1}, {}, "share must be"),
        ({"share": 1}, {}, "give every source a share, 2 in all"),
        ({"share": 2}, {"sampling": "class_balanced"}, "shares go with sampling: shuffled"),
        ({"labels": "image"}, {"sampling": "class_balanced"}, "estimated photo by photo"),
        ({"labels": "image"}, {"class_weights": "median_frequency"}, "leave out warm_up"),
        ({"labels": "image"}, {"skip_bad_photos": True}, "skip_bad_photos"),
        ({"labels": "strokes"}, {"skip_bad_photos": True}, "skip_bad_photos"),
        ({"labels": "strokes"}, {"augment": Augment(copy_paste=0.5)}, "are no whole things: .* copy_paste"),
        ({"labels": "strokes"}, {"variant": "fcn8s"}, "no FCN-8s"),
        ({"labels": "strokes"}, {"start": "checkpoint", "crf": JointCRF()}, "crf trains on masks"),
    ],
)
def test_recipes_that_cannot_be(source: dict[str, Any], changes: dict[str, Any], message: str, recipe: Recipe) -> None:
    with pytest.raises(InputError, match=message):
        replace(recipe, data=(Source("set", **source),), **changes)


def test_more_that_cannot_be(recipe: Recipe) -> None:
    with pytest.raises(InputError, match="validation needs masks"):
        replace(recipe, validation=Source("set", labels="boxes"))
    with pytest.raises(InputError, match="leave out warm_up"):
        replace(recipe, data=(Source("set", labels="image"),), warm_up=WarmUp(recipe.solver))
    for name, value in (("foreground_share", 1.2), ("crf_loss_rgb_std", 0.0), ("crf_loss", float("nan"))):
        with pytest.raises(InputError, match=f"weak.{name} must be a number"):
            WeakLabels(**{name: value})
    with pytest.raises(InputError, match="unknown CRF parameter sigma"):
        WeakLabels(crf={"sigma": 1})


def test_photos_that_nothing_is_said_of_and_classes_without_background_are_refused(
    recipe: Recipe, weak_data: Path, data: Path
) -> None:
    empty = np.zeros((50, 60), np.uint8)
    Image.fromarray(empty).save(weak_data / "set" / "masks" / "0.png")
    for kind in ("boxes", "image"):
        weak = replace(recipe, data=(Source("set", reader="folder", labels=kind),))  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"says nothing of 0: no box and no class; take the photo out of the list"):
            read_sources(weak, weak_data, str)
    (data / "set" / "classes.txt").write_text("road\nred\ngreen\n")
    with pytest.raises(DataError, match="have no background"):
        read_sources(weak, data, str)


@pytest.mark.parametrize("labels", ["masks", "boxes", "image", "strokes"])
def test_a_source_gives_its_photos_evenly_whatever_their_labels(labels: Any, recipe: Recipe, weak_data: Path) -> None:
    for number in (3, 4, 5):
        for folder in ("images", "masks"):
            path = weak_data / "set" / folder
            (path / f"{number}.png").write_bytes((path / "0.png").read_bytes())
    for evenly, names in ((True, ["0", "2", "4"]), (False, ["0", "1", "2"])):
        few = Source("set", reader="folder", labels=labels, photos=3, evenly=evenly)
        samples = read_sources(replace(recipe, data=(few,)), weak_data, str)[0]
        assert [sample.name for sample in samples] == names


def test_boxes_outside_the_photo_stop_the_run_before_it_learns(
    recipe: Recipe, weak_data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    folder = weak_data / "set" / "Annotations"
    folder.mkdir()
    for name in "012":
        edges = "".join(
            f"<{tag}>{edge}</{tag}>" for tag, edge in (("xmin", 90), ("ymin", 2), ("xmax", 99), ("ymax", 9))
        )
        thing = f"<object><name>red</name><bndbox>{edges}</bndbox></object>"
        (folder / f"{name}.xml").write_text(f"<annotation>{thing}</annotation>")
    for method in ("bbox-seg", "bbox-em-fixed"):
        weak = replace(recipe, data=(Source("set", labels="boxes", method=method),))
        with pytest.raises(DataError, match=r"\d\.xml, photo \d: a box has the edges .*, none of it in the photo"):
            train(weak, weak_data, fresh, tmp_path / method, str)
        assert not (tmp_path / method / "small.safetensors").exists()


def test_scores_that_are_not_finite_leave_the_word_to_the_loop() -> None:
    labels = torch.zeros(3, 3, dtype=torch.int64)
    inputs = torch.from_numpy(CAFFE_VGG.apply(np.zeros((17, 17, 3), np.uint8)))
    scores = torch.full((1, 3, 3, 3), float("nan"))
    for kind in KINDS:
        value = WeakLoss(GROUND, WeakLabels(), CAFFE_VGG)(scores, target_of(kind, labels), inputs)
        assert not bool(value.isfinite()), kind
