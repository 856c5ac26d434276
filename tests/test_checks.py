"""Names that are nearly right, and how many threads there are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from deeplab.checks import choose, did_you_mean, thread_count, threads_asked_for
from deeplab.errors import DataError, InputError
from deeplab.runtime import ScoreNetwork
from deeplab.server import compute
from deeplab.server.settings import Settings


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("rabit", "did you mean 'Rabbit'?"),
        ("RABBIT", "did you mean 'Rabbit'?"),
        ("zebra", ""),
        ("", ""),
        (7, ""),
        ("x" * 10**6, ""),
    ],
)
def test_the_nearest_name_is_named_whatever_its_case(given: Any, hint: str) -> None:
    assert did_you_mean(given, ("cat", "Rabbit", "rat")) == hint


def test_a_name_that_a_table_lacks_is_met_with_those_it_has() -> None:
    table = {"cat": 1, "rabbit": 2}
    assert choose("cat", table, "animal") == 1
    with pytest.raises(InputError, match=r"unknown animal 'rabit': did you mean 'rabbit'\? choose one of cat, rabbit$"):
        choose("rabit", table, "animal")
    with pytest.raises(DataError, match=r"^unknown animal 'zebra': choose one of cat, rabbit$"):
        choose("zebra", table, "animal", DataError)


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> int:
    """A machine of sixteen cores, of which this process may run on all, whatever it is really."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return 16


def test_threads_are_those_given_else_those_of_the_environment_else_all_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.delenv("DEEPLAB_THREADS", raising=False)
    assert (threads_asked_for(None), thread_count(None), thread_count(3), thread_count(99)) == (None, cores, 3, cores)
    monkeypatch.setenv("DEEPLAB_THREADS", "5")
    assert (threads_asked_for(None), thread_count(None), thread_count(3)) == (5, 5, 3)


def test_a_network_takes_as_many_threads_as_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, cores: int, tiny_model: Path
) -> None:
    monkeypatch.setenv("DEEPLAB_THREADS", "2")
    assert threads_of(ScoreNetwork(tiny_model)) == 2
    assert threads_of(ScoreNetwork(tiny_model, threads=1)) == 1
    monkeypatch.setenv("DEEPLAB_THREADS", "many")
    with pytest.raises(InputError, match="DEEPLAB_THREADS is 'many'; expected an integer"):
        ScoreNetwork(tiny_model)
    monkeypatch.delenv("DEEPLAB_THREADS")
    assert threads_of(ScoreNetwork(tiny_model)) == 0  # as ONNX Runtime sees fit


def threads_of(network: ScoreNetwork) -> int:
    return int(network._session.get_session_options().intra_op_num_threads)


def test_the_servers_workers_share_the_threads_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    given: list[int] = []
    monkeypatch.setattr(compute, "_Worker", lambda models, max_pixels, threads: given.append(threads))
    monkeypatch.setenv("DEEPLAB_THREADS", "6")
    compute.Compute(Settings(workers=2), {})
    assert given == [3, 3]
    monkeypatch.delenv("DEEPLAB_THREADS")
    compute.Compute(Settings(workers=2), {})
    assert given[2:] == [8, 8]
