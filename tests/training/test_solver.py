from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from deeplab.errors import InputError
from deeplab.training.recipe import Solver
from deeplab.training.solver import CaffeSGD, learning_rate, make_optimizer, segmentation_loss


class CaffeBlob:
    """One parameter blob under Caffe's SGDSolver, after sgd_solver.cpp: Regularize, ComputeUpdateValue, Update."""

    def __init__(self, data: np.ndarray, lr_mult: float, decay_mult: float) -> None:
        self.data, self.lr_mult, self.decay_mult = data.copy(), lr_mult, decay_mult
        self.history = np.zeros_like(data)

    def apply_update(self, diff: np.ndarray, rate: float, momentum: float, weight_decay: float) -> None:
        diff = diff + weight_decay * self.decay_mult * self.data
        self.history = rate * self.lr_mult * diff + momentum * self.history
        self.data = self.data - self.history


class Net(nn.Module):
    """Two layers named as in the network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_1, self.fc8 = nn.Linear(3, 4), nn.Linear(4, 2)


def solver_of(**changes: Any) -> Solver:
    return Solver(**{"iterations": 9, "step_iterations": 3, "learning_rate": 0.05, "weight_decay": 0.01} | changes)


# (learning-rate multiplier, decay multiplier) of the authors' train.prototxt
CAFFE_MULTIPLIERS = {"conv1_1.weight": (1, 1), "conv1_1.bias": (2, 0), "fc8.weight": (10, 1), "fc8.bias": (20, 0)}


@given(st.integers(0, 2**32 - 1))
def test_updates_are_caffes_across_rate_changes(seed: int) -> None:
    random = np.random.default_rng(seed)
    net, solver = Net().double(), solver_of()
    optimizer = make_optimizer(net, solver)
    blobs = {}
    for name, parameter in net.named_parameters():
        blobs[name] = CaffeBlob(parameter.detach().numpy(), *CAFFE_MULTIPLIERS[name])
    for iteration in range(solver.iterations):
        rate = 0.05 * 0.1 ** (iteration // 3)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(solver, iteration) * group["rate_multiplier"]
        for name, parameter in net.named_parameters():
            gradient = random.normal(size=parameter.shape)
            parameter.grad = torch.from_numpy(gradient.copy())
            blobs[name].apply_update(gradient, rate, 0.9, 0.01)
        optimizer.step()
        for name, parameter in net.named_parameters():
            np.testing.assert_allclose(parameter.detach().numpy(), blobs[name].data, rtol=1e-12, atol=1e-14)


def test_pytorchs_sgd_agrees_until_the_rate_changes_and_no_longer() -> None:
    ours, theirs = (nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64)) for _ in range(2))
    optimizers = CaffeSGD([ours], 0.1, 0.9, 0.01), torch.optim.SGD([theirs], 0.1, 0.9, weight_decay=0.01)
    distances = []
    for iteration in range(4):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = 0.1 if iteration < 2 else 0.01
            parameter.grad = torch.tensor([1.0, 0.5], dtype=torch.float64)
            optimizer.step()
        distances.append(float((ours - theirs).detach().abs().max()))
    assert max(distances[:2]) < 1e-15
    assert distances[2] == pytest.approx(0.9 * 0.19 - 0.9 * 0.019, rel=0.01)  # the history keeps the old rate's steps


def test_a_parameter_without_gradient_stays() -> None:
    parameter = nn.Parameter(torch.ones(2))
    optimizer = CaffeSGD([parameter], 0.1, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(parameter.detach(), torch.ones(2))
    with pytest.raises(InputError, match="takes no closure"):
        optimizer.step(lambda: 0.0)


def test_frozen_and_other_layers_do_not_move() -> None:
    net = Net()
    optimizer = make_optimizer(net, solver_of(), only=("fc8.",))
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]
    assert [name for name, parameter in net.named_parameters() if parameter.requires_grad] == ["fc8.weight", "fc8.bias"]
    make_optimizer(net, solver_of(frozen=("conv1_",)))
    assert not net.conv1_1.weight.requires_grad
    make_optimizer(net, solver_of())
    assert net.conv1_1.weight.requires_grad


def test_freezing_everything_or_a_stranger_is_an_error() -> None:
    with pytest.raises(InputError, match="leaves nothing to train"):
        make_optimizer(Net(), solver_of(frozen=("conv1_", "fc8")))
    with pytest.raises(InputError, match="no layer's name begins with 'conv9_'"):
        make_optimizer(Net(), solver_of(frozen=("conv9_",)))


def test_layers_may_have_rates_of_their_own() -> None:
    optimizer = make_optimizer(Net(), solver_of(layer_rates={"conv": 0.5, "fc8": 1}))
    found = sorted((group["rate_multiplier"], group["weight_decay"]) for group in optimizer.param_groups)
    assert found == [(0.5, 0.01), (1, 0), (1, 0.01), (2, 0)]
    with pytest.raises(InputError, match="no layer's name begins with 'fc9'"):
        make_optimizer(Net(), solver_of(layer_rates={"fc9": 1}))


def test_adamw_takes_the_multipliers_too() -> None:
    optimizer = make_optimizer(Net(), solver_of(method="adamw"))
    assert isinstance(optimizer, torch.optim.AdamW)
    found = sorted((group["rate_multiplier"], group["weight_decay"]) for group in optimizer.param_groups)
    assert found == [(1, 0.01), (2, 0), (10, 0.01), (20, 0)]


def test_step_schedule_by_numbers() -> None:
    paper = Solver()
    rates = [learning_rate(paper, iteration) for iteration in (0, 1999, 2000, 3999, 4000, 5999)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def test_poly_schedule_by_numbers() -> None:
    solver = Solver(iterations=100, schedule="poly", learning_rate=2e-4)
    rates = [learning_rate(solver, iteration) for iteration in (0, 50, 99)]
    assert rates == pytest.approx([2e-4, 2e-4 * 0.5358867, 2e-4 * 0.0158489], rel=1e-5)


@pytest.mark.parametrize("void", [255, 11, 4])
def test_loss_is_minus_the_log_of_the_true_labels_probability(void: int) -> None:
    random = np.random.default_rng(3)
    scores, labels = random.normal(size=(2, 4, 3, 5)), random.integers(0, 4, (2, 3, 5))
    labels[random.random(labels.shape) < 0.3] = void
    expected = 0.0
    for b, row, column in np.ndindex(2, 3, 5):
        if labels[b, row, column] != void:
            exponentials = np.exp(scores[b, :, row, column])
            expected -= np.log(exponentials[labels[b, row, column]] / exponentials.sum())
    found = segmentation_loss(torch.from_numpy(scores), torch.from_numpy(labels), void)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_weights_multiply_each_positions_loss() -> None:
    random = np.random.default_rng(3)
    scores, labels = torch.from_numpy(random.normal(size=(2, 3, 3, 5))), random.integers(0, 3, (2, 3, 5))
    weights = torch.tensor([0.5, 0, 2])
    parts = [
        segmentation_loss(scores, torch.from_numpy(np.where(labels == label, labels, 255)), 255) for label in range(3)
    ]
    found = segmentation_loss(scores, torch.from_numpy(labels), 255, weights)
    assert float(found) == pytest.approx(float(0.5 * parts[0] + 2 * parts[2]), rel=1e-5)


def test_a_batch_of_void_has_no_loss_and_no_gradient() -> None:
    scores = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = segmentation_loss(scores, torch.full((1, 2, 2), 255), 255)
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert torch.equal(scores.grad, torch.zeros_like(scores))
