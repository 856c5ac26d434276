"""What the shell completes: names of models, classes, recipes, data sets, layouts; and words that an option lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import typer

from deeplab.errors import DeepLabError

Complete = Callable[[typer.Context, list[str], str], list[str]]
"""Takes what is given so far, the arguments (none), and the beginning of a word; returns words."""


def completion_of(name: str, metavar: str | None) -> Complete | None:
    """Return what completes an option or argument, by its name, or by the words in its metavar; None: files do."""
    if name in _COMPLETIONS:
        return _completing(_COMPLETIONS[name])
    if metavar is not None and re.fullmatch(r"[a-z0-9-]+(\|[a-z0-9-]+)+", metavar):
        return _completing(lambda given: metavar.split("|"))
    return None


def _completing(words: Callable[[Any], Iterable[str]]) -> Complete:
    def complete(context: typer.Context, _arguments: list[str], beginning: str) -> list[str]:
        before, comma, _ = beginning.rpartition(",")  # A,B,…: the last one
        try:
            return [f"{before}{comma}{word}" for word in words(context.params)]
        except (DeepLabError, ModuleNotFoundError):  # there is nobody to tell
            return []

    return complete


def _models(_given: Any) -> Iterable[str]:
    from deeplab.models import shipped_models

    return shipped_models()


def _classes(given: Any) -> Iterable[str]:
    from deeplab.models import find_model
    from deeplab.runtime import ScoreNetwork

    return ScoreNetwork(find_model(given.get("model")), threads=1).info.label_set.names


def _recipes(_given: Any) -> Iterable[str]:
    from deeplab.training.recipe_files import recipe_names

    return recipe_names()


def _archives(_given: Any) -> Iterable[str]:
    from deeplab.download import ARCHIVES

    return ARCHIVES


def _layouts(_given: Any) -> Iterable[str]:
    from deeplab.data.readers import READERS

    return READERS


def _label_sets(_given: Any) -> Iterable[str]:
    from deeplab.labels import LABEL_SETS

    return LABEL_SETS


def _networks(_given: Any) -> Iterable[str]:
    from deeplab.network.variants import VARIANTS

    return VARIANTS


_COMPLETIONS: dict[str, Callable[[Any], Iterable[str]]] = {
    "model": _models,
    "kept": _classes,
    "classes": _classes,
    "recipe": _recipes,
    "reader": _layouts,
    "labels": _label_sets,
    "variants": _networks,
    "archives": _archives,
}
