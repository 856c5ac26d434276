from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deeplab.data.augment import Augment
from deeplab.errors import InputError
from deeplab.network.build import build_network
from deeplab.network.variants import VARIANTS
from deeplab.network.vgg import DeepLab
from deeplab.training.recipe import Recipe, Solver, Source
from deeplab.training.recipe_files import find_recipe, load_recipe, recipe_names
from deeplab.training.solver import make_optimizer

FILES = [find_recipe(name) for name in recipe_names()]
GOOD = """\
name: mine
variant: largefov
data:
  - {reader: voc, path: voc2012, split: train}
  - {reader: folder, path: more, photos: 7}
solver: {iterations: 50, batch: 6, micro_batch: 3, learning_rate: 2e-4, frozen: [conv1_]}
warm_up: {solver: {method: adamw, learning_rate: 1}}
"""


def load(folder: Path, text: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return load_recipe(path)


def test_a_source_needs_no_layout(tmp_path: Path) -> None:
    recipe = load(tmp_path, GOOD.replace("reader: folder, ", ""))
    assert recipe.data[1] == Source("more", photos=7, reader="auto")


def test_a_recipe_is_read_with_the_papers_defaults(tmp_path: Path) -> None:
    recipe = load(tmp_path, GOOD)
    assert recipe.data == (Source("voc2012", "train", reader="voc"), Source("more", "all", 7, reader="folder"))
    assert recipe.solver == Solver(50, 6, 3, learning_rate=0.0002, frozen=("conv1_",))
    assert isinstance(recipe.solver.learning_rate, float)  # YAML reads 2e-4 as text
    assert recipe.warm_up is not None
    assert isinstance(recipe.warm_up.solver.learning_rate, float)
    assert (recipe.crop_px, recipe.precision, recipe.seed, recipe.validation) == (321, "bf16", 0, None)
    assert recipe.augment == Augment(1, 1, 0)
    assert (recipe.start, recipe.sampling, recipe.class_weights) == ("imagenet", "shuffled", "even")
    assert (recipe.channels, load(tmp_path, GOOD + "channels: random\n").channels) == ("even", "random")
    paper = Solver()
    assert (paper.iterations, paper.batch, paper.learning_rate, paper.momentum) == (6000, 20, 0.001, 0.9)
    assert (paper.weight_decay, paper.classifier_rate, paper.bias_rate) == (0.0005, 10, 2)
    json.dumps(recipe.to_dict())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recipe_of_an_older_version_has_the_defaults_of_what_came_later(path: Path) -> None:
    recipe = load_recipe(path)
    content = json.loads(json.dumps(recipe.to_dict()))
    assert Recipe.from_dict(content) == recipe
    for source in content["data"]:
        assert source.pop("crowds") == "auto"
    assert Recipe.from_dict(content) == recipe


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    """And names layers that its network has."""
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    with torch.device("meta"):
        make_optimizer(build_network(recipe.network, 3), recipe.solver)


def test_the_recipes_for_the_field_of_view_differ_in_the_network_alone() -> None:
    recipes = [load_recipe(path) for path in FILES if path.parent.name == "field-of-view"]
    assert {recipe.variant for recipe in recipes} == {"deeplab", "deeplab-4x4", "deeplab-7x7", "largefov"}
    alike = [replace(recipe, name="alike", variant="largefov") for recipe in recipes]
    assert all(recipe == alike[0] for recipe in alike)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_papers_networks_are_trained_as_by_their_authors(name: str) -> None:
    first, second = (load_recipe(find_recipe(f"{name}-voc{stage}")) for stage in ("", "-trainval"))
    largefov, msc = name.endswith("largefov"), name.startswith("msc-")
    for recipe, iterations, split in ((first, 6000, "train_aug"), (second, 8000, "trainval_aug")):
        assert (recipe.variant, recipe.data) == (name, (Source("voc2012", split, reader="voc"),))
        assert recipe.crop_px == (306 if name == "deeplab" else 321)
        assert (recipe.precision, recipe.warm_up, recipe.augment) == ("fp32", None, Augment())
        assert (recipe.sampling, recipe.class_weights, recipe.fc_channels) == ("shuffled", "even", 0)
        solver = recipe.solver
        assert (solver.iterations, solver.batch) == (iterations, 30 if largefov else 20)
        authors = Solver(iterations, 30 if largefov else 20, solver.micro_batch)
        assert replace(solver, frozen=(), layer_rates={}) == authors
        network = DeepLab(replace(recipe.network, fc_channels=2), 3)
        optimizer = make_optimizer(network, solver)
        moving = {name.partition(".")[0] for name, weight in network.named_parameters() if weight.requires_grad}
        assert ("conv5_3" in moving, "fc7" in moving, "fc8" in moving) == (not msc, not msc, not (msc and largefov))
        if msc and not largefov:
            (rate,) = (g["rate_multiplier"] for g in optimizer.param_groups if g["params"][0] is network.fc8.weight)
            assert rate == 1
    assert (first.start, second.start) == ("checkpoint" if msc else "imagenet", "checkpoint")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{iter", "{lerning_rate: 1, iter", r"the recipe\.solver .*'lerning_rate'; did you mean 'learning_rate'"),
        ("variant:", "varaint:", "unknown key 'varaint'; did you mean 'variant'"),
        ("variant: largefov\n", "", "the recipe lacks the key 'variant'"),
        ("path: more, ", "", r"the recipe\.data\[1\] lacks the key 'path'"),
        ("iterations: 50", "iterations: 5.5", r"solver\.iterations must be of type int, got 5\.5"),
        ("iterations: 50", "iterations: true", r"solver\.iterations must be of type int, got True"),
        ("iterations: 50", "iterations: 0", "iterations is 0; expected an integer, at least 1"),
        ("batch: 6", "batch: 7", "multiple of micro_batch, got 7 and 3"),
        ("2e-4", "fast", r"solver\.learning_rate must be a number, got 'fast'"),
        ("2e-4", "-1", r"learning_rate must be a finite number, 0 or more, got -1\.0"),
        ("2e-4", ".nan", "learning_rate must be a finite number"),
        ("[conv1_]", "conv1_", r"solver\.frozen must be a list, got 'conv1_'"),
        ("[conv1_]", "[1]", r"solver\.frozen\[0\] must be of type str, got 1"),
        ("adamw", "adam", "must be one of caffe_sgd, adamw, got 'adam'"),
        ("photos: 7", "photos: -7", r"photos must be 0 \(all\) or more, got -7"),
        ("largefov", "largefow", "largefov"),
        ("name: mine", "name: mine\ninput_zoom: 3", "input_zoom must be one of 1, 2, 4, got 3"),
        ("name: mine", "name: mine\ninput_zoom: 2\ncrop_px: 163", r"does not fit .*; give 4n \+ 1, such as 161"),
        ("name: mine", "name: mine\ncrop_px: 306", r"crop_px 306 does not fit .*; give 8n \+ 1, such as 305"),
        ("name: mine", "name: mine\nprecision: fp8", "must be one of bf16, fp16, fp32, got 'fp8'"),
        ("  - {reader: voc, path: voc2012, split: train}\n  - {reader: folder, path: more, photos: 7}", "  []",
         "at least one source of data"),
        ("name: mine", "name: my/net", "name must be a file's name without a folder.* got 'my/net'"),
        ("name: mine", "name: ''", "name must be a file's name .* got ''"),
        ("name: mine", "name: ..", r"name must be a file's name .* got '\.\.'"),
        ("name: mine", "name: state", "name must be a file's name .* not 'state' or 'best'"),
        ("name: mine", "name: best", "name must be a file's name .* not 'state' or 'best'"),
        ("name: mine", "name: mine\nvalidate_every: -1", r"validate_every must be 0 \(.*\) or more, .* got -1 and"),
        ("name: mine", "name: mine\nvalidate_at: [0, -3]", r"validate_at likewise, got 0 and \[0, -3\]"),
        ("name: mine", "name: mine\nvalidate_at: 3", r"the recipe\.validate_at must be a list, got 3"),
        ("name: mine", "name: mine\nstart: scratch", "start must be one of imagenet, checkpoint, other_labels, trunk"),
        ("name: mine", "name: mine\nfc_channels: -1", r"fc_channels \(0: the variant's own\) is -1; expected"),
        ("name: mine", "name: mine\nstrided_msc: true", "strided_msc is for MSc networks; DeepLab-LargeFOV has none"),
        ("name: mine", "name: mine\nsampling: even", "sampling must be one of shuffled, class_balanced"),
        ("name: mine", "name: mine\nclass_weights: rare", "class_weights must be one of even, median_frequency"),
        ("name: mine", "name: mine\nclass_weights: [a]", r"the recipe\.class_weights\[0\] must be a number, got 'a'"),
        ("name: mine", "name: mine\nclass_weights: [1, -1]", r"class_weights must be finite, 0 or more, and not all 0"),
        ("name: mine", "name: mine\nclass_weights: [0, 0]", r"class_weights must be .* not all 0, got \[0\.0, 0\.0\]"),
        ("name: mine", "name: mine\naugment: {scale: 2}", r"augment has an unknown key 'scale'; did you mean 'scale_m"),
        ("name: mine", "name: mine\naugment: {scale_min: 2}", "scale_min and scale_max must be in order"),
        ("name: mine", "name: mine\naugment: {colour: 2}", "colour must lie in 0–1, got 2"),
        ("[conv1_]", "[conv1_], layer_rates: [fc8]", r"layer_rates must be a mapping of names to values"),
        ("[conv1_]", "[conv1_], layer_rates: {fc8: x}", r"layer_rates\.fc8 must be a number, got 'x'"),
        ("[conv1_]", "[conv1_], layer_rates: {fc8: -2}", r"layer_rates\.fc8 must be a finite number, 0 or more"),
        ("learning_rate: 1}}", "learning_rate: 1}, crops_per_photo: 0}", "crops_per_photo is 0; expected"),
        ("[conv1_]", "[conv1_], every_cell: 0", "every_cell is 0; expected an integer, at least 1"),
        ("[conv1_]", "[conv1_], every_cell: 5", r"every_cell 5 divides not both hole \(12\) .* give 2"),
        ("name: mine", "name: mine\nphoto_scale: 1.5", r"photo_scale must be 0 \(.*\) or 0.1–1, got 1.5"),
        ("name: mine", 'name: "a\\0b"', r"name must be a file's name without a folder.*'a\\x00b'"),
        ("name: mine", 'name: "a\\nb"', r"name must be a file's name without a folder.*'a\\nb'"),
        ("name: mine", f"name: {'x' * 300}", "name has 300 letters; expected at most 100"),
        ("name: mine", "name: mine\nseed: -1", "seed is -1; expected"),
        ("name: mine", "name: mine\nseed: 18446744073709551616", "seed is 1844.*; expected .* at most 9,223"),
        ("name: mine", "name: mine\ncrop_px: 8000001", "crop_px is 8000001; expected .* at most 8,193"),
        ("iterations: 50", "iterations: 99999999999999999999", "iterations is 9+; expected .* at most 1,000,000,000"),
        ("name: mine", "name: mine\nmax_side_px: -1", r"max_side_px .* is -1; expected"),
        ("name: mine", "name: mine\nchannels: odd", r"the recipe\.channels must be one of even, random, got 'odd'"),
        (GOOD, "", "the recipe must be a mapping"),
        (GOOD, "a: [", "is no YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert str(caught.value).startswith(str(tmp_path / "recipe.yaml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variant", ["msc-largefov", "fcn8s"])
def test_a_network_of_several_scales_scores_every_cell(tmp_path: Path, variant: str) -> None:
    text = GOOD.replace("[conv1_]", "[conv1_], every_cell: 2").replace("largefov", variant).partition("warm_up")[0]
    with pytest.raises(InputError, match=r"every_cell is for single-scale networks, which .* is not"):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*nothing\.yaml: No such file"):
        load_recipe(tmp_path / "nothing.yaml")


def test_the_base_networks_crop_is_the_authors(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD.replace("largefov", "deeplab") + "crop_px: 306\n").crop_px == 306
    assert load(tmp_path, GOOD + "pooling: paper\ncrop_px: 306\n").network.pooling == "plain"


def test_options_beyond_the_paper_are_read(tmp_path: Path) -> None:
    options = """
augment: {scale_min: 0.5, scale_max: 2, colour: 0.2}
class_weights: [1, 2.5]
sampling: class_balanced
validate_at: [0, 10]
fc_channels: 512
"""
    recipe = load(tmp_path, GOOD + options)
    assert recipe.augment == Augment(0.5, 2.0, 0.2)
    assert (recipe.class_weights, recipe.validate_at, recipe.network.fc_channels) == ((1.0, 2.5), (0, 10), 512)
    assert load(tmp_path, GOOD + "class_weights: median_frequency").class_weights == "median_frequency"
    fcn = load(tmp_path, GOOD.replace("largefov", "fcn8s").split("warm_up")[0] + "crop_px: 224")
    assert fcn.network.skips
