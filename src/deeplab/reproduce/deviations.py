"""Deviations from the paper: the data, the recipes, and how much was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplab.network.variants import find_variant
from deeplab.reproduce.networks import Model
from deeplab.reproduce.plan import Plan
from deeplab.reproduce.work import Photos

# Settings that name a run, its data or its watching, or only say how a batch is split up.
_NEUTRAL = (
    "name",
    "variant",
    "data",
    "validat",
    "seed",
    "solver.micro_batch",
    "precision",
    "shared_photos",
    "skip_bad_photos",
)
# The authors freeze an MSc network's trunk and begin with the fine-tuned base.
_MSC = ("start", "solver.frozen", "solver.layer_rates", "solver.classifier_rate")


def run_deviations(plan: Plan, photos: Photos) -> list[str]:
    """List what holds for all networks of a run."""
    benchmark, told = plan.benchmark, []
    if plan.effort.is_quick:
        told.append("QUICK: few photos, few CRF settings, a few iterations of training. No figure here means anything.")
    if len(photos.test) != benchmark.published_photos:
        told.append(
            f"Figures are over {len(photos.test)} of the {photos.available} photos of {benchmark.test_split} in the "
            f"data folder; the published ones are over {benchmark.published_photos:,}."
        )
    if benchmark.search_split == benchmark.test_split:
        told.append(
            f"As in the paper, the CRF's parameters were searched on photos of {benchmark.search_split}, the split "
            "that figures are taken on."
        )
    if plan.smart:
        told.append("The CRF's parameters were proposed by Optuna (--smart) and not tried on the paper's grid.")
    return [*told, *benchmark.remarks]


def network_deviations(plan: Plan, name: str, model: Model) -> list[str]:
    """List what holds for one network: its recipe's settings that are not the authors', its model card's own words."""
    card = model.info.card
    recipe = plan.recipes[name].to_dict() if name in plan.recipes else card.get("recipe")
    told = changed_settings(recipe) if isinstance(recipe, Mapping) else []
    began = card.get("initialisation")
    random = began.get("random", ()) if isinstance(began, Mapping) else ()
    if fresh := [layer for layer in ("fc6", "fc7") if layer in random]:
        told.append(f"{' and '.join(fresh)} began with random numbers, the authors' with ImageNet's weights")
    if "deviations" in card:
        told.append(f"As its card says: {card['deviations']}.")
    if not isinstance(recipe, Mapping) and not told:
        told.append("How it was trained is not known: its file does not say.")
    if find_variant(name).skips:
        told.append("FCN-8s is a baseline and none of the paper's networks.")
    return told


def changed_settings(recipe: Mapping[str, Any]) -> list[str]:
    """List a recipe's settings that are not the authors', each with theirs; data, seed and precision are not compared.

    Args:
        recipe: what `deeplab.training.recipe.Recipe.to_dict` gave, perhaps through JSON.
    """
    from deeplab.training.recipe import Recipe, Solver
    from deeplab.training.source import Source

    variant = find_variant(str(recipe["variant"]))
    batch = 30 if variant.base_name == "largefov" else 20
    crop_px = 306 if variant.name == "deeplab" else 321
    faithful = Recipe(variant.name, variant.name, (Source("", ""),), Solver(batch=batch), crop_px=crop_px)
    theirs = _flat(faithful.to_dict())
    neutral = (*_NEUTRAL, "warm_up", *(_MSC if variant.msc else ()))
    told = [
        f"{key}: {_words(value)}, the authors' {_words(theirs.get(key))}"
        for key, value in _flat(recipe).items()
        if value != theirs.get(key) and not key.startswith(neutral)
    ]
    if warm_up := recipe.get("warm_up"):
        solver = warm_up["solver"]
        told.append(
            f"warm_up: fc6 to fc8 learn alone first, for {solver['iterations']} iterations of {solver['batch']}"
        )
    return told


def _flat(recipe: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Nested settings by dotted keys, tuples as lists."""
    flat: dict[str, Any] = {}
    for key, value in recipe.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{where}{key}.")
        else:
            flat[f"{where}{key}"] = (list(value) if isinstance(value, tuple) else value) or None
    return flat


def _words(value: Any) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
