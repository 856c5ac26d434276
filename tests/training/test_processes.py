from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from deeplab.errors import InputError
from deeplab.network import variants
from deeplab.network.weights import read_safetensors
from deeplab.training.machine import Machine, join

SCRIPT = Path(__file__).parent / "run_together.py"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*TORCHRUN, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def logged(output: Path) -> dict[Any, Any]:
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return {
        (line["stage"], line["iteration"], "loss" in line): line.get("loss", line.get("mean_iou")) for line in lines
    }


def test_two_processes_learn_what_one_learns(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same losses and weights, but for the order of float32 sums; also after Ctrl-C in one of them."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    for name in ("VARIANTS", "CONV_CHANNELS"):
        monkeypatch.setattr(variants, name, getattr(variants, name))  # the script changes them
    monkeypatch.syspath_prepend(SCRIPT.parent)
    runpy.run_path(str(SCRIPT))["main"](str(data), str(alone))
    stopped = run(data, together, "main 1")
    assert stopped.returncode != 0
    assert "stopped main at iteration 2" in stopped.stdout  # agreed upon in the next update
    resumed = run(data, together)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming main at iteration 2" in resumed.stdout
    for said in ("3 photos", "2 processes, this one on cpu", "main 3: validation"):
        assert (stopped.stdout + resumed.stdout).count(said) in (1, 2)  # the first process alone, in each run

    expected, found = logged(alone), logged(together)
    assert found.keys() == expected.keys()
    for moment, value in expected.items():
        assert found[moment] == pytest.approx(value, rel=1e-5), moment
    whole, shared = (read_safetensors(output / "tiny.safetensors")[0] for output in (alone, together))
    for name, tensor in whole.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("device", ["tpu", "meta", "cuda:99"])
def test_devices_that_are_not_there(device: str) -> None:
    with pytest.raises(InputError, match=rf"device '?{device}.*give"), join(device):
        pass


def test_auto_takes_a_gpu_if_there_is_one() -> None:
    with join("auto") as process:
        assert process.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
        assert (process.rank, process.count, process.is_first) == (0, 1, True)
        assert process.workers(7) == 7


@pytest.mark.parametrize("options", [{"workers": 0}, {"cache_gb": -1}, {"cache_gb": float("nan")}])
def test_bad_machines(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="must be"):
        Machine(**options)
