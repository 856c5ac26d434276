from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deeplab.errors import InputError
from deeplab.training.recipe import Recipe
from deeplab.training.recipe_files import find_recipe, load_recipe, recipe_names, whole_recipe

BASE = """\
variant: largefov
data: [{path: one}, {path: two}]
solver: {batch: 6, micro_batch: 3, layer_rates: {fc6: 2, fc8: 5}}
warm_up: {solver: {batch: 4, micro_batch: 4}}
validate_every: 7
"""


def load(folder: Path, **texts: str) -> Recipe:
    """Write recipes and read the last one."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return load_recipe(folder / f"{name}.yaml")


def test_a_recipe_says_only_what_differs(tmp_path: Path) -> None:
    whole = load(
        tmp_path, whole=BASE.replace("batch: 6", "batch: 9").replace("fc6: 2", "fc6: 3").replace("two", "three")
    )
    differing = "from: base\nsolver: {batch: 9, layer_rates: {fc6: 3}}\ndata: [{path: one}, {path: three}]"
    assert load(tmp_path, base=BASE, whole=differing) == whole


def test_null_takes_a_key_away(tmp_path: Path) -> None:
    text = "from: base.yaml\nwarm_up: null\nvalidate_every: null\nsolver: {layer_rates: null}"
    recipe = load(tmp_path, base=BASE, mine=text)
    assert (recipe.warm_up, recipe.validate_every, recipe.solver.layer_rates) == (None, 0, {})
    assert (recipe.solver.batch, recipe.variant) == (6, "largefov")


def test_a_name_is_the_files_and_never_inherited(tmp_path: Path) -> None:
    assert load(tmp_path, base=f"name: named\n{BASE}").name == "named"
    assert load(tmp_path, mine="from: base").name == "mine"


def test_a_recipe_of_the_packages_can_be_started_from_in_turn(tmp_path: Path) -> None:
    between = load(tmp_path, between="from: largefov-voc\ncrop_px: 241")
    (tmp_path / "sub").mkdir()
    mine = load(tmp_path / "sub", mine="from: ../between\nsolver: {iterations: 5}")
    assert (mine.crop_px, mine.solver.iterations) == (241, 5)
    assert (mine.data, mine.solver.batch) == (between.data, 30)


@pytest.mark.parametrize("name", recipe_names())
def test_a_whole_recipe_is_the_same_with_nothing_to_look_up(name: str, tmp_path: Path) -> None:
    text = whole_recipe(find_recipe(name))
    assert "from:" not in text
    assert text.splitlines()[0] == find_recipe(name).read_text().splitlines()[0]
    assert load(tmp_path, anything=text) == load_recipe(find_recipe(name))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"mine": "from: largefov-vok"},
            r"mine\.yaml: from: there is no recipe 'largefov-vok': did you mean 'largefov-v",
        ),
        ({"mine": "from: mine"}, r"mine\.yaml: from leads round in a circle \(mine → mine\); write one of these out"),
        ({"a": "from: b", "b": "from: ./../FOLDER/a", "mine": "from: a"}, r"circle \(a → b → a\)"),
        ({"mine": "from: [largefov-voc]"}, r"from must be a recipe's name or path, got \['largefov-voc'\]"),
        ({"mine": "from: null"}, "from must be a recipe's name or path, got None"),
        ({"base": "[1]", "mine": "from: base"}, r"from: .*base\.yaml must be a mapping of keys to values, got \[1\]"),
        ({"base": BASE, "mine": "from: base\nsolver: 3"}, r"mine\.yaml: the recipe\.solver must be a mapping"),
        ({"base": BASE, "mine": "from: base\nlerning: 3"}, r"mine\.yaml: the recipe has an unknown key 'lerning'"),
        ({"base": "a: [", "mine": "from: base"}, r"base\.yaml is no YAML"),
        ({"base": BASE, "mine": "from: base\nvariant: null"}, r"mine\.yaml: the recipe lacks the key 'variant'"),
    ],
)
def test_what_is_wrong_with_from_is_named(texts: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, **{name: text.replace("FOLDER", tmp_path.name) for name, text in texts.items()})
    assert "\n" not in str(caught.value)


def test_a_recipe_is_found_by_name_before_path(tmp_path: Path) -> None:
    for name in ("largefov-voc", "mine.yaml"):
        (tmp_path / name).touch()
    assert find_recipe("largefov-voc", tmp_path).parts[-2:] == ("recipes", "largefov-voc.yaml")
    assert find_recipe("mine", tmp_path) == find_recipe("mine.yaml", tmp_path) == tmp_path / "mine.yaml"
    for bad in ("", "x" * 5000, "nothing.yaml", str(tmp_path), "a\0b"):
        with pytest.raises(InputError, match=r"there is no recipe .* give one that `deeplab recipes` lists"):
            find_recipe(bad, tmp_path)


def test_recipes_are_listed_and_shown(run: Callable[..., Any]) -> None:
    lines = run("recipes").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == recipe_names()
    assert next(line for line in lines if line.startswith("shipped/voc-largefov ")).split()[3:9] == [
        "800",
        "x",
        "16",
        "+",
        "2",
        "x",
    ]
    assert run("recipes", "show", "fcn8s-voc").out == whole_recipe(find_recipe("fcn8s-voc"))
    failed = run("recipes", "show", "fcn8s-vok")
    assert failed.status == 1
    assert "did you mean 'fcn8s-voc'" in failed.err
