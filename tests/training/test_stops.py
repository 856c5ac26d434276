"""Runs that end early: Ctrl-C, numbers that are not finite, a full disk."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from deeplab.errors import ModelError, OutputError
from deeplab.network.importers import Initialisation
from deeplab.network.weights import load_checkpoint, read_safetensors
from deeplab.training.interruption import stop_requests
from deeplab.training.recipe import Recipe
from deeplab.training.train import train

Logged = Callable[[Path], list[dict[str, Any]]]


def position(output: Path) -> list[Any]:
    _, metadata = read_safetensors(output / "state.safetensors")
    found: list[Any] = json.loads(metadata["state"])["position"]
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_stopped_run_saves_its_state_and_goes_on_bit_for_bit(
    number: signal.Signals, precision: Any, recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    long = replace(recipe, solver=replace(recipe.solver, iterations=6), precision=precision)
    lines: list[str] = []

    def show(stage: str, done: int, total: int, facts: str) -> None:
        if (stage, done) == ("main", 2):
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        train(long, data, fresh, tmp_path / "stopped", lines.append, show)
    assert position(tmp_path / "stopped") == ["main", 3]
    assert lines[-2:] == [
        "stopping after this iteration; once more to stop at once",
        "stopped main at iteration 3; the same command goes on from there",
    ]
    resumed = train(long, data, fresh, tmp_path / "stopped", lines.append)
    assert "resuming main at iteration 3" in lines
    whole = train(long, data, fresh, tmp_path / "whole", str)
    assert resumed.read_bytes() == whole.read_bytes()


def test_a_second_ctrl_c_acts_at_once_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_requests(str, alone=True) as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with stop_requests(str, alone=False) as asked:  # torchrun passes it on
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert asked()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_state(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    wild = replace(recipe, solver=replace(recipe.solver, iterations=9, learning_rate=1e12))
    with pytest.raises(ModelError, match=r"the loss became (nan|inf) in iteration \d of main; lower learning_rate, or"):
        train(wild, data, fresh, tmp_path / "run", str)
    assert position(tmp_path / "run") == ["main", 0]
    with pytest.raises(ModelError, match=r"another recipe .*learning_rate: 1000000000000\.0 → 0\.001"):
        train(recipe, data, fresh, tmp_path / "run", str)


def test_a_state_with_infinite_weights_is_never_written(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    """The update may break the weights before the next loss tells."""
    solver = replace(recipe.solver, iterations=1, learning_rate=1e37, classifier_rate=30, bias_rate=1, loss="sum")
    wild = replace(recipe, solver=solver)
    with pytest.raises(ModelError, match=r"fc8\.bias became infinite or NaN by iteration 1 of main; lower"):
        train(wild, data, fresh, tmp_path / "run", str)
    assert position(tmp_path / "run") == ["main", 0]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the kernel refuses, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_leaves_the_state_before(recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation) -> None:
    output, lines = tmp_path / "run", list[str]()
    size = 0

    def show(stage: str, done: int, total: int, facts: str) -> None:
        nonlocal size
        if stage != "main":
            return
        size = (output / "state.safetensors").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    with largest_file(10**9), pytest.raises(OutputError, match=r"cannot write .*state\.safetensors: File too large"):
        train(recipe, data, fresh, output, lines.append, show)
    assert position(output) == ["main", 0]
    assert {path.name for path in output.iterdir()} == {"state.safetensors", "log.jsonl"}
    assert load_checkpoint(train(recipe, data, fresh, output, str))[1].progress["iterations"] == 2


def test_a_log_that_cannot_be_written_is_one_line(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    (tmp_path / "run" / "log.jsonl").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"log\.jsonl is a folder; give the name of a file"):
        train(recipe, data, fresh, tmp_path / "run", str)


def test_the_network_that_validated_best_is_kept(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation, logged: Logged
) -> None:
    """Rising rates wreck the network after a good start."""
    solver = replace(recipe.solver, iterations=6, learning_rate=0.05, gamma=40.0, step_iterations=4)
    changed = replace(
        recipe, solver=solver, validation=recipe.data[0], shared_photos=True, validate_every=1, validate_at=(0,)
    )
    train(changed, data, fresh, tmp_path / "run", str)
    figures = [line["mean_iou"] for line in logged(tmp_path / "run") if "mean_iou" in line]
    assert len(figures) == 7
    _, header = load_checkpoint(tmp_path / "run" / "best.safetensors")
    assert list(header.progress.values())[-1] == max(figures)
    assert len(header.progress) == figures.index(max(figures)) + 1


def test_a_state_of_an_older_version_goes_on(recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation) -> None:
    """Its recipe and its label set lack the keys that came later."""
    train(recipe, data, fresh, tmp_path / "run", str)
    path = tmp_path / "run" / "state.safetensors"
    tensors, metadata = read_safetensors(path)
    content = json.loads(metadata["state"])
    header = json.loads(content["header"])
    del header["label_set"]["background"], header["recipe"]["data"][0]["crowds"]
    save_file(tensors, path, metadata={"state": json.dumps(content | {"header": json.dumps(header)})})
    train(recipe, data, fresh, tmp_path / "run", str)
