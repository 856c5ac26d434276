from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.data.samples import Sample
from deeplab.images import write_label_map
from deeplab.labels import VOC
from deeplab.segment import Segmenter

Run = Callable[..., Any]


@pytest.fixture
def devkit(tmp_path: Path, samples: tuple[Sample, ...]) -> Path:
    """The three photos as a VOC development kit."""
    root = tmp_path / "voc2012"
    for folder in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    for sample in samples:
        shutil.copy(sample.photo, root / "JPEGImages" / f"{sample.name}.jpg")
        shutil.copy(sample.mask, root / "SegmentationClass" / f"{sample.name}.png")
    (root / "ImageSets/Segmentation/val.txt").write_text("\n".join(sample.name for sample in samples))
    return root


def test_scores_are_stored_once_and_every_figure_comes_from_them(
    run: Run, devkit: Path, tiny_model: Path, tmp_path: Path
) -> None:
    where = ("--data", str(devkit), "--model", str(tiny_model), "--scores", str(tmp_path / "scores"))
    first = run("evaluate", *where, "--classes", "cat, dog", "--json", str(tmp_path / "figures.json"))
    assert first.status == 0
    assert "mean IoU, 21 classes" in first.out
    assert "* cat, dog" in first.out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures["results"]) == {"network", "network + CRF"}
    for path in (tmp_path / "scores").glob("*.npz"):
        path.touch()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").glob("*.npz")}
    assert len(times) == 3
    assert run("evaluate", *where, "--classes", "cat,dog").out == first.out
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert "CRF" not in run("evaluate", *where, "--no-crf").out


def test_saved_label_maps_give_the_figures_of_the_stored_scores(
    run: Run, devkit: Path, tiny_model: Path, tmp_path: Path
) -> None:
    segmenter = Segmenter.from_pretrained(tiny_model)
    (tmp_path / "maps").mkdir()
    for photo in (devkit / "JPEGImages").iterdir():
        segmenter.segment(photo, crf=False).save(tmp_path / "maps" / f"{photo.stem}.png")
    figures = {}
    for name, options in {"maps": ("--predictions", str(tmp_path / "maps")), "model": ("--no-crf",)}.items():
        options = (*options, "--model", str(tiny_model), "--json", str(tmp_path / f"{name}.json"))
        assert run("evaluate", "--data", str(devkit), *options).status == 0
        results = json.loads((tmp_path / f"{name}.json").read_text())["results"]
        figures[name] = next(iter(results.values()))["mean_iou"]
    assert figures["maps"] == pytest.approx(figures["model"], abs=1e-3)  # scores are stored as float16


def test_what_goes_wrong_is_one_line(run: Run, devkit: Path, tiny_model: Path, tmp_path: Path) -> None:
    where = ("evaluate", "--data", str(devkit), "--model", str(tiny_model), "--scores", str(tmp_path / "scores"))
    (tmp_path / "taken.json").touch()
    write_label_map(tmp_path / "photo0.png", np.zeros((3, 3), np.uint8), VOC)
    for options, message in (
        (("--split", "test"), "splits found there: val"),
        (("--reader", "coco"), "unknown data layout 'coco'"),
        (("--classes", "unicorn"), "unicorn"),
        (("--json", str(tmp_path / "taken.json")), "exists; give --force"),
        (("--predictions", str(tmp_path)), "photo0.png"),
    ):
        outcome = run(*where, *options)
        assert outcome.status == 1
        assert outcome.err.startswith("error: ")
        assert message in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
    assert not (tmp_path / "scores").exists()
