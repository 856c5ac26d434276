"""Networks that are trained here: thin ones, for a few iterations, through the real loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplab.network.variants import MSC_TAPS, VARIANTS
from deeplab.reproduce.plan import Plan

RECIPE = """
# Says why.
name: {name}
variant: {name}
start: {start}
data: [{{reader: voc, path: voc2012, split: train_aug}}]
validation: {{reader: voc, path: voc2012, split: val}}
shared_photos: true
crop_px: 41
precision: fp32
{rest}
"""
WIDTHS = ((4, 4), (4, 4), (8,) * 3, (8,) * 3, (8,) * 3)


@pytest.fixture
def thin_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """LargeFOV and its MSc with a few channels."""
    for module in ("variants", "importers"):  # whichever is imported first
        monkeypatch.setattr(f"deeplab.network.{module}.CONV_CHANNELS", WIDTHS)
    thin = {name: replace(VARIANTS[name], fc_channels=8) for name in ("largefov", "msc-largefov")}
    monkeypatch.setattr("deeplab.network.variants.VARIANTS", thin)
    taps = tuple((tap, {"image": 3, "pool1": 4, "pool2": 4}.get(tap, 8), stride) for tap, _, stride in MSC_TAPS)
    for module in ("variants", "vgg"):
        monkeypatch.setattr(f"deeplab.network.{module}.MSC_TAPS", taps)


@pytest.fixture
def options(tmp_path: Path, thin_networks: None) -> dict[str, object]:
    """Weights of a thin VGG-16 and recipes for both networks."""
    random, channels, weights = np.random.default_rng(3), 3, {}
    for stage, widths in enumerate(WIDTHS, start=1):
        for index, width in enumerate(widths, start=1):
            weights[f"conv{stage}_{index}.weight"] = random.normal(0, 0.2, (width, channels, 3, 3)).astype(np.float32)
            weights[f"conv{stage}_{index}.bias"] = np.zeros(width, np.float32)
            channels = width
    np.savez(tmp_path / "vgg.npz", **weights)
    solver = "solver: {iterations: 60, batch: 4, micro_batch: 2, method: adamw"
    for name, start, rest in (
        ("largefov", "imagenet", f"{solver}}}\nwarm_up: {{{solver}}}}}"),
        ("msc-largefov", "checkpoint", f"{solver}, frozen: [conv, fc]}}"),
    ):
        (tmp_path / f"{name}-voc.yaml").write_text(RECIPE.format(name=name, start=start, rest=rest))
    return {
        "trained": {},
        "variants": ["msc-largefov", "largefov"],
        "weights": tmp_path / "vgg.npz",
        "recipe_folder": tmp_path,
        "device": "cpu",
    }


def test_networks_are_trained_exported_and_compared(
    options: dict[str, object], voc_plan: Callable[..., Plan], quickly: Callable[..., list[str]]
) -> None:
    plan = voc_plan(**options)
    said = quickly(plan)
    assert [line for line in said if line.endswith(": training")] == ["largefov: training", "msc-largefov: training"]
    content = json.loads((plan.output / "report.json").read_text())
    base, msc = content["networks"]
    assert (base["name"], msc["name"]) == ("largefov", "msc-largefov")
    assert base["parameters"] == sum(
        array.size for array in np.load(plan.weights).values()  # type: ignore[arg-type]
    ) + (8 * 9 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 21  # fmt: skip
    assert msc["parameters"] > base["parameters"]
    assert base["speed"]["training_images_per_second"] > 0
    assert "# Says why." in base["recipe"]["text"]
    assert any(line.startswith("warm_up: ") for line in base["deviations"])
    assert "solver.method: adamw, the authors' caffe_sgd" in base["deviations"]
    assert "fc6 and fc7 began with random numbers, the authors' with ImageNet's weights" in base["deviations"]
    assert not any("frozen" in line or "start" in line for line in msc["deviations"])
    (alone, with_crf) = content["compared"]
    assert (alone["network"], alone["over"]) == (msc["title"], base["title"])
    by_network = {(row["network"], row["way"]): row["figures"]["mean_iou"]["value"] for row in content["table1"]}
    for row in (alone, with_crf):
        gain = by_network["msc-largefov", row["way"]] - by_network["largefov", row["way"]]
        assert row["mean_iou"][0] == pytest.approx(gain)
    assert not [line for line in quickly(plan) if line.endswith(": training")]


def test_a_finished_checkpoint_is_not_trained_again(
    options: dict[str, object], voc_plan: Callable[..., Plan], quickly: Callable[..., list[str]], tmp_path: Path
) -> None:
    plan = voc_plan(**{**options, "variants": ["largefov"]})
    quickly(plan)
    checkpoint = plan.output / "largefov" / "training" / "largefov.safetensors"
    other = replace(voc_plan(trained={"largefov": str(checkpoint)}), output=tmp_path / "other")
    said = quickly(other)
    assert "largefov: export" in said
    assert not any("training" in line for line in said)
    first, second = (
        json.loads((folder / "report.json").read_text())["table1"] for folder in (plan.output, other.output)
    )
    assert first == second
