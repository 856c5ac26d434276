from __future__ import annotations

import json
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.crf import CRFParams
from deeplab.crf_search import search as crf_search
from deeplab.data.samples import Sample
from deeplab.files import alone_in
from deeplab.label_maps import read_label_map, write_label_map
from deeplab.labels import VOC, LabelSet
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
    first = run("evaluate", *where, "--classes", "cat, dog")
    assert first.status == 0
    assert "mean IoU, 4 of 21 classes" in first.out  # three photos show no more
    assert "* cat, dog" in first.out
    figures = json.loads(run("evaluate", *where, "--json").out)["result"]
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
        outcome = run("evaluate", "--data", str(devkit), *options, "--model", str(tiny_model), "--json")
        assert outcome.status == 0
        results = json.loads(outcome.out)["result"]["results"]
        figures[name] = next(iter(results.values()))["mean_iou"]
    assert figures["maps"] == pytest.approx(figures["model"], abs=1e-3)  # scores are stored as float16


def test_a_names_file_says_what_the_masks_values_mean(
    run: Run, devkit: Path, samples: tuple[Sample, ...], tmp_path: Path
) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "animals.txt").write_text("animal: cat, dog\nother: *\n")
    animals = LabelSet("animals", ("animal", "other"))
    for sample in samples:
        truth = read_label_map(sample.mask)
        merged = np.where(np.isin(truth, [8, 12]), 0, 1).astype(np.uint8)
        write_label_map(tmp_path / "maps" / f"{sample.name}.png", merged, animals)
    where = ("--data", str(devkit), "--predictions", str(tmp_path / "maps"))
    result = run("evaluate", *where, "--names", str(tmp_path / "animals.txt"), "--json")
    assert result.status == 0
    (figures,) = json.loads(result.out)["result"]["results"].values()
    assert figures["mean_iou"] == 1


def test_the_layout_of_the_data_is_found_out(run: Run, samples: tuple[Sample, ...], tmp_path: Path) -> None:
    for folder in ("set/img_dir/valid", "set/ann_dir/valid", "maps"):
        (tmp_path / folder).mkdir(parents=True)
    for sample in samples:
        shutil.copy(sample.photo, tmp_path / "set" / "img_dir" / "valid" / f"{sample.name}.JPG")
        shutil.copy(sample.mask, tmp_path / "set" / "ann_dir" / "valid" / f"{sample.name}.png")
        labels = read_label_map(sample.mask)
        write_label_map(tmp_path / "maps" / f"{sample.name}.png", np.where(labels == 255, 0, labels), VOC)
    where = ("evaluate", "--data", str(tmp_path / "set"), "--predictions", str(tmp_path / "maps"))
    (figures,) = json.loads(run(*where, "--split", "valid", "--json").out)["result"]["results"].values()
    assert figures["mean_iou"] == 1
    assert "splits found: valid" in run(*where).err


def test_more_is_measured_and_written_where_asked(run: Run, devkit: Path, tiny_model: Path, tmp_path: Path) -> None:
    where = ("evaluate", "--data", str(devkit), "--model", str(tiny_model), "--resamples", "20")
    confusion = tmp_path / "confusion.csv"
    outcome = run(*where, "--trimap", "void", "--boundary-f1", "--json", "--confusion", str(confusion))
    assert outcome.status == 0
    assert "boundary F1" in outcome.err
    assert "mean IoU near boundaries" in outcome.err
    figures = json.loads(outcome.out)["result"]
    network = figures["results"]["network"]
    assert len(network["trimap"]["mean_iou"]) == 40
    assert network["intervals"]["boundary_f1"][0] <= network["boundary_f1"]
    assert len(figures["gain"]["mean_iou"]) == 3
    assert confusion.read_text().startswith("labelled by,true class,background,")


def test_a_broken_photo_stops_the_evaluation_unless_it_is_to_be_skipped(
    run: Run, devkit: Path, tiny_model: Path
) -> None:
    photo = devkit / "JPEGImages" / "photo1.jpg"
    photo.write_bytes(photo.read_bytes()[:200])
    where = ("evaluate", "--data", str(devkit), "--model", str(tiny_model), "--no-crf")
    assert "photo1.jpg cannot be decoded" in run(*where).err
    outcome = run(*where, "--skip-broken")
    assert outcome.status == 0
    assert "skipped: " in outcome.err
    assert "photo1.jpg" in outcome.err
    assert "(2 photos)" in outcome.out


def test_a_search_finds_settings_that_evaluate_takes(
    run: Run, devkit: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tuple(CRFParams(weight, 6, rgb) for weight in (3, 5) for rgb in (5, 9))
    monkeypatch.setattr(crf_search.grid_search, "__defaults__", (few,))
    monkeypatch.setattr(crf_search, "REFINEMENTS", ((1.0, 2.0, 2.0),))
    where = ("--data", str(devkit), "--scores", str(tmp_path / "scores"))
    options = ("--iterations", "2", "--objective", "pixels", "-o", str(tmp_path / "search"))
    first = run("crf-search", *where, *options, "--model", str(tiny_model))
    assert first.status == 0
    assert "CRF runs in" in first.out
    made = {path.name for path in (tmp_path / "search").iterdir()}
    assert made == {"trials.jsonl", "trials.csv", "search.json", "best.yaml", "heat-map.svg"}
    again = run("crf-search", *where, *options)
    assert "nothing was run" in again.out
    assert again.out.splitlines()[:2] == first.out.splitlines()[:2]
    best = ("--crf-settings", str(tmp_path / "search" / "best.yaml"))
    figures = json.loads(run("evaluate", *where, *best, "--json").out)["result"]
    search = json.loads((tmp_path / "search" / "search.json").read_text())
    assert figures["crf"] == search["crf"]
    assert figures["results"]["network + CRF"]["pixel_accuracy"] == pytest.approx(search["best"][0])
    assert "belongs to another search" in run("crf-search", *where, *options, "--normalization", "none").err
    with alone_in(tmp_path / "search"):
        assert f"another run is at work in {tmp_path / 'search'}" in run("crf-search", *where, *options).err


def test_without_optuna_the_smart_search_says_how_to_get_it(
    run: Run, devkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "deeplab.crf_search.smart", raising=False)
    outcome = run("crf-search", "--data", str(devkit), "--smart", "-o", str(tmp_path / "search"))
    assert outcome.status == 1
    assert "this command needs optuna: run pip install '.[search]'" in outcome.err
    assert not (tmp_path / "search").exists()


def test_an_archive_for_the_server_holds_the_main_paths_labels(
    run: Run, devkit: Path, tiny_model: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "results.tar"
    outcome = run("submit", "--data", str(devkit), "--split", "val", "--model", str(tiny_model), "-o", str(archive))
    assert outcome.status == 0
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    folder = tmp_path / "results" / "VOC2012" / "Segmentation" / "comp6_test_cls"
    segmenter = Segmenter.from_pretrained(tiny_model)
    for photo in (devkit / "JPEGImages").iterdir():
        labels = read_label_map(folder / f"{photo.stem}.png")
        np.testing.assert_array_equal(labels, segmenter.segment(photo).labels)
    packed = run("submit", "--data", str(devkit), "--split", "val", "--predictions", str(folder), "-o", "x.rar")
    assert "let the name end in" in packed.err
    again = ("submit", "--data", str(devkit), "--split", "val", "--predictions", str(folder), "-o", str(archive))
    assert "give --force" in run(*again).err
    before = archive.read_bytes()
    assert run(*again, "--force").status == 0
    assert archive.read_bytes() == before


def test_what_goes_wrong_is_one_line(run: Run, devkit: Path, tiny_model: Path, tmp_path: Path) -> None:
    where = ("evaluate", "--data", str(devkit), "--model", str(tiny_model), "--scores", str(tmp_path / "scores"))
    (tmp_path / "taken.json").touch()
    write_label_map(tmp_path / "photo0.png", np.zeros((3, 3), np.uint8), VOC)
    for options, message in (
        (("--split", "test"), "splits found there: val"),
        (("--reader", "imagenet"), "unknown data layout 'imagenet'"),
        (("--classes", "unicorn"), "unicorn"),
        (("--predictions", str(tmp_path)), "photo0.png"),
        (("--trimap", "edges"), "--trimap is 'edges'"),
        (("--crf-settings", str(tmp_path / "none.yaml")), "cannot read"),
        (("--confusion", str(tmp_path / "taken.json")), "exists; give --force"),
    ):
        outcome = run(*where, *options)
        assert outcome.status == 1
        assert outcome.err.startswith("error: ")
        assert message in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
    assert not (tmp_path / "scores").exists()
