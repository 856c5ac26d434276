from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from deeplab.files import alone_in
from deeplab.network import variants
from deeplab.network.weights import load_checkpoint
from deeplab.runtime import ScoreNetwork
from deeplab.segment import Segmenter
from deeplab.training.new_recipe import Speed

Run = Callable[..., Any]

RECIPE = """
name: three
variant: largefov
data: [{reader: folder, path: set}]
crop_px: 41
precision: fp32
solver: {iterations: 2, batch: 1, micro_batch: 1}
"""
CARD = """
crf: {params: {bilateral_weight: 4, bilateral_xy_std_px: 49, bilateral_rgb_std: 5, spatial_weight: 3,
  spatial_xy_std_px: 3}, iterations: 7}
card: {data: three small photos}
"""


@pytest.fixture
def thin(thin_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A VGG-16 with a few channels to start from, too."""
    monkeypatch.setattr("deeplab.network.importers.CONV_CHANNELS", variants.CONV_CHANNELS)


@pytest.fixture
def workshop(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a recipe, a card, random VGG-16 convolutions, and the three photos in ``data/set``."""
    random, channels, arrays = np.random.default_rng(3), 3, {}
    for stage, widths in enumerate(variants.CONV_CHANNELS, start=1):
        for index, width in enumerate(widths, start=1):
            weight = random.standard_normal((width, channels, 3, 3), dtype=np.float32) * np.sqrt(2 / (9 * channels))
            arrays[f"conv{stage}_{index}.weight"] = weight.astype(np.float16)
            arrays[f"conv{stage}_{index}.bias"] = np.zeros(width, np.float16)
            channels = width
    np.savez(tmp_path / "vgg.npz", **arrays)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "card.yaml").write_text(CARD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_a_recipe_to_a_model_file(run: Run, workshop: Path) -> None:
    trained = run("train", "recipe.yaml", "--data", "data", "--weights", "vgg.npz", "--threads", "1")
    assert trained.status == 0, trained.err
    assert "runs/three/three.safetensors" in trained.out
    for options, size_mb in ((("--float16",), 41), (("--int8", "--calibration", "data/set/images"), 21)):
        made = run(
            "export", "runs/three/three.safetensors", "-o", "three.onnx", "--card", "card.yaml", "--force", *options
        )
        assert made.status == 0, made.err
        assert (workshop / "three.onnx").stat().st_size == pytest.approx(size_mb * 1e6, rel=0.1)
        segmenter = Segmenter.from_pretrained("three.onnx", threads=1)
        assert segmenter.info.label_set.names == ("ground", "red", "green")
        assert (segmenter.info.crf.params.bilateral_xy_std_px, segmenter.info.crf.iterations) == (49, 7)
        assert segmenter("data/set/images/0.png").labels.shape == (50, 60)


def test_a_folder_is_one_runs_alone(run: Run, workshop: Path) -> None:
    (workshop / "runs" / "three").mkdir(parents=True)
    command = ("train", "recipe.yaml", "--data", "data", "--weights", "vgg.npz", "--threads", "1")
    with alone_in("runs/three"):
        refused = run(*command)
    assert refused.status == 1
    assert refused.err == (
        "error: another run is at work in runs/three; wait for its end, or choose another folder (-o)\n"
    )
    assert list((workshop / "runs" / "three").iterdir()) == []


def test_a_model_file_starts_a_run_and_is_exported_again(run: Run, thin: None, workshop: Path) -> None:
    common = ("--data", "data", "--threads", "1")
    assert run("train", "recipe.yaml", "--weights", "vgg.npz", *common).status == 0
    int8 = ("--int8", "--calibration", "data/set/images", "--card", "card.yaml")
    assert run("export", "runs/three/three.safetensors", *int8).status == 0
    (workshop / "data" / "set" / "classes.txt").write_text("ground\nwarm\ncold\n")
    (workshop / "own.yaml").write_text(RECIPE.replace("three", "own") + "start: other_labels\n")
    trained = run("train", "own.yaml", "--weights", "three.onnx", *common)
    assert trained.status == 0, trained.err
    header = load_checkpoint(workshop / "runs" / "own" / "own.safetensors")[1]
    assert header.label_set.names == ("ground", "warm", "cold")
    assert header.initialisation["started_from"]["card"] == {"data": "three small photos"}
    assert run("export", "three.onnx", "-o", "again.onnx").status == 0
    info = ScoreNetwork("again.onnx", threads=1).info
    assert (info.crf.iterations, info.card) == (7, {"data": "three small photos"})
    (workshop / "other.yaml").write_text("crf: {iterations: 3}\ncard: {data: others}")
    assert run("export", "three.onnx", "-o", "other.onnx", "--card", "other.yaml").status == 0
    info = ScoreNetwork("other.onnx", threads=1).info
    assert (info.name, info.crf.iterations, info.card) == ("other", 3, {"data": "others"})
    graphs = [onnx.load(name).graph.SerializeToString() for name in ("three.onnx", "again.onnx", "other.onnx")]
    assert graphs[0] == graphs[1] == graphs[2]  # int8 as it was


@pytest.mark.parametrize("precision", [(), ("--int8",), ("--float16",)])
def test_layers_of_lower_rank(
    precision: tuple[str, ...], run: Run, thin: None, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplab.network.low_rank.RANKS", 2)
    assert run("train", "recipe.yaml", "--data", "data", "--weights", "vgg.npz", "--threads", "1").status == 0
    made = run(
        "export", "runs/three/three.safetensors", *precision, "--low-rank", "0.3", "--calibration", "data/set/images"
    )
    assert made.status == 0, made.err
    assert "% of the multiply-adds left out; ranks: conv" in made.err
    assert Segmenter.from_pretrained("three.onnx", threads=1)("data/set/images/0.png").labels.shape == (50, 60)


def test_msc_from_the_base_by_the_command(run: Run, thin: None, workshop: Path) -> None:
    msc = (
        RECIPE.replace("three", "msc")
        .replace("largefov", "msc-largefov")
        .replace("solver: {", "solver: {frozen: [conv, fc], ")
    )
    (workshop / "msc.yaml").write_text(msc + "start: checkpoint\n")
    train = ("--data", "data", "--threads", "1", "--device", "cpu", "--workers", "2", "--cache-gb", "0.5")
    assert run("train", "recipe.yaml", "--weights", "vgg.npz", *train).status == 0
    base = "runs/three/three.safetensors"
    trained = run("train", "msc.yaml", "--weights", base, *train)
    assert trained.status == 0, trained.err
    for options, stride in (((), 1), (("--strided-msc",), 8)):
        made = run("export", "runs/msc/msc.safetensors", "-o", "msc.onnx", "--force", "--float16", *options)
        assert made.status == 0, made.err
        segmenter = Segmenter.from_pretrained("msc.onnx", threads=1)
        assert segmenter.info.output_stride == stride
        assert segmenter("data/set/images/0.png").labels.shape == (50, 60)
    refused = run("export", base, "--strided-msc")
    assert (refused.status, "--strided-msc is for MSc networks" in refused.err) == (1, True)


def test_own_classes_without_a_recipe(run: Run, thin: None, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The written recipe is kept, gone on by, and makes a model that is evaluated and exported."""
    speed = Speed(0.05, "fp32", "made up")
    monkeypatch.setattr("deeplab.training.speed.measure_speed", lambda *_: speed)
    monkeypatch.setattr("deeplab.training.new_recipe.BATCH", 1)
    monkeypatch.setattr("deeplab.training.new_recipe.PART", 1)
    assert run("train", "recipe.yaml", "--weights", "vgg.npz", "--data", "data", "--threads", "1").status == 0
    start = "runs/three/three.safetensors"
    again = ("train", "--data", "data/set", "--weights", start, "--threads", "1")
    trained = run(*again, "--hours", "0.05")
    assert trained.status == 0, trained.err
    assert "runs/set/recipe.yaml: the recipe, written for this data and this machine" in trained.err
    assert "every fifth photo by name is held out: train has 2 of 3" in trained.err
    assert "runs/set/set.safetensors: trained" in trained.out
    written = (workshop / "runs/set/recipe.yaml").read_text()
    assert "at 0.05 crops of 321 px a second, made up." in written
    finished = run(*again, "--hours", "3")
    assert finished.status == 0, finished.err
    assert "going on by runs/set/recipe.yaml; --hours has no say in it any more" in finished.err
    assert (workshop / "runs/set/recipe.yaml").read_text() == written
    (workshop / "data/set/classes.txt").write_text("ground\nwarm\ncold\n")
    assert "belongs to a run with another label set" in run(*again).err
    assert run("export", "runs/set/set.safetensors", "-o", "set.onnx").status == 0
    (workshop / "data/set/classes.txt").write_text("ground\nred\ngreen\n")
    scored = run("evaluate", "--data", "data/set", "--model", "set.onnx")
    assert scored.status == 0, scored.err
    assert "every fifth photo by name is held out: val has 1 of 3" in scored.err


def test_a_training_without_a_recipe_that_cannot_begin_leaves_nothing(run: Run, workshop: Path) -> None:
    for arguments, message in (
        (("--data", "nowhere"), "there is no folder nowhere"),
        (("--data", "data/set/images"), "has no layout known here"),
        (("--data", "data/set", "--hours", "0"), "--hours is 0; expected a number above 0"),
        (("--data", "data/set", "--hours", "nan"), "--hours is nan; expected a number above 0"),
        (("recipe.yaml", "--data", "data", "--hours", "2"), "--hours is for a recipe yet to be written"),
        (("recipe.yaml", "--data", "data"), "the recipe three starts from VGG-16's published weights; give them"),
    ):
        outcome = run("train", *arguments)
        assert outcome.status == 1
        assert outcome.err.startswith("error: ")
        assert message in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
    assert not (workshop / "runs").exists()


def test_a_recipe_that_would_take_days_says_so_once(run: Run, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deeplab.training.loop.LONG_HOURS", -1)
    (workshop / "recipe.yaml").write_text(RECIPE.replace("iterations: 2", "iterations: 4"))
    outcome = run("train", "recipe.yaml", "--data", "data", "--weights", "vgg.npz", "--threads", "1")
    assert outcome.err.count("hours on this machine: give its solver fewer iterations than 4, or have a recipe") == 1


def test_what_goes_wrong_is_one_line(run: Run, workshop: Path) -> None:
    (workshop / "typo.yaml").write_text(RECIPE.replace("crop_px", "crop"))
    (workshop / "bad-card.yaml").write_text("crv: {}")
    for arguments, message in (
        (("train", "typo.yaml", "--data", "data", "--weights", "vgg.npz"), "did you mean 'crop_px'"),
        (("train", "recipe.yaml", "--data", "data", "--weights", "none.npz"), "none.npz"),
        (("train", "recipe.yaml", "--data", "nowhere", "--weights", "vgg.npz"), "nowhere"),
        (("train", "recipe.yaml", "--data", "data", "--weights", "vgg.npz", "--device", "tpu"), "give auto, cpu, cuda"),
        (("export", "none.safetensors"), "none.safetensors: no such file"),
        (("export", "x", "--int8"), "--int8 and --low-rank need photos to measure"),
        (("export", "x", "--low-rank", "0.1"), "need photos to measure; give a folder of them, --calibration DIR"),
        (("export", "x", "--calibration", "data"), "is for --int8 and --low-rank; give one"),
        (("export", "x", "--int8", "--float16", "--calibration", "data"), "exclude each other"),
    ):
        outcome = run(*arguments)
        assert outcome.status == 1
        assert outcome.err.startswith("error: ")
        assert message in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
    assert not list(workshop.glob("*.onnx"))
