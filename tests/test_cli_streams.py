"""The command's streams: full, closed, and ``-`` for standard input and output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell and /dev/full")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line of Bash in a folder, where ``deeplab`` is the command; its status is that of the first to fail."""
    line = f"set -o pipefail; deeplab() {{ '{sys.executable}' -m deeplab \"$@\"; }}; {command}"
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["variants", "--help", "--version"])
def test_an_output_that_is_full_is_one_line(command: str, tmp_path: Path) -> None:
    ended = shell(f"deeplab {command} > /dev/full", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.decode() == (
        "error: cannot write to standard output: No space left on device; make room, or send it elsewhere\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_where_errors_cannot_be_said_the_status_says_it(tmp_path: Path) -> None:
    for closed in ("2> /dev/full", "2>&-"):
        ended = shell(f"deeplab verify nosuch.onnx {closed}", tmp_path)
        assert (ended.returncode, ended.stdout) == (1, b"")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    ended = shell("deeplab variants | head -c 1", tmp_path)
    assert (ended.stdout, ended.stderr) == (b"n", b"")


def test_closed_outputs_are_no_error(tmp_path: Path) -> None:
    assert shell("deeplab variants >&-", tmp_path).returncode == 0
    assert shell("deeplab variants 2>&-", tmp_path).stdout.startswith(b"name")
