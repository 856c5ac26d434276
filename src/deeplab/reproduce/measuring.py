"""Measurements of a trained network: stored scores, the CRF that suits them, figures, and times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.arrays import open_npz
from deeplab.crf import CRFSettings, refine
from deeplab.crf_search import files as search_files
from deeplab.crf_search.search import Search, grid_search
from deeplab.crf_search.trials import Trials
from deeplab.data.samples import Sample
from deeplab.evaluation import figures, tables
from deeplab.evaluation.evaluate import Extras, evaluate_scores, load_scored
from deeplab.evaluation.stored_scores import open_scores, store_scores
from deeplab.files import atomic_file
from deeplab.images import read_image
from deeplab.reproduce.networks import Model
from deeplab.reproduce.plan import Plan
from deeplab.reproduce.steps import Done, Workspace, identity_of
from deeplab.reproduce.work import Photos, Scores, Work
from deeplab.runtime import ScoreNetwork
from deeplab.segment import Segmenter

TALLIES = "tallies.npz"
HEAT_MAP = "heat-map.svg"


def store(plan: Plan, model: Model, photos: Photos, workspace: Workspace) -> Scores:
    """Run the network once over every photo and keep its scores (section 3); all that follows works from them."""
    benchmark, seconds = plan.benchmark, 0.0
    by_split: dict[str, dict[str, Sample]] = {}
    for split, samples in ((benchmark.search_split, photos.search), (benchmark.test_split, photos.test)):
        by_split.setdefault(split, {}).update({sample.name: sample for sample in samples})
    stored = {}
    for split, named in by_split.items():
        samples, folder = tuple(named.values()), workspace.folder / f"scores-{split}"
        inputs = {"model_sha256": model.sha256, "photos": identity_of(samples)}
        make = _scoring(plan, model, samples, folder, workspace)
        seconds += workspace.step(folder.name, inputs, make, makes=[folder / "scores.json"]).seconds
        stored[split] = open_scores(folder)
    return Scores(stored[benchmark.search_split], stored[benchmark.test_split], seconds)


def _scoring(
    plan: Plan, model: Model, samples: Sequence[Sample], folder: Path, workspace: Workspace
) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        segmenter = Segmenter.from_pretrained(model.path, threads=plan.threads)
        store_scores(samples, folder, segmenter, force=True, show=workspace.show_step)
        return {"photos": len(samples)}

    return make


def search_crf(work: Work) -> Done:
    """Search the CRF's parameters on stored scores (section 4.2), and leave a heat map and tables.

    Its result is that of `deeplab.crf_search.files.to_json`.
    """
    effort, photos, scores = work.plan.effort, work.photos.search, work.scores.search
    folder = work.workspace.make_folder("crf-search")

    def make() -> dict[str, Any]:
        trials = Trials(
            photos, scores, folder, crf=CRFSettings(), threads=work.threads,
            show=work.workspace.show_step, force=True,
        )  # fmt: skip
        search = Search(trials)
        if work.plan.smart:
            from deeplab.crf_search.smart import smart_search  # here, because it needs Optuna

            smart_search(search, seed=work.plan.seed)
        elif effort.refine:
            grid_search(search, effort.grid)
        else:
            search.measure("first grid", effort.grid)
        search_files.write_search(search, folder)
        return search_files.to_json(search)

    grid = [params.to_dict() for params in effort.grid]
    how = {"smart": True} if work.plan.smart else {"grid": grid, "refine": effort.refine}
    inputs = {**work.inputs(photos), **how}
    return work.workspace.step("search", inputs, make, makes=[folder / HEAT_MAP])


def evaluate(work: Work, crf: CRFSettings) -> Done:
    """Evaluate with and without the CRF (section 5): figures with intervals, bands around boundaries, contours.

    Its result is that of `deeplab.evaluation.tables.to_json`; ``by_photo`` holds the photos' names and each photo's own
    mean IoU by way of labelling. The photos' tallies are left beside it.
    """
    plan, photos, workspace = work.plan, work.photos.test, work.workspace
    resamples, seed = plan.effort.resamples, plan.seed

    def make() -> dict[str, Any]:
        evaluation = evaluate_scores(
            photos, work.scores.test, crf=crf, extras=Extras(plan.benchmark.trimap, boundary_f1=True),
            threads=work.threads, show=workspace.show_step,
        )  # fmt: skip
        tallies = {way: outcome.tallies for way, outcome in evaluation.outcomes.items()}
        with atomic_file(workspace.folder / TALLIES, overwrite=True) as file:
            np.savez_compressed(file, **tallies)  # type: ignore[arg-type]  # the stubs' keyword allow_pickle
        return {
            **tables.to_json(evaluation, resamples=resamples, seed=seed),
            "by_photo": {
                "names": [sample.name for sample in photos],
                "mean_iou": {way: figures.or_none(figures.mean_iou(each)) for way, each in tallies.items()},
            },
        }

    inputs = {**work.inputs(photos, crf), "resamples": resamples, "seed": seed}
    return workspace.step("evaluation", inputs, make, makes=[workspace.folder / TALLIES])


def read_tallies(workspace: Workspace) -> dict[str, NDArray[np.int64]]:
    """Return each photo's tallies by way of labelling, (photos, 3, L), as `evaluate` left them.

    Raises:
        InputError: the file was damaged since.
    """
    with open_npz(workspace.folder / TALLIES) as archive:
        return {way: archive[way] for way in archive.names}


def measure_speed(work: Work, crf: CRFSettings) -> Done:
    """Time network and CRF on test photos, one at a time, and give the medians in milliseconds (table 2)."""
    photos, threads = work.photos.test, work.threads
    count = min(work.plan.effort.timed_photos, len(photos))
    timed = photos[:: len(photos) // count][:count]

    def make() -> dict[str, Any]:
        network = ScoreNetwork(work.model.path, threads=threads)
        shrink = network.info.preprocessing.shrink
        network.scores(shrink(read_image(timed[0].photo)))  # the first run is slower
        rows, sizes = [], set()
        for done, sample in enumerate(timed, start=1):
            look, _ = load_scored(sample, work.scores.test)
            photo, probabilities, settings = look.photo, look.probabilities(), crf.scaled(look.enlargement)
            seen = shrink(photo)
            begun = time.perf_counter()
            network.scores(seen)
            between = time.perf_counter()
            refine(photo, probabilities, settings, threads=threads)
            rows.append((between - begun, time.perf_counter() - between))
            sizes.add(f"{photo.shape[1]}x{photo.shape[0]}")
            work.workspace.show_step("timing", done, len(timed), "")
        network_ms, crf_ms = (1000 * float(seconds) for seconds in np.median(rows, axis=0))
        return {
            "network_ms": network_ms,
            "crf_ms": crf_ms,
            "photos": len(timed),
            "threads": threads,
            "sizes": sorted(sizes),
        }

    return work.workspace.step("speed", {**work.inputs(timed, crf), "threads": threads}, make)
