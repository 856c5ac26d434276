"""What a CRF search found and what it took, in words."""

from __future__ import annotations

from deeplab.crf import CRFParams
from deeplab.evaluation.bootstrap import Estimate
from deeplab.evaluation.crf_search import PAPER_GRID, Search
from deeplab.progress import duration

__all__ = ["cost_lines", "describe", "in_words", "objective_name", "result_lines"]

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


def cost_lines(search: Search, pydensecrf_seconds: float | None) -> list[str]:
    """Say how long the CRF runs took, and how long the paper's grid on 100 photos would take, here and there.

    The grid's times are processor time over the number of threads: what it takes where nothing else runs.

    Args:
        search: a search that has measured something.
        pydensecrf_seconds: the processor time of one run of pydensecrf2 on these photos; None: not measured.
    """
    trials = search.trials
    if not trials.runs:
        return ["nothing was run: every trial was in the journal already"]
    ours = trials.processor_seconds / trials.runs
    grid = f"the paper's first grid, {len(PAPER_GRID)} settings on {_PAPERS_PHOTOS} photos"
    lines = [
        f"{trials.runs:,} CRF runs in {duration(trials.seconds)} h, {1000 * ours:.0f} ms of processor time each",
        f"{grid}, on {trials.threads} free cores: {_grid_time(ours, trials.threads)}",
    ]
    if pydensecrf_seconds is None:
        return [*lines, "the same with pydensecrf2: not measured, it is not installed (pip install pydensecrf2)"]
    theirs = _grid_time(pydensecrf_seconds, trials.threads)
    return [*lines, f"the same with pydensecrf2, {1000 * pydensecrf_seconds:.0f} ms a run: {theirs}"]


def _grid_time(seconds_a_run: float, threads: int) -> str:
    return f"{duration(len(PAPER_GRID) * _PAPERS_PHOTOS * seconds_a_run / threads)} h"


def describe(params: CRFParams) -> str:
    """Return parameters in one line, by the paper's letters."""
    numbers = [f"{number:g}" for number in params.to_dict().values()]
    return "w1 = {}, σα = {} px, σβ = {}, w2 = {}, σγ = {} px".format(*numbers)


def in_words(estimate: Estimate, sign: str = "") -> str:
    """Return a figure with its interval, in percent."""
    value, low, high = (100 * number for number in estimate)
    return f"{value:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"
