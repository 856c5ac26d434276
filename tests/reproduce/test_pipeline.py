"""A whole reproduction, on photos of a few pixels with a random network."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.data.readers import read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import DataError
from deeplab.label_maps import write_label_map
from deeplab.labels import CAMVID, VOC
from deeplab.reproduce import measuring
from deeplab.reproduce.benchmarks import QUICK, find_benchmark
from deeplab.reproduce.plan import Plan, make_plan
from deeplab.runtime import ScoreNetwork
from deeplab.segment import Segmenter

Quickly = Callable[..., list[str]]
MakePlan = Callable[..., Plan]

STEPS = ["scores-val", "search", "evaluation", "speed", "gallery", "mean-field"]


def steps(*names: str) -> list[str]:
    return [f"largefov: {name}" for name in names]


def report(plan: Plan) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((plan.output / "report.json").read_text())
    return content


def test_figures_are_those_of_segmenting_photo_by_photo(voc_plan: MakePlan, quickly: Quickly, tiny_model: Path) -> None:
    plan = voc_plan()
    assert quickly(plan) == steps(*STEPS)

    network = Segmenter.from_pretrained(tiny_model, threads=1)
    hits, true, found = (np.zeros(21, np.int64) for _ in range(3))
    for sample in read_samples("voc", plan.data / "voc2012", "val"):
        truth = load_mask(sample)
        labels = network.segment(sample.photo, crf=False).labels
        for label in range(21):
            hits[label] += np.sum((truth == label) & (labels == label))
            true[label] += np.sum(truth == label)
            found[label] += np.sum((truth != 255) & (labels == label))
    iou = hits / np.maximum(true + found - hits, 1)
    expected = iou[true > 0].mean()

    content = report(plan)
    first, second = content["table1"]
    assert (first["network"], first["way"], second["way"]) == ("largefov", "network", "network + CRF")
    ours = first["figures"]["mean_iou"]
    assert ours["value"] == pytest.approx(expected, abs=1e-3)  # scores are kept in float16
    assert ours["published"] == pytest.approx(0.6225)
    assert ours["difference"] == pytest.approx(ours["value"] - 0.6225)
    assert ours["low"] <= ours["value"] <= ours["high"]
    assert content["quick"]
    assert content["data"]["test_photos"] == 5


def test_a_second_run_does_no_step_again(voc_plan: MakePlan, quickly: Quickly) -> None:
    plan = voc_plan()
    quickly(plan)
    before = report(plan)
    assert quickly(plan) == []
    assert {**report(plan), "made": None} == {**before, "made": None}


def test_a_run_that_was_stopped_goes_on_where_it_stopped(
    voc_plan: MakePlan, quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = voc_plan()

    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "evaluate_scores", stop)
        with pytest.raises(KeyboardInterrupt):
            quickly(plan)
    assert not (plan.output / "report.html").exists()
    assert not list(plan.output.rglob("*.tmp"))
    assert quickly(plan) == steps("evaluation", "speed", "gallery", "mean-field")
    assert (plan.output / "report.html").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from deeplab.errors import DataError
from deeplab.label_maps import write_label_map
from deeplab.labels import CAMVID, VOC
from deeplab.reproduce import measuring
from deeplab.reproduce.benchmarks import QUICK, find_benchmark
from deeplab.reproduce.benchmarks import QUICK, find_benchmark
from deeplab.reproduce.pipeline import reproduce
from deeplab.reproduce.plan import make_plan

data, out, model = sys.argv[1:]
plan = make_plan(find_benchmark("voc2012"), Path(data), Path(out), QUICK, trained={"largefov": model}, threads=1)
measuring.search_files.write_search = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
reproduce(plan, print, lambda *facts: None)
"""


def test_a_run_that_was_killed_goes_on(voc_plan: MakePlan, quickly: Quickly, tiny_model: Path) -> None:
    plan = voc_plan()
    arguments = [str(plan.data), str(plan.output), str(tiny_model)]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    journal = plan.output / "largefov" / "crf-search" / "trials.jsonl"
    before = journal.read_bytes()
    assert quickly(plan) == steps(*STEPS[1:])
    assert journal.read_bytes() == before  # every trial was there


def test_the_search_goes_on_in_finer_steps_unless_quick(voc_plan: MakePlan, quickly: Quickly) -> None:
    plan = voc_plan()
    quickly(replace(plan, effort=plan.effort._replace(grid=plan.effort.grid[:1], refine=True)))
    search = report(plan)["networks"][0]["search"]
    assert len(search["trials"]) > 26
    assert {trial["stage"] for trial in search["trials"]} == {"first grid", "refinement 1", "refinement 2"}


def test_optuna_proposes_the_settings_when_asked(voc_plan: MakePlan, quickly: Quickly) -> None:
    pytest.importorskip("optuna", reason="needs the extra 'search'")
    plan = voc_plan()
    quickly(plan)
    assert "largefov: search" in quickly(replace(plan, smart=True))  # other settings, so another search
    content = report(plan)
    stages = {trial["stage"] for trial in content["networks"][0]["search"]["trials"]}
    assert "proposal 40 of 40" in stages
    assert "first grid" not in stages
    assert "Optuna" in content["crf_search"]
    assert any("Optuna" in deviation for deviation in content["deviations"])


def test_scoring_that_was_stopped_scores_only_what_is_missing(
    voc_plan: MakePlan, quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = voc_plan()

    def show(stage: str, done: int, total: int, facts: str) -> None:
        if stage == "largefov: scoring" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quickly(plan, show)
    scored = []
    score = ScoreNetwork.scores
    monkeypatch.setattr(ScoreNetwork, "scores", lambda self, image: scored.append(1) or score(self, image))
    assert quickly(plan) == steps(*STEPS)
    timed = plan.effort.timed_photos + 1
    assert len(scored) == 5 - 3 + timed


def test_what_its_inputs_touch_is_done_again(voc_plan: MakePlan, quickly: Quickly) -> None:
    plan = voc_plan()
    quickly(plan)
    more = replace(plan, effort=plan.effort._replace(resamples=50))
    assert quickly(more) == steps("evaluation")
    mask = plan.data / "voc2012" / "SegmentationClass" / "2007_000000.png"
    mask.write_bytes(mask.read_bytes() + b" ")
    assert {"largefov: search", "largefov: evaluation"} <= set(quickly(more))


def test_what_was_deleted_is_made_again(voc_plan: MakePlan, quickly: Quickly) -> None:
    plan = voc_plan()
    quickly(plan)
    next((plan.output / "largefov" / "gallery").glob("*-crf.png")).unlink()
    (plan.output / "largefov" / "mean-field" / "belief-5.png").unlink()
    assert quickly(plan) == steps("gallery", "mean-field")


def test_a_report_to_pass_on_holds_no_photo_and_no_true_mask(voc_plan: MakePlan, quickly: Quickly) -> None:
    plan = voc_plan()
    quickly(plan)
    page = plan.output / "report.html"
    assert "image/jpeg" in page.read_text()
    assert quickly(replace(plan, photos=False)) == []
    assert "image/jpeg" not in page.read_text()
    parts = {part for entry in report(plan)["networks"][0]["gallery"] for part in entry["images"]}
    assert parts == {"network", "crf", "changes"}


def test_masks_without_a_label_are_an_error(voc_plan: MakePlan, quickly: Quickly) -> None:
    plan = voc_plan()
    for mask in (plan.data / "voc2012" / "SegmentationClass").glob("*.png"):
        mask.unlink()
        write_label_map(mask, np.full((48, 64), 255), VOC)
    with pytest.raises(DataError, match="take more photos or other classes"):
        quickly(plan)
    assert not (plan.output / "report.html").exists()


def test_camvid_is_searched_on_val_and_measured_on_test(
    make_model: Callable[..., Path], data: Path, tmp_path: Path, quickly: Quickly
) -> None:
    model = make_model("camvid-tiny", label_set=CAMVID)
    plan = make_plan(
        find_benchmark("camvid"), data, tmp_path / "out", QUICK, trained={"largefov": str(model)}, threads=1
    )
    assert plan.variants == ("largefov",)
    quickly(plan)
    content = report(plan)
    network = content["networks"][0]
    assert all(name.startswith("val") for name in network["search"]["photos"])
    assert all(name.startswith("test") for name in network["evaluation"]["by_photo"]["names"])
    published = [row["figures"]["boundary_f1"]["published"] for row in content["table1"]]
    assert published == pytest.approx([0.3277, 0.4079])
