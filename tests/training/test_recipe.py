from __future__ import annotations

import json
from pathlib import Path

import pytest

from deeplab.errors import InputError
from deeplab.training.recipe import Recipe, Solver, Source, load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
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


def test_a_recipe_is_read_with_the_papers_defaults(tmp_path: Path) -> None:
    recipe = load(tmp_path, GOOD)
    assert recipe.data == (Source("voc", "voc2012", "train"), Source("folder", "more", "all", 7))
    assert recipe.solver == Solver(50, 6, 3, learning_rate=0.0002, frozen=("conv1_",))
    assert isinstance(recipe.solver.learning_rate, float)  # YAML reads 2e-4 as text
    assert recipe.warm_up is not None
    assert isinstance(recipe.warm_up.solver.learning_rate, float)
    assert (recipe.crop_px, recipe.precision, recipe.seed, recipe.validation) == (321, "bf16", 0, None)
    assert (recipe.channels, load(tmp_path, GOOD + "channels: random\n").channels) == ("even", "random")
    paper = Solver()
    assert (paper.iterations, paper.batch, paper.learning_rate, paper.momentum) == (6000, 20, 0.001, 0.9)
    assert (paper.weight_decay, paper.classifier_rate, paper.bias_rate) == (0.0005, 10, 2)
    json.dumps(recipe.to_dict())


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    assert load_recipe(path).name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{iter", "{lerning_rate: 1, iter", r"the recipe\.solver .*'lerning_rate'; did you mean 'learning_rate'"),
        ("variant:", "varaint:", "unknown key 'varaint'; did you mean 'variant'"),
        ("name: mine\n", "", "the recipe lacks the key 'name'"),
        ("path: more, ", "", r"the recipe\.data\[1\] lacks the key 'path'"),
        ("iterations: 50", "iterations: 5.5", r"solver\.iterations must be of type int, got 5\.5"),
        ("iterations: 50", "iterations: true", r"solver\.iterations must be of type int, got True"),
        ("iterations: 50", "iterations: 0", "iterations must be at least 1, got 0"),
        ("batch: 6", "batch: 7", "multiple of micro_batch, got 7 and 3"),
        ("2e-4", "fast", r"solver\.learning_rate must be a number, got 'fast'"),
        ("2e-4", "-1", r"learning_rate must be a finite number, 0 or more, got -1\.0"),
        ("2e-4", ".nan", "learning_rate must be a finite number"),
        ("[conv1_]", "conv1_", r"solver\.frozen must be a list, got 'conv1_'"),
        ("[conv1_]", "[1]", r"solver\.frozen\[0\] must be of type str, got 1"),
        ("adamw", "adam", "must be one of caffe_sgd, adamw, got 'adam'"),
        ("photos: 7", "photos: -7", r"photos must be 0 \(all\) or more, got -7"),
        ("largefov", "largefow", "largefov"),
        ("name: mine", "name: mine\ncrop_px: 306", r"crop_px 306 does not fit .*; give 8n \+ 1, such as 305"),
        ("name: mine", "name: mine\nprecision: fp8", "must be one of bf16, fp32, got 'fp8'"),
        ("  - {reader: voc, path: voc2012, split: train}\n  - {reader: folder, path: more, photos: 7}", "  []",
         "at least one source of data"),
        ("name: mine", "name: my/net", "name must be a file's name without a folder.* got 'my/net'"),
        ("name: mine", "name: ''", "name must be a file's name .* got ''"),
        ("name: mine", "name: ..", r"name must be a file's name .* got '\.\.'"),
        ("name: mine", "name: state", "name must be a file's name .* and not 'state'"),
        ("name: mine", "name: mine\nvalidate_every: -1", r"validate_every must be 0 \(.*\) or more, got -1"),
        ("learning_rate: 1}}", "learning_rate: 1}, crops_per_photo: 0}", "crops_per_photo must be at least 1, got 0"),
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


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read recipe .*nothing\.yaml: No such file"):
        load_recipe(tmp_path / "nothing.yaml")


def test_the_base_networks_crop_is_the_authors(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD.replace("largefov", "deeplab") + "crop_px: 306\n").crop_px == 306
    assert load(tmp_path, GOOD + "pooling: paper\ncrop_px: 306\n").network.pooling == "plain"
