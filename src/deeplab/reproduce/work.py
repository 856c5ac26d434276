"""The inputs that all steps on one network share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deeplab.checks import thread_count
from deeplab.crf import CRFSettings
from deeplab.crf_search.search import choose_photos
from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample
from deeplab.errors import DataError
from deeplab.evaluation.stored_scores import StoredScores
from deeplab.reproduce.networks import Model
from deeplab.reproduce.plan import Plan
from deeplab.reproduce.steps import Workspace, identity_of


@dataclass(frozen=True)
class Photos:
    """The photos that a reproduction works on.

    Attributes:
        search: those that the CRF's parameters are searched on, in chance order.
        test: those that figures are taken on, in the split's order.
        available: how many the test split has.
    """

    search: tuple[Sample, ...]
    test: tuple[Sample, ...]
    available: int


@dataclass(frozen=True)
class Scores:
    """A network's stored scores of the photos for searching and of those for testing, and the seconds they took."""

    search: StoredScores
    test: StoredScores
    seconds: float


@dataclass(frozen=True)
class Work:
    """One network at hand: its file and scores, the photos, the plan, and the workspace where its steps are done."""

    plan: Plan
    photos: Photos
    workspace: Workspace
    model: Model
    scores: Scores

    @property
    def threads(self) -> int:
        """How many threads a step may use."""
        return thread_count(self.plan.threads)

    def inputs(self, samples: tuple[Sample, ...], crf: CRFSettings | None = None) -> dict[str, Any]:
        """Return what a step on some photos depends on: the model, the photos, and the CRF's settings."""
        settings = None if crf is None else crf.to_dict()
        return {"model_sha256": self.model.sha256, "photos": identity_of(samples), "crf": settings}


def choose(plan: Plan) -> Photos:
    """Choose the photos: for the search by the seed, for testing all or evenly spaced ones.

    Raises:
        DataError: a folder, list or file is missing, or the data has other labels than the benchmark.
    """
    benchmark, effort = plan.benchmark, plan.effort
    folder = plan.data / benchmark.name
    search, test = (read_samples(benchmark.reader, folder, s) for s in (benchmark.search_split, benchmark.test_split))
    if (found := test[0].label_set).names != benchmark.label_set.names:
        raise DataError(f"{folder} has the labels of {found.name!r}, not of {benchmark.label_set.name!r}; check --data")
    count = min(effort.test_photos or len(test), len(test))
    spaced = tuple(test[index * len(test) // count] for index in range(count))
    return Photos(tuple(choose_photos(search, effort.search_photos, plan.seed)), spaced, len(test))
