"""The files of a CRF search: the table of all trials, settings for other commands, and a picture."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from deeplab.crf_search.heat_map import heat_map_svg
from deeplab.crf_search.results import in_words, objective_name
from deeplab.crf_search.search import Search
from deeplab.evaluation import figures
from deeplab.files import atomic_file

_NAMES = ("w1", "sigma_alpha_px", "sigma_beta", "w2", "sigma_gamma_px")


def write_search(search: Search, folder: Path) -> list[Path]:
    """Write ``trials.csv``, ``search.json``, ``best.yaml`` and ``heat-map.svg``, over older ones; return their paths.

    Args:
        search: one that has tried something on all its photos.
        folder: where they go.

    Raises:
        OutputError: a file cannot be written.
    """
    contents = {
        folder / "trials.csv": trials_csv(search),
        folder / "search.json": json.dumps(to_json(search), indent=1),
        folder / "best.yaml": best_yaml(search),
        folder / "heat-map.svg": heat_map_svg(search),
    }
    for path, content in contents.items():
        with atomic_file(path, overwrite=True) as file:
            file.write(content.encode())
    return list(contents)


def trials_csv(search: Search) -> str:
    """Return the table of all trials, best first, figures in percent; those dropped early come last.

    ``photos`` says on how many the trial's figures are; ``low`` and ``high`` are the ends of the objective's 95 %
    interval, over photos, and ``gain`` its distance from the network alone on the same photos.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "stage", "photos", *_NAMES, "objective", "low", "high", "gain", "mean IoU",
                     "pixel accuracy", "mean class accuracy"])  # fmt: skip
    for rank, (params, stage, photos) in enumerate(search.ranking(), start=1):
        whole = search.trials.tallies(params, photos)[:, 0].sum(0)
        numbers = [*search.estimate(params, photos), search.gap(params, None, photos).value]
        numbers += [float(f(whole)) for f in (figures.mean_iou, figures.pixel_accuracy, figures.mean_class_accuracy)]
        writer.writerow([rank, stage, photos, *(f"{number:g}" for number in params.numbers().values()),
                         *(f"{100 * number:.3f}" for number in numbers)])  # fmt: skip
    return text.getvalue()


def to_json(search: Search) -> dict[str, Any]:
    """Return the search as JSON values: what was searched, what was found, what it took; figures in 0–1.

    ``trials`` lists all, best first, each with its parameters, stage, number of photos and objective.
    """
    trials, best = search.trials, search.best()
    return {
        "model": trials.scores.info.name,
        "model_sha256": trials.scores.model_sha256,
        "photos": [sample.name for sample in trials.samples],
        "objective": objective_name(search),
        "band": None if trials.band is None else {"around": trials.band.around, "width_px": trials.band.width_px},
        "crf": replace(trials.crf, params=best).to_dict(),
        "best": list(search.estimate(best)),
        "network": list(search.estimate(None)),
        "gain": list(search.gap(best, None)),
        "runs": trials.runs,
        "seconds": trials.seconds,
        "processor_seconds": trials.processor_seconds,
        "threads": trials.threads,
        "trials": [
            {
                "params": params.to_dict(),
                "stage": stage,
                "photos": photos,
                "objective": search.objective.of(trials.tallies(params, photos)),
            }
            for params, stage, photos in search.ranking()
        ],
    }


def best_yaml(search: Search) -> str:
    """Return the best settings as YAML, for `deeplab evaluate --crf-settings` and `deeplab export --card`."""
    best = search.best()
    settings = replace(search.trials.crf, params=best)
    value = search.estimate(best)
    return "\n".join(
        [
            f"# The best of {len(search.stages)} settings for {objective_name(search)}, {in_words(value)} %",
            f"# on {len(search.trials.samples)} photos with the scores of {search.trials.scores.info.name}.",
            "crf:",
            "  params:",
            *(f"    {name}: {_yaml(value)}" for name, value in best.to_dict().items()),
            f"  iterations: {settings.iterations}",
            f"  normalization: {settings.normalization}",
            "",
        ]
    )


def _yaml(value: Any) -> str:
    return json.dumps(value) if isinstance(value, tuple) else f"{value:g}"
