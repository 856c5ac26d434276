from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab import look
from deeplab.crf import CRFParams, CRFSettings
from deeplab.crf_search import trials as crf_trials
from deeplab.crf_search.journal import Journal
from deeplab.crf_search.trials import Band, Trials
from deeplab.data.samples import Sample, load_mask
from deeplab.errors import DataError, InputError, OutputError
from deeplab.evaluation.evaluate import Extras, evaluate_scores
from deeplab.evaluation.stored_scores import StoredScores
from deeplab.label_maps import write_label_map
from deeplab.labels import VOC

TRIED = [CRFParams(weight, xy, 20) for xy in (5, 15) for weight in (3, 9)]
CRF = CRFSettings(iterations=3)


@pytest.fixture
def make(samples: Sequence[Sample], scores: StoredScores, tmp_path: Path) -> Any:
    def make(**options: Any) -> Trials:
        return Trials(**{"samples": samples, "scores": scores, "folder": tmp_path, "crf": CRF, **options})

    return make


@pytest.mark.parametrize(("threads", "crf_pixels"), [(1, 10**6), (2, 10**6), (1, 1500)])
def test_trials_count_what_the_evaluation_counts(
    make: Any,
    samples: Sequence[Sample],
    scores: StoredScores,
    threads: int,
    crf_pixels: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(look, "MAX_CRF_PIXELS", crf_pixels)  # the last is less than the photos have
    tried_here = [*TRIED, CRFParams(3, 5, 20, 30, 14)]  # the last with a spatial kernel that refine leaves to a lattice
    trials = make(threads=threads, band=Band("classes", 3))
    trials.measure("first", tried_here)
    for params in tried_here:
        settings = replace(CRF, params=params)
        evaluation = evaluate_scores(samples, scores, crf=settings, extras=Extras("classes"))
        for way, tried in (("network", None), ("network + CRF", params)):
            outcome = evaluation.outcomes[way]
            assert outcome.bands is not None
            np.testing.assert_array_equal(trials.tallies(tried)[:, 0], outcome.tallies)
            np.testing.assert_array_equal(trials.tallies(tried)[:, 1], outcome.bands[:, 2])
    assert trials.runs == 3 * len(tried_here)
    assert trials.processor_seconds > 0


def test_what_is_in_the_journal_is_not_run_again(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crf_trials, "_AT_A_TIME", 3)
    steps: list[tuple[str, int, int]] = []
    first = make(show=lambda *step: steps.append(step[:3]))
    first.measure("some", TRIED[:2], photos=2)
    assert (first.photos_of(TRIED[0]), first.photos_of(TRIED[2])) == (2, 0)
    assert steps == [("some", 0, 4), ("some", 2, 4), ("some", 4, 4)]
    first.measure("all", TRIED)
    assert first.runs == 12
    second = make()
    second.measure("all", TRIED)
    assert second.runs == 0
    for params in (None, *TRIED):
        np.testing.assert_array_equal(second.tallies(params), first.tallies(params))


def test_a_search_that_was_killed_goes_on_from_whole_lines(make: Any, tmp_path: Path) -> None:
    first = make()
    first.measure("all", TRIED)
    journal = tmp_path / "trials.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    second = make()
    second.measure("all", TRIED)
    assert second.runs == len(TRIED)  # one line, one photo
    assert sorted(journal.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_changed_mask_is_measured_again(make: Any, samples: Sequence[Sample]) -> None:
    make().measure("all", TRIED)
    labels = load_mask(samples[0])
    labels[0] = 3
    write_label_map(samples[0].mask, labels, VOC, overwrite=True)
    again = make()
    again.measure("all", TRIED)
    assert again.runs == len(TRIED)


def test_another_searchs_journal_is_refused_unless_forced(make: Any, tmp_path: Path) -> None:
    make().measure("all", TRIED[:1])
    for options in ({"crf": CRFSettings(iterations=4)}, {"band": Band()}):
        with pytest.raises(OutputError, match=r"trials\.jsonl belongs to another search .* --force"):
            make(**options)
    again = make(crf=CRFSettings(iterations=4), force=True)
    again.measure("all", TRIED[:1])
    assert again.runs == 3


@pytest.mark.parametrize(
    "line",
    [
        b"{}", b"?", b'{"photo": 1, "params": [[1]], "labels": [99], "tallies": [[1]]}',
        b'{"photo": "a", "params": [null], "labels": [0, 99], "tallies": [[[[1, 1], [1, 1], [1, 1]]]]}',
        b'{"photo": "a", "params": [null], "labels": [], "tallies": []}',
        b'{"photo": "a", "params": [null], "labels": ["0"], "tallies": [[[["1"], ["1"], ["1"]]]]}',
        b'{"photo": "a", "params": [null], "labels": [0], "tallies": [[[[1e400], [1], [1]]]]}',
    ],
)  # fmt: skip
def test_a_damaged_journal_is_named(make: Any, tmp_path: Path, line: bytes) -> None:
    make().measure("all", TRIED[:1])
    journal = tmp_path / "trials.jsonl"
    first, *others = journal.read_bytes().splitlines()
    journal.write_bytes(b"\n".join([first, line, *others, b""]))
    with pytest.raises(DataError, match=r"trials\.jsonl is damaged"):
        make()
    again = make(force=True)
    again.measure("all", TRIED[:1])
    assert again.runs == 3


def test_a_file_that_is_no_journal_keeps_its_last_line(make: Any, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_bytes(b'{"notes": 1}\nwithout an end')
    with pytest.raises(OutputError, match=r"trials\.jsonl belongs to another search"):
        make()
    assert (tmp_path / "trials.jsonl").read_bytes().endswith(b"without an end")


def test_an_interruption_keeps_what_was_done(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(stage: str, done: int, total: int, facts: str) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(show=interrupt).measure("all", TRIED)
    again = make()
    again.measure("all", TRIED)
    assert again.runs == 2 * len(TRIED)


def test_missing_scores_and_no_threads_are_errors(make: Any, scores: StoredScores) -> None:
    with pytest.raises(InputError, match="threads is 0; expected an integer, at least 1"):
        make(threads=0)
    with pytest.raises(DataError, match="no photos to evaluate"):
        make(samples=[])
    scores.path("photo1").unlink()
    with pytest.raises(DataError, match=r"photo1\.npz is missing"):
        make()


def test_a_journal_takes_no_more_room_than_its_lines(tmp_path: Path) -> None:
    shape, path = (4, 3, 250), tmp_path / "trials.jsonl"
    journal = Journal(path, {}, shape)
    counted = np.zeros((1, *shape), np.int64)
    counted[0, 2, 1, [3, 200]] = 5, 7
    journal.add("a", [None], counted)
    params = [[number] * 5 for number in range(1, 20_001)]  # 0.5 GB, were each given all its zeros
    line = {"photo": "b", "params": params, "labels": [], "tallies": [[[[]] * 3] * 4] * 20_000}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    again = Journal(path, {}, shape)
    np.testing.assert_array_equal(again["a", None], counted[0])
    assert ("b", CRFParams(1, 1, 1, 1, 1)) in again
    assert not again["b", CRFParams(2, 2, 2, 2, 2)].any()


def test_a_journal_that_is_a_link_is_refused(make: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("mine")
    (tmp_path / "trials.jsonl").symlink_to(elsewhere)
    with pytest.raises(OutputError, match=r"trials\.jsonl is a symbolic link; move it away"):
        make(force=True)
    assert elsewhere.read_text() == "mine"
