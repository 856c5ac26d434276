from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from deeplab.network.weights import read_safetensors

SCRIPT = Path(__file__).parent / "run_and_die.py"


def run(data: Path, *deaths: str) -> list[str]:
    """Run a training once a death; return what each process printed."""
    command = [sys.executable, str(SCRIPT), str(data), *deaths]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stderr
    return re.split(r"(?<=status \d\n)", result.stdout)[:-1]


def logged(output: Path) -> dict[Any, Any]:
    """What was logged of each iteration and validation, the last line of each."""
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return {
        (line["stage"], line["iteration"], "loss" in line): line.get("loss", line.get("mean_iou")) for line in lines
    }


# The seconds between saved states and when the process dies; and where it must have taken up the run.
DEATHS = {
    "0:trunk features 3": "3 photos",
    "0:warm-up 2": "resuming warm-up at iteration 0",  # after the update, before its state is saved
    "0:write 2": "resuming warm-up at iteration 1",  # halfway through the file of the warm-up's last state
    "0.0:write 2": "resuming warm-up at iteration 2",  # the warm-up is over, the main stage's first state half written
    "120:main 2": "resuming warm-up at iteration 3",  # two iterations since the last state
    "120:never": "resuming main at iteration 0",
}


def test_a_run_killed_again_and_again_ends_in_the_same_weights_bit_for_bit(data: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted, *others = run(data, f"{whole}:120:never", *(f"{killed}:{death}" for death in DEATHS))
    assert "signal 0, status 0" in uninterrupted
    for printed, (death, said) in zip(others, DEATHS.items(), strict=True):
        assert said in printed
        signal_number = 0 if death.endswith("never") else signal.SIGKILL
        assert f"ended with signal {signal_number}, status 0" in printed

    expected, header = read_safetensors(whole / "tiny.safetensors")
    found, killed_header = read_safetensors(killed / "tiny.safetensors")
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert killed_header == header
    assert logged(killed) == logged(whole)
    assert ("warm-up", 3, False) in logged(whole)
    leftovers = {path.name for path in killed.iterdir()}
    assert leftovers == {"state.safetensors", "log.jsonl", "best.safetensors", "tiny.safetensors"}
