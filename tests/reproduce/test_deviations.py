from __future__ import annotations

import pytest

from deeplab.reproduce.deviations import changed_settings
from deeplab.training.recipe_files import find_recipe, load_recipe, recipe_names


@pytest.mark.parametrize("name", ["deeplab", "deeplab-4x4", "deeplab-7x7", "largefov", "msc-largefov", "msc-deeplab"])
def test_the_authors_own_recipes_deviate_in_nothing(name: str) -> None:
    assert changed_settings(load_recipe(find_recipe(f"{name}-voc")).to_dict()) == []


@pytest.mark.parametrize("name", [name for name in recipe_names() if "/" not in name])
def test_what_reproduce_trains_fits_what_it_starts_from(name: str) -> None:
    recipe = load_recipe(find_recipe(name))
    assert recipe.start in ("imagenet", "checkpoint")  # VGG-16, or what the same command has trained before
    base = recipe.network.base_name
    if recipe.start == "checkpoint" and base != recipe.variant:
        other = load_recipe(find_recipe(name.removeprefix("msc-"))).network
        assert (other.name, other.input_zoom) == (base, recipe.network.input_zoom)
        assert other.fc_channels == recipe.network.fc_channels
        assert (other.pooling == "plain") == (recipe.network.pooling == "plain")


def test_every_changed_setting_is_named_with_the_authors() -> None:
    recipe = load_recipe(find_recipe("shipped/voc-largefov")).to_dict()
    assert changed_settings(recipe) == [
        "solver.iterations: 2, the authors' 6000",
        "solver.batch: 2, the authors' 30",
        "solver.method: adamw, the authors' caffe_sgd",
        "solver.learning_rate: 1e-06, the authors' 0.001",
        "solver.schedule: poly, the authors' step",
        "solver.classifier_rate: 1.0, the authors' 10.0",
        "solver.bias_rate: 1.0, the authors' 2.0",
        "solver.frozen: conv, the authors' none",
        "warm_up: fc6 to fc8 learn alone first, for 800 iterations of 16",
    ]
