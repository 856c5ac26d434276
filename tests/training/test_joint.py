"""Network and CRF trained together: what the layer computes, its gradients, runs, and where they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from deeplab.crf import PARITY, CRFParams, CRFSettings, refine
from deeplab.crf.torch import MeanField
from deeplab.errors import InputError, ModelError
from deeplab.network.build import build_network
from deeplab.network.importers import Initialisation, load_initialisation
from deeplab.network.weights import load_checkpoint, open_weights
from deeplab.preprocessing import CAFFE_VGG, TORCHVISION, Preprocessing
from deeplab.segment import Segmenter
from deeplab.training.joint import PARAMETERS, JointNetwork, build_crf, photo_of, shown, with_crf
from deeplab.training.losses import MaskLoss
from deeplab.training.recipe import JointCRF, Recipe, Source
from deeplab.training.recipe_files import load_recipe
from deeplab.training.train import train

START = {"bilateral_weight": 2.0, "bilateral_xy_std_px": 12.0, "bilateral_rgb_std": 20.0, "spatial_weight": 1.0}
Logged = Callable[[Path], list[dict[str, Any]]]


class Scores(torch.nn.Module):
    """A network whose scores are parameters."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.scores = torch.nn.Parameter(torch.from_numpy(np.random.default_rng(1).normal(0, 1, shape)).float())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.scores


@pytest.fixture
def joint(recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation) -> tuple[Recipe, Initialisation]:
    """A recipe that trains the CRF too, with validation, and a trained network for it to start from."""
    base = train(recipe, data, fresh, tmp_path / "base", str)
    together = replace(
        recipe, name="joint", start="checkpoint", crf=JointCRF(2, 4, rate=1e4, params=START), validate_at=(0,),
        validation=Source("set", reader="folder"), shared_photos=True,
    )  # fmt: skip
    return together, load_initialisation(base, together.network)


@pytest.mark.parametrize("preprocessing", [CAFFE_VGG, TORCHVISION])
def test_the_photo_comes_back_from_the_networks_input(preprocessing: Preprocessing) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    pixels = torch.from_numpy(preprocessing.apply(photo))[0]
    np.testing.assert_array_equal(photo_of(pixels, preprocessing).permute(1, 2, 0).numpy(), photo)
    padded = F.pad(pixels, (3, 0, 0, 4))  # mirrored: the padding is at the left
    assert shown(padded) == (slice(0, 9), slice(3, 10))
    assert shown(torch.zeros(3, 4, 5)) == (slice(0, 4), slice(0, 5))


def test_it_computes_what_refine_does_within_the_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (17, 14, 3), dtype=np.uint8)
    inputs = F.pad(torch.from_numpy(CAFFE_VGG.apply(photo)), (0, 3))
    network, crf = Scores(1, 3, 3, 3), build_crf(JointCRF(3, params=START), CRFSettings(), 3)
    found = JointNetwork(network, crf, CAFFE_VGG)(inputs)[0].detach().numpy()  # type: ignore[arg-type]
    dense = F.interpolate(network.scores, (17, 17), mode="bilinear", align_corners=True).softmax(1)[0].detach().numpy()
    expected = refine(photo, dense[:, :, :14], CRFSettings(CRFParams(**START), 3), shortcuts=PARITY)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.exp(found[:, :, :14]), expected, atol=1e-5)
    np.testing.assert_allclose(np.exp(found[:, :, 14:]), dense[:, :, 14:], atol=1e-6)


def test_gradients_are_those_of_finite_differences() -> None:
    """Through interpolation, five updates by exact sums and the loss, of the scores and all that the CRF learns."""
    photo = np.random.default_rng(2).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    inputs = torch.from_numpy(CAFFE_VGG.apply(photo))
    labels = torch.from_numpy(np.random.default_rng(3).integers(0, 3, (1, 9, 9)))
    labels[0, 0] = 255
    settings = CRFSettings(CRFParams(2, 4, 60, 1, 2), 5)
    crf = MeanField(3, settings, method="exact", learn_stds=True)
    network = Scores(1, 3, 2, 2)
    layer, loss = JointNetwork(network, crf, CAFFE_VGG), MaskLoss(255)  # type: ignore[arg-type]

    def value() -> torch.Tensor:
        return loss(layer(inputs), labels, inputs)

    value().backward()
    for name, parameter in layer.named_parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)  # type: ignore[union-attr]
        for index in range(0, len(flat), 2):
            before, step = float(flat[index]), 1e-2
            ends = []
            for sign in (1, -1):
                flat[index] = before + sign * step
                ends.append(float(value().detach()))
            flat[index] = before
            difference = (ends[0] - ends[1]) / (2 * step)
            assert float(gradient[index]) == pytest.approx(difference, rel=0.02, abs=0.01), (name, index)


def test_a_run_learns_the_network_and_the_crf(
    joint: tuple[Recipe, Initialisation], data: Path, tmp_path: Path, logged: Logged
) -> None:
    recipe, start = joint
    path = train(recipe, data, start, tmp_path / "run", str)
    model, header = load_checkpoint(path)
    assert header.crf is not None
    learnt = header.crf.params
    assert (header.crf.iterations, learnt.labels) == (4, 3)
    assert learnt.compatibility is not None
    assert learnt.bilateral_xy_std_px != 12
    assert not any(name.startswith("crf") for name in model.state_dict())
    assert not torch.equal(model.state_dict()["fc8.weight"], start.tensors["fc8.weight"])
    figures = [line["mean_iou"] for line in logged(tmp_path / "run") if "mean_iou" in line]
    assert len(figures) == 2
    assert load_checkpoint(tmp_path / "run" / "best.safetensors")[1].crf is not None
    # The state goes on, and a further run starts from what was learnt.
    assert train(recipe, data, start, tmp_path / "run", str).read_bytes() == path.read_bytes()
    again = replace(recipe, crf=replace(recipe.crf, params={}), seed=1)  # type: ignore[type-var]
    header = load_checkpoint(train(again, data, load_initialisation(path, again.network), tmp_path / "again", str))[1]
    assert header.crf is not None
    assert header.crf.params.bilateral_xy_std_px == pytest.approx(learnt.bilateral_xy_std_px, rel=0.2)


@pytest.mark.parametrize("learn", [(), ("weights",), ("compatibility",), ("stds",)])
def test_only_what_a_recipe_says_learns(
    learn: tuple[Any, ...], joint: tuple[Recipe, Initialisation], data: Path, tmp_path: Path
) -> None:
    recipe, start = joint
    some = replace(recipe, crf=replace(recipe.crf, learn=learn), validation=None, validate_at=())  # type: ignore[type-var]
    header = load_checkpoint(train(some, data, start, tmp_path / "run", str))[1]
    assert header.crf is not None
    params = header.crf.params
    moved = {
        "weights": isinstance(params.bilateral_weight, tuple) and isinstance(params.spatial_weight, tuple),
        "compatibility": params.compatibility is not None,
        "stds": params.bilateral_xy_std_px != 12,
    }
    assert {part for part, has in moved.items() if has} == set(learn)


def test_a_killed_run_ends_bit_for_bit_as_a_whole_one(
    joint: tuple[Recipe, Initialisation], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, start = joint
    recipe = replace(recipe, solver=replace(recipe.solver, iterations=3, average=0.5))
    monkeypatch.setattr("deeplab.training.loop.SECONDS_BETWEEN_STATES", 0.0)

    def stop(stage: str, done: int, total: int, facts: str) -> None:
        if done == 2:
            raise KeyError(stage)

    with pytest.raises(KeyError):
        train(recipe, data, start, tmp_path / "killed", str, stop)
    killed, whole = (train(recipe, data, start, tmp_path / name, str) for name in ("killed", "whole"))
    assert killed.read_bytes() == whole.read_bytes()


def test_a_gradient_that_is_not_finite_stops_the_run_and_keeps_the_state_before(
    joint: tuple[Recipe, Initialisation], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, start = joint
    recipe = replace(recipe, solver=replace(recipe.solver, iterations=3), validation=None, validate_at=())
    done: list[int] = []
    forward = JointNetwork.forward

    def show(stage: str, at: int, total: int, facts: str) -> None:
        done.extend([at] * (stage == "main"))

    def poisoned(self: JointNetwork, inputs: torch.Tensor) -> torch.Tensor:
        scores = forward(self, inputs)
        if len(done) == 1:
            scores.register_hook(lambda gradient: gradient * float("nan"))
        return scores

    monkeypatch.setattr(JointNetwork, "forward", poisoned)
    with pytest.raises(
        ModelError, match=r"gradient of \S+ became infinite or NaN in iteration 1 of main; lower"
    ) as told:
        train(recipe, data, start, tmp_path / "run", str, show)
    assert str(tmp_path / "run" / "state.safetensors") in str(told.value)
    state = open_weights(tmp_path / "run" / "state.safetensors").tensors
    assert all(bool(tensor.isfinite().all()) for tensor in state.values())
    assert {"model.crf.compatibility", "model.fc8.weight"} <= set(state)
    # What was saved is the state after the first iteration: from it the whole run follows.
    monkeypatch.setattr(JointNetwork, "forward", forward)
    resumed = train(recipe, data, start, tmp_path / "run", str)
    assert resumed.read_bytes() == train(recipe, data, start, tmp_path / "whole", str).read_bytes()


def test_scores_that_are_not_finite_stop_the_run(
    joint: tuple[Recipe, Initialisation], data: Path, tmp_path: Path
) -> None:
    recipe, start = joint
    wild = replace(recipe, solver=replace(recipe.solver, iterations=9, learning_rate=1e12), validation=None)
    with pytest.raises(ModelError, match=r"became (nan|inf|infinite or NaN)"):
        train(replace(wild, validate_at=()), data, start, tmp_path / "run", str)


def test_what_was_learnt_goes_into_the_model_file(
    run: Callable[..., Any], joint: tuple[Recipe, Initialisation], data: Path, tmp_path: Path
) -> None:
    recipe, start = joint
    path = train(recipe, data, start, tmp_path / "run", str)
    exported = run("export", str(path), "-o", str(tmp_path / "joint.onnx"))
    assert exported.status == 0, exported.err
    segmenter = Segmenter.from_pretrained(tmp_path / "joint.onnx", threads=1)
    assert segmenter.info.crf == load_checkpoint(path)[1].crf
    photo = data / "set" / "images" / "0.png"
    look = segmenter.look(photo)
    potts = look.refined(CRFSettings(CRFParams(**START), 4))  # type: ignore[arg-type]
    assert not np.array_equal(look.refined().confidence, potts.confidence)
    # A card that says nothing of the CRF leaves it; one that does replaces it.
    (tmp_path / "card.yaml").write_text("card: {data: three photos}")
    (tmp_path / "crf.yaml").write_text("crf: {iterations: 7}")
    for card, iterations, labels in (("card", 4, 3), ("crf", 7, None)):
        made = run(
            "export", str(path), "-o", str(tmp_path / "own.onnx"), "--card", str(tmp_path / f"{card}.yaml"), "--force"
        )
        assert made.status == 0, made.err
        crf = open_weights(tmp_path / "own.onnx").card.crf
        assert crf is not None
        assert (crf.iterations, crf.params.labels) == (iterations, labels)
    restated = run("export", str(tmp_path / "joint.onnx"), "-o", str(tmp_path / "again.onnx"))
    assert restated.status == 0, restated.err
    assert open_weights(tmp_path / "again.onnx").card.crf == segmenter.info.crf


def test_names_of_parameters_are_the_networks_own(recipe: Recipe) -> None:
    model, crf = build_network(recipe.network, 3), MeanField(3)
    own = dict(with_crf(model, crf).named_parameters())
    assert {name for name in own if name.startswith("crf.")} == {
        name for names in PARAMETERS.values() for name in names
    }
    assert {name for name in own if not name.startswith("crf.")} == {name for name, _ in model.named_parameters()}


def test_recipes_say_it(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "from: largefov-camvid\nstart: checkpoint\ncrf: {iterations: 5, learn: [weights, compatibility, stds]}"
    )
    assert load_recipe(tmp_path / "own.yaml").crf == JointCRF()
    content = json.loads(json.dumps(load_recipe(tmp_path / "own.yaml").to_dict()))
    assert Recipe.from_dict(content).crf == JointCRF()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "imagenet"}, "train the network first"),
        ({"crop_px": 45}, "crop_px"),
        ({"variant": "fcn8s"}, "no FCN-8s"),
        ({"crf": {"params": {"sigma": 1}}}, "unknown CRF parameter sigma"),
        ({"crf": {"iterations": -1}}, "iterations is -1"),
        ({"crf": {"rate": float("nan")}}, "crf.rate must be a finite number"),
        ({"crf": {"learn": ["biases"]}}, "must be one of weights, compatibility, stds"),
    ],
)
def test_bad_recipes(changes: dict[str, Any], message: str, recipe: Recipe) -> None:
    good = {**replace(recipe, start="checkpoint").to_dict(), "crf": {}}
    good["data"] = [dict(source) for source in good["data"]]
    good["solver"]["frozen"] = []
    good["validate_at"] = []
    good["crop_px"] = 41
    with pytest.raises(InputError, match=message):
        Recipe.from_dict(good | changes)


def test_a_crf_of_other_labels_is_refused(joint: tuple[Recipe, Initialisation]) -> None:
    with pytest.raises(InputError, match="for 2 labels; expected"):
        replace(joint[1].header, crf=CRFSettings(CRFParams(bilateral_weight=(1, 2))))  # type: ignore[type-var]
    with pytest.raises(InputError, match="for 2 labels; expected"):
        build_crf(JointCRF(), CRFSettings(CRFParams(bilateral_weight=(1, 2))), 3)
