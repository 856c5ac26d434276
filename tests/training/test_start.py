"""What a run starts from: published weights, a base network's checkpoint, the stage before, another label set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from deeplab.errors import InputError, ModelError
from deeplab.network.importers import Initialisation, load_initialisation
from deeplab.network.vgg import DeepLab
from deeplab.network.weights import load_checkpoint
from deeplab.training.recipe import Recipe, Solver, Source, WarmUp
from deeplab.training.sources import read_sources
from deeplab.training.train import train

Logged = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture
def base(recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation) -> Path:
    """A trained LargeFOV over three classes."""
    return train(recipe, data, fresh, tmp_path / "base", str)


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The layers whose weights differ, up to the first dot."""
    return {name.partition(".")[0] for name, tensor in after.items() if not torch.equal(before[name], tensor)}


def test_msc_learns_on_a_frozen_base(recipe: Recipe, base: Path, data: Path, tmp_path: Path) -> None:
    solver = replace(recipe.solver, learning_rate=0.1, frozen=("conv", "fc6", "fc7"), layer_rates={"fc8": 1.0})
    msc = replace(recipe, name="msc", variant="msc-largefov", start="checkpoint", solver=solver)
    weights = load_initialisation(base, msc.network)
    path = train(msc, data, weights, tmp_path / "msc", str)
    model, header = load_checkpoint(path)
    torch.manual_seed(msc.seed)
    start = DeepLab(msc.network, 3)
    record = weights.apply_to(start)
    assert moved(start.state_dict(), model.state_dict()) == {
        "fc8", "msc_image", "msc_pool1", "msc_pool2", "msc_pool3", "msc_pool4"
    }  # fmt: skip
    assert header.initialisation == record
    assert (record["variant"], record["started_from"]["source"]) == ("largefov", "none")
    assert (header.variant.strided_msc, model.score_stride) == (False, 1)


def test_the_papers_strided_msc_is_an_option(recipe: Recipe, base: Path, data: Path, tmp_path: Path) -> None:
    msc = replace(recipe, name="msc", variant="msc-largefov", start="checkpoint", strided_msc=True)
    model, header = load_checkpoint(train(msc, data, load_initialisation(base, msc.network), tmp_path / "msc", str))
    assert (header.variant.strided_msc, model.score_stride) == (True, 8)
    with torch.no_grad():
        assert model.aligned(torch.zeros(1, 3, 33, 41)).shape == (1, 3, 5, 6)
    with pytest.raises(InputError, match="strided_msc is for MSc networks"):
        replace(msc, variant="largefov")


def test_a_second_stage_goes_on_from_the_first(recipe: Recipe, base: Path, data: Path, tmp_path: Path) -> None:
    second = replace(recipe, name="second", start="checkpoint", solver=replace(recipe.solver, learning_rate=0.0))
    weights = load_initialisation(base, second.network)
    model, header = load_checkpoint(train(second, data, weights, tmp_path / "second", str))
    assert moved(weights.tensors, model.state_dict()) == set()
    assert header.initialisation["random"] == []


def test_fc_layers_come_from_other_labels_if_asked(recipe: Recipe, base: Path, data: Path, tmp_path: Path) -> None:
    (data / "set" / "classes.txt").write_text("ground\nred\nblue\n")  # as many
    still = replace(recipe, solver=replace(recipe.solver, learning_rate=0.0))
    weights = load_initialisation(base, recipe.network)
    with pytest.raises(ModelError, match="say start: other_labels for fresh classifiers"):
        train(replace(still, start="checkpoint"), data, weights, tmp_path / "refused", str)
    path = train(replace(still, start="other_labels"), data, weights, tmp_path / "other", str)
    model, header = load_checkpoint(path)
    assert moved(weights.tensors, model.state_dict()) == {"fc8"}
    assert (header.initialisation["random"], header.initialisation["classifiers"]) == (["fc8"], "fresh")


@pytest.mark.parametrize("variant", ["fcn8s", "msc-largefov"])
def test_any_variant_starts_from_the_trunk_of_another(
    variant: str, recipe: Recipe, base: Path, data: Path, tmp_path: Path
) -> None:
    (data / "set" / "classes.txt").write_text("ground\nred\nblue\n")
    solver = replace(recipe.solver, iterations=1, learning_rate=0.0)
    other = replace(recipe, name="other", variant=variant, start="trunk", fc_channels=8, solver=solver)
    weights = load_initialisation(base, other.network, trunk=True)
    model, header = load_checkpoint(train(other, data, weights, tmp_path / "other", str))
    trained, trunk = load_checkpoint(base)[0].state_dict(), model.state_dict()
    convolutions = [name for name in trained if name.startswith("conv")]
    assert len(convolutions) == 26
    assert all(torch.equal(trained[name], trunk[name]) for name in convolutions)
    assert (header.initialisation["layers"], header.initialisation["variant"]) == ("conv1 to conv5", "largefov")
    assert {"fc6", "fc7"} <= set(header.initialisation["random"])


def test_weights_and_the_recipes_word_for_them_must_agree(
    recipe: Recipe, base: Path, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    weights = load_initialisation(base, recipe.network)
    with pytest.raises(ModelError, match="says start: imagenet, but --weights is a network of deeplab's"):
        train(recipe, data, weights, tmp_path / "run", str)
    with pytest.raises(ModelError, match="says start: checkpoint, but --weights is published weights"):
        train(replace(recipe, start="checkpoint"), data, fresh, tmp_path / "run", str)
    assert not (tmp_path / "run").exists()


def test_other_weights_of_the_same_name_are_told_apart(
    recipe: Recipe, base: Path, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    second = replace(recipe, name="second", start="checkpoint")
    train(second, data, load_initialisation(base, second.network), tmp_path / "second", str)
    train(replace(recipe, seed=9), data, fresh, tmp_path / "base2", str).replace(base)
    with pytest.raises(ModelError, match=r"another --weights \(.*sha256: \w+… → \w+…"):
        train(second, data, load_initialisation(base, second.network), tmp_path / "second", str)


def test_fcn8s_learns_at_full_resolution(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation, logged: Logged
) -> None:
    solver = Solver(iterations=2, batch=2, micro_batch=1, method="adamw", frozen=("upscore8",))
    fcn = replace(
        recipe,
        name="fcn",
        variant="fcn8s",
        fc_channels=8,
        crop_px=40,
        solver=solver,
        validation=recipe.data[0],
        shared_photos=True,
    )
    path = train(fcn, data, fresh, tmp_path / "fcn", str)
    assert logged(tmp_path / "fcn")[0]["loss"] == pytest.approx(np.log(3), rel=1e-5)  # scores start from zero
    model, header = load_checkpoint(path)
    assert header.variant.fc_channels == 8
    assert header.progress["main 2"] > 0
    torch.manual_seed(fcn.seed)
    start = type(model)(model.variant, 3)
    assert "upscore8" not in moved(start.state_dict(), model.state_dict())
    with pytest.raises(InputError, match="warm_up trains on features of stride 8, which FCN-8s lacks"):
        replace(fcn, warm_up=WarmUp(solver))


def test_msc_on_a_frozen_base_sees_what_that_saw(recipe: Recipe, base: Path) -> None:
    msc = replace(recipe, name="msc", variant="msc-largefov", start="checkpoint", input_zoom=2)
    with pytest.raises(ModelError, match=r"input zoom 1.*cannot start.*input zoom 2"):
        load_initialisation(base, msc.network)


def test_what_is_lost_of_the_annotations_is_said(tmp_path: Path, recipe: Recipe) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "x.jpg")
    box = [[1, 1, 5, 1, 5, 4, 1, 4]]
    annotations = [
        {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 1, "segmentation": outline}
        for number, outline in enumerate((box, box, [[1, 1]], []))
    ]
    image = {"id": 1, "file_name": "x.jpg", "height": 6, "width": 8}
    content = {"images": [image], "categories": [{"id": 1, "name": "leaf"}], "annotations": annotations}
    (tmp_path / "train.json").write_text(json.dumps(content))
    said: list[str] = []
    read_sources(replace(recipe, data=(Source(".", split="train", reader="coco"),)), tmp_path, said.append)
    assert [line.partition(", train: ")[2] for line in said] == [
        "objects that cannot be drawn, 2, such as x: annotation 2: its polygons have fewer than three points; left out",
        "2 of 4 objects are marked as crowds and are taken for their classes: leaf 2",
    ]
