"""The result of a CRF search and its cost, in words."""

from __future__ import annotations

from deeplab.crf import CRFParams
from deeplab.crf_search.search import PAPER_GRID, Search
from deeplab.evaluation.bootstrap import Estimate
from deeplab.progress import duration

_KINDS = {"miou": "mean IoU", "pixels": "pixel accuracy", "trimap": "mean IoU near boundaries"}
_PAPERS_PHOTOS = 100


def objective_name(search: Search) -> str:
    """Return in words what the search makes best."""
    objective, labels = search.objective, search.objective.labels
    classes = "" if labels is None else f" over {', '.join(search.trials.label_set.names[label] for label in labels)}"
    return _KINDS[objective.kind] + classes


def result_lines(search: Search) -> list[str]:
    """Say what is best, how good, and how much better than the network alone and than the authors' default."""
    best = search.best()
    default = CRFParams()
    lines = [
        f"best of {len(search.stages)} settings: {describe(best)}",
        f"{objective_name(search)} on {len(search.trials.samples)} photos: {in_words(search.estimate(best))} %, "
        f"{in_words(search.gap(best, None), '+')} over the network alone",
    ]
    if best != default and default in search.complete():
        lines.append(f"{in_words(search.gap(best, default), '+')} over the authors' default, {describe(default)}")
    return lines


def cost_lines(search: Search) -> list[str]:
    """Say how long the CRF runs took, and how long the paper's grid on 100 photos would take.

    The grid's time is processor time over the number of threads: what it takes where nothing else runs.
    """
    trials = search.trials
    if not trials.runs:
        return ["nothing was run: every trial was in the journal already"]
    ours = trials.processor_seconds / trials.runs
    grid_seconds = len(PAPER_GRID) * _PAPERS_PHOTOS * ours / trials.threads
    return [
        f"{trials.runs:,} CRF runs in {duration(trials.seconds)} h, {1000 * ours:.0f} ms of processor time each",
        f"the paper's first grid, {len(PAPER_GRID)} settings on {_PAPERS_PHOTOS} photos, "
        f"on {trials.threads} free cores: {duration(grid_seconds)} h",
    ]


def describe(params: CRFParams) -> str:
    """Return parameters in one line, by the paper's letters."""
    numbers = [f"{number:g}" for number in params.numbers().values()]
    learnt = " (means of what was learnt label by label)" if params.labels else ""
    return "w1 = {}, σα = {} px, σβ = {}, w2 = {}, σγ = {} px".format(*numbers) + learnt


def in_words(estimate: Estimate, sign: str = "") -> str:
    """Return a figure with its interval, in percent."""
    value, low, high = (100 * number for number in estimate)
    return f"{value:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"
