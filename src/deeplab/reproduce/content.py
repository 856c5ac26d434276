"""Everything a report says, put together from what the steps gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, NamedTuple

from deeplab.evaluation import figures
from deeplab.evaluation.bootstrap import draw_photos, estimate
from deeplab.network.variants import find_variant
from deeplab.report.content import (
    Accuracy,
    Comparison,
    Data,
    Evaluation,
    Example,
    Figure,
    Labels,
    Machine,
    MapStep,
    MeanField,
    Model,
    Network,
    Published,
    Recipe,
    Report,
    Search,
    Speed,
    read,
)  # fmt: skip
from deeplab.report.published import published_figure, published_rows, training_speed
from deeplab.reproduce.deviations import network_deviations, run_deviations
from deeplab.reproduce.environment import describe_machine, describe_versions
from deeplab.reproduce.measuring import HEAT_MAP, read_tallies
from deeplab.reproduce.pictures import CHANGES
from deeplab.reproduce.plan import Plan
from deeplab.reproduce.steps import Done
from deeplab.reproduce.work import Photos, Work
from deeplab.training.recipe_files import whole_recipe

MEASURES = ("mean_iou", "pixel_accuracy", "mean_class_accuracy", "boundary_f1")


class NetworkResults(NamedTuple):
    """What all steps of one network gave."""

    name: str
    work: Work
    search: Done
    evaluation: Done
    speed: Done
    gallery: Done
    mean_field: Done


def collect(plan: Plan, photos: Photos, results: Sequence[NetworkResults]) -> Report:
    """Put together what a report shows; `deeplab.report.page.render_page` takes it.

    Pictures are named by their paths below the output folder. Without `Plan.photos` neither photos nor true masks are
    among them.
    """
    benchmark, effort = plan.benchmark, plan.effort
    return Report(
        benchmark=benchmark.name,
        title=benchmark.title,
        quick=effort.is_quick,
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        label_set=Labels(benchmark.label_set.names, benchmark.label_set.palette),
        changes=Labels(CHANGES.names, CHANGES.palette),
        data=Data(
            search_split=benchmark.search_split,
            search_photos=len(photos.search),
            test_split=benchmark.test_split,
            test_photos=len(photos.test),
            available_photos=photos.available,
            trimap_around=benchmark.trimap,
        ),
        seed=plan.seed,
        crf_search=_search_method(plan),
        resamples=effort.resamples,
        deviations=tuple(run_deviations(plan, photos)),
        table1=tuple(row for network in results for row in _table1(plan, network)),
        compared=tuple(_compare(plan, results)),
        networks=tuple(_network(plan, network) for network in results),
        published=tuple(read(Published, row._asdict()) for row in published_rows(benchmark.name)),
        machine=read(Machine, describe_machine()),
        versions=describe_versions(),
    )


def _search_method(plan: Plan) -> str:
    if plan.smart:
        return "Optuna's proposals, then finer around the best"
    return f"{len(plan.effort.grid)} settings" + ", then finer around the best" * plan.effort.refine


def _table1(plan: Plan, network: NetworkResults) -> Iterator[Accuracy]:
    """A row for each way of labelling: ours with its interval, the published figure, and the difference."""
    for way, found in network.evaluation.result["results"].items():
        cells = {}
        for measure in MEASURES:
            value, (low, high) = found[measure], found["intervals"][measure]
            published = published_figure(plan.benchmark.name, network.name, way, measure)
            known = value is not None and published is not None
            cells[measure] = Figure(value, low, high, published, value - published if known else None)
        yield Accuracy(network.name, _title(network.name), way, cells)


def _compare(plan: Plan, results: Sequence[NetworkResults]) -> Iterator[Comparison]:
    """How far each further network's mean IoU is ahead of the first one's on the same photos."""
    first, *others = results
    base = read_tallies(first.work.workspace)
    resampled = draw_photos(len(next(iter(base.values()))), resamples=plan.effort.resamples, seed=plan.seed)
    of = partial(estimate, figures.mean_iou, draws=resampled)
    for other in others:
        for way, tallies in read_tallies(other.work.workspace).items():
            value, low, high = figures.or_none(of(tallies, minus=base[way]))
            yield Comparison(_title(other.name), _title(first.name), way, (value, low, high))


def _network(plan: Plan, network: NetworkResults) -> Network:
    name, model, variant = network.name, network.work.model, find_variant(network.name)
    recipe = plan.recipe_files.get(name)
    return Network(
        name=name,
        title=variant.title,
        model=Model(
            name=model.info.name,
            file=model.path.name,
            bytes=model.path.stat().st_size,
            sha256=model.sha256,
            origin=model.origin,
            card=dict(model.info.card),
        ),
        parameters=model.parameters,
        field_of_view_px=None if variant.skips else variant.field_of_view_px,
        speed=Speed(
            **network.speed.result,
            training_images_per_second=(model.training or {}).get("images_per_second"),
            published_training_images_per_second=training_speed(name),
        ),
        recipe=None if recipe is None else Recipe(recipe.name, whole_recipe(recipe)),
        deviations=tuple(network_deviations(plan, name, model)),
        search=read(Search, {**network.search.result, "heat_map": f"{name}/crf-search/{HEAT_MAP}"}),
        evaluation=read(Evaluation, network.evaluation.result),
        gallery=tuple(_shown(read(Example, entry), name, plan.photos) for entry in network.gallery.result),
        mean_field=_maps(network.mean_field.result, f"{name}/mean-field"),
        seconds={
            **model.seconds,
            "scoring": network.work.scores.seconds,
            "search": network.search.seconds,
            "evaluation": network.evaluation.seconds,
        },
    )


def _shown(example: Example, name: str, photos: bool) -> Example:
    images = {
        part: f"{name}/gallery/{file}"
        for part, file in example.images.items()
        if photos or part not in ("photo", "truth")
    }
    return replace(example, images=images)


def _maps(result: dict[str, Any], folder: str) -> MeanField:
    steps = (
        MapStep(step["updates"], f"{folder}/{step['score']}", f"{folder}/{step['belief']}") for step in result["steps"]
    )
    return MeanField(result["name"], result["class"], tuple(steps))


def _title(name: str) -> str:
    return find_variant(name).title
