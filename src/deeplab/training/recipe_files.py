"""Recipes as files: those of the package by name, others by path, each whole or as what differs from another one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from deeplab.checks import did_you_mean
from deeplab.documents import parse_json, read_text
from deeplab.errors import DeepLabError, InputError, quoted
from deeplab.files import is_file
from deeplab.training.recipe import Recipe
from deeplab.training.schema import build
from deeplab.yaml_documents import read_yaml, write_yaml

RECIPES = Path(__file__).parents[1] / "recipes"
"""The folder of the package's recipes."""


def recipe_names() -> list[str]:
    """The package's recipes: each one's path below `RECIPES`, without its ending."""
    return sorted(path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.rglob("*.yaml"))


def find_recipe(name: str, beside: Path = Path()) -> Path:
    """The file of one of the package's recipes or, where none is called so, of one's own.

    Args:
        name: e.g. ``"largefov-voc"``, ``"shipped/voc-largefov"`` or the path of a file, with ``.yaml`` or without.
        beside: the folder that a path starts from.

    Raises:
        InputError: there is none; the nearest name of the package's is given.
    """
    for path in (RECIPES / f"{name}.yaml", beside / name, beside / f"{name}.yaml"):
        if is_file(path):
            return path
    hint = did_you_mean(name, recipe_names())
    raise InputError(
        f"there is no recipe {quoted(name)}: {hint}{' ' if hint else ''}give one that `deeplab recipes` lists, or the "
        "path of a YAML file"
    )


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    One that says ``from:``, a name or a path from its own folder, takes from that recipe what it does not say itself:
    mappings key by key, anything else whole; null takes a key away. Its name is the file's unless it says one.

    Raises:
        InputError: `read_yaml` refuses a file, ``from`` leads nowhere or round in a circle, a key is unknown (the
            nearest valid one is named) or missing, or a value has the wrong type or is out of range.
    """
    content = _resolve(path, ())
    try:
        recipe: Recipe = build(Recipe, content, "the recipe")
    except DeepLabError as error:
        raise InputError(f"{path}: {error}") from None
    return recipe


def whole_recipe(path: Path) -> str:
    """A recipe as YAML text with nothing left to look up: its file's opening comment, then every key.

    Raises:
        InputError: as `load_recipe` raises it.
    """
    content = parse_json(json.dumps(load_recipe(path).to_dict()))  # tuples become lists
    opening = takewhile(lambda line: line[:1] in ("#", ""), read_text(path).splitlines())
    return "".join(f"{line}\n" for line in opening if line) + write_yaml(content)


def _resolve(path: Path, heirs: tuple[Path, ...]) -> Any:
    """A recipe's content, with that of the one it is made from; `heirs` are those that are made from it."""
    content = read_yaml(path)
    if not isinstance(content, Mapping):
        return content
    own = {"name": path.stem, **content}
    if "from" not in own:
        return own
    place = path.resolve()
    if place in heirs:
        circle = " → ".join(each.stem for each in (*heirs[heirs.index(place) :], place))
        raise InputError(f"{path}: from leads round in a circle ({circle}); write one of these out in full")
    name = own.pop("from")
    if not isinstance(name, str):
        raise InputError(f"{path}: from must be a recipe's name or path, got {quoted(name)}")
    try:
        base = find_recipe(name, path.parent)
    except InputError as error:
        raise InputError(f"{path}: from: {error}") from None
    inherited = _resolve(base, (*heirs, place))
    if not isinstance(inherited, Mapping):
        raise InputError(f"{path}: from: {base} must be a mapping of keys to values, got {quoted(inherited)}")
    return _overlay(inherited, own)


def _overlay(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    mixed = dict(base)
    for key, value in own.items():
        both = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        mixed[key] = _overlay(base[key], value) if both else value
    return {key: value for key, value in mixed.items() if value is not None}
