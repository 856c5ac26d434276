"""The fuzzer's readers of strangers' files: each reads its sound files, and some damaged ones without a traceback."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the fuzzer needs all extras")
sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import fuzz_files
from fuzz_targets import TARGETS

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the fuzzer looks for its memory in /proc"),
    pytest.mark.filterwarnings("ignore"),
]

DAMAGED = 5


@pytest.mark.parametrize("name", TARGETS)
def test_files_are_read_or_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, place = TARGETS[name], tmp_path / "input"
    monkeypatch.chdir(tmp_path)
    try:
        sound: Any = fuzz_files.sound_files(target, place)
        first = fuzz_files.outcome_of(target, place)
    except ModuleNotFoundError as error:
        pytest.skip(f"needs {error.name}")
    assert first.kind == ("refused" if target.lacks else "read"), first.said
    assert target.lacks in first.said
    for seed in range(DAMAGED):
        fuzz_files.lay_out(target, place, sound, random.Random(f"{name} {seed}"))
        outcome = fuzz_files.outcome_of(target, place)
        assert outcome.kind not in ("traceback", "long message"), f"seed {seed}: {outcome.said}"
