from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deeplab.errors import OutputError
from deeplab.network.importers import Initialisation
from deeplab.training.log import open_log
from deeplab.training.machine import Machine
from deeplab.training.recipe import Recipe
from deeplab.training.train import train

Logged = Callable[[Path], list[dict[str, Any]]]


def test_one_object_a_line(tmp_path: Path, logged: Logged) -> None:
    log = open_log(tmp_path)
    log(stage="main", iteration=1, loss=0.5)
    open_log(tmp_path)(stage="main", iteration=2, loss=float("inf"))
    assert logged(tmp_path) == [
        {"stage": "main", "iteration": 1, "loss": 0.5},
        {"stage": "main", "iteration": 2, "loss": float("inf")},
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorBoard's own
def test_tensorboard_reads_the_same_numbers(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation, logged: Logged
) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    changed = replace(recipe, validation=recipe.data[0], shared_photos=True)
    train(changed, data, fresh, tmp_path / "run", str, machine=Machine(tensorboard=True))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("main/loss")]
    lines = logged(tmp_path / "run")
    assert losses == [(line["iteration"], pytest.approx(line["loss"])) for line in lines if "loss" in line]
    assert [event.step for event in events.Scalars("main/mean_iou")] == [2]


def test_a_log_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(OutputError, match=r"log\.jsonl is a symbolic link; move it away"):
        open_log(tmp_path)
