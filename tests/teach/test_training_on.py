"""What `deeplab train` takes of a taught model: its trunk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deeplab.errors import ModelError
from deeplab.network.build import build_network
from deeplab.network.importers import load_initialisation
from deeplab.network.variants import find_variant
from deeplab.network.weights import load_checkpoint
from deeplab.teach import Stroke, Teacher


@pytest.fixture
def taught(make_teacher: Callable[..., Teacher], tmp_path: Path) -> Path:
    teacher = make_teacher(["background", "cat", "dog"])
    photo: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    teacher.mark(photo, [Stroke("cat", [(5, 5)]), Stroke("dog", [(30, 30)])])
    teacher.save(tmp_path / "mine.onnx")
    return tmp_path / "mine.onnx"


@pytest.mark.parametrize("variant", ["largefov", "msc-largefov"])
def test_training_goes_on_from_the_trunk(taught: Path, variant: str) -> None:
    start = load_initialisation(taught, find_variant(variant), trunk=True)
    original, _ = load_checkpoint(Path("voc-largefov"))
    assert start.record["layers"] == "conv1 to conv5"
    assert start.header is not None
    assert start.header.label_set.names == ("background", "cat", "dog")
    assert {name.split("_")[0] for name in start.tensors} == {f"conv{stage}" for stage in range(1, 6)}
    for name, tensor in start.tensors.items():
        torch.testing.assert_close(tensor, original.get_parameter(name))
    model = build_network(find_variant(variant), 3)
    fresh = start.apply_to(model)["random"]
    assert "fc8" in fresh
    assert not any(name.startswith("conv") for name in fresh)


def test_the_rest_of_a_network_is_not_made_up(taught: Path) -> None:
    message = "was taught by marks and holds conv1 to conv5 alone; train from it with a recipe that says start: trunk"
    with pytest.raises(ModelError, match=message):
        load_checkpoint(taught)
    with pytest.raises(ModelError, match=message):
        load_initialisation(taught, find_variant("largefov"))
