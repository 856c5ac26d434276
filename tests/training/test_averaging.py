"""Averaging of weights, against the sum over all iterations by its definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from deeplab.errors import InputError
from deeplab.network.importers import Initialisation
from deeplab.network.vgg import DeepLab
from deeplab.network.weights import load_checkpoint, read_safetensors
from deeplab.training.recipe import Recipe, Solver, WarmUp
from deeplab.training.train import train

pytestmark = pytest.mark.usefixtures("thin_network")


@pytest.fixture
def moving(recipe: Recipe) -> Recipe:
    """Four iterations of a rate that does not fall, so that fewer of them are the first of more."""
    return replace(recipe, solver=Solver(iterations=4, batch=2, micro_batch=1, learning_rate=0.05, frozen=("conv1_",)))


def weights(path: Path) -> dict[str, Tensor]:
    return load_checkpoint(path)[0].state_dict()


@pytest.mark.parametrize("decay", [0.3, 0.9])
def test_the_network_is_the_average_of_its_weights(
    decay: float, moving: Recipe, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    torch.manual_seed(moving.seed)
    passed = [DeepLab(moving.network, 3).state_dict()]
    for iterations in range(1, 5):
        shorter = replace(moving, solver=replace(moving.solver, iterations=iterations))
        passed.append(weights(train(shorter, data, fresh, tmp_path / f"{iterations}", str)))
    averaged = replace(moving, solver=replace(moving.solver, average=decay))
    found = weights(train(averaged, data, fresh, tmp_path / "averaged", str))
    shares = [decay**4] + [(1 - decay) * decay ** (4 - t) for t in range(1, 5)]
    for name, tensor in found.items():
        expected = sum(share * each[name].double() for share, each in zip(shares, passed, strict=True))
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(found["conv1_1.weight"], passed[-1]["conv1_1.weight"])  # frozen
    assert not torch.equal(found["fc8.bias"], passed[-1]["fc8.bias"])


@pytest.mark.parametrize("stop", [1, 3])
def test_a_stopped_run_ends_in_the_same_average_bit_for_bit(
    stop: int, moving: Recipe, data: Path, tmp_path: Path, fresh: Initialisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplab.training.loop.SECONDS_BETWEEN_STATES", 0.0)
    warm_up = WarmUp(Solver(iterations=2, batch=2, micro_batch=2, average=0.5))
    averaged = replace(moving, warm_up=warm_up, solver=replace(moving.solver, average=0.8))

    def show(stage: str, done: int, *rest: Any) -> None:
        if (stage, done) == ("main", stop):
            raise KeyboardInterrupt  # before the state of this iteration is saved

    with pytest.raises(KeyboardInterrupt):
        train(averaged, data, fresh, tmp_path / "stopped", str, show)
    tensors, _ = read_safetensors(tmp_path / "stopped" / "state.safetensors")
    assert torch.equal(tensors["average.fc8.bias"], tensors["model.fc8.bias"]) == (stop == 1)  # at its start
    assert "average.conv1_1.weight" not in tensors
    resumed = train(averaged, data, fresh, tmp_path / "stopped", str)
    assert resumed.read_bytes() == train(averaged, data, fresh, tmp_path / "whole", str).read_bytes()


def test_validation_is_of_the_average_and_changes_nothing(
    moving: Recipe, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    solver = replace(moving.solver, average=0.5)
    longer = replace(moving, solver=solver, validation=moving.data[0], shared_photos=True)
    shorter = replace(longer, solver=replace(solver, iterations=2))
    ended = train(shorter, data, fresh, tmp_path / "shorter", str)
    path = train(replace(longer, validate_at=(2,)), data, fresh, tmp_path / "longer", str)
    figures = load_checkpoint(path)[1].progress
    assert figures["main 2"] == load_checkpoint(ended)[1].progress["main 2"]
    unwatched = weights(train(longer, data, fresh, tmp_path / "unwatched", str))
    assert all(torch.equal(tensor, unwatched[name]) for name, tensor in weights(path).items())
    best = weights(tmp_path / "longer" / "best.safetensors")
    expected = weights(ended if figures["main 2"] >= figures["main 4"] else path)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in best.items())


@pytest.mark.parametrize(("average", "message"), [(1.0, "below 1, e.g. 0.99"), (-0.1, "0 or more"), (1.5, "below 1")])
def test_an_average_that_never_moves_is_refused(average: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Solver(average=average)
