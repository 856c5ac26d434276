from __future__ import annotations

import socket
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--port", "70000"), "port is 70000"),
        (("--timeout-s", "nan"), "timeout_s is nan"),
        (("--token-file", "no/such/file"), "cannot read the token in no/such/file"),
        (("--token-file", "/dev/zero"), "expected a file that holds the token alone"),
        (("--model", "resnet", "--port", "0"), "unknown model 'resnet'"),
        (("--host", "no.such.host.invalid"), "cannot listen on no.such.host.invalid"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(run: Any, arguments: tuple[str, ...], says: str) -> None:
    outcome = run("serve", "--no-open", *arguments)
    assert outcome.status == 1
    last = outcome.err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert says in last


def test_a_port_that_is_taken(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = run("serve", "--no-open", "--port", str(taken.getsockname()[1]))
    assert outcome.status == 1
    assert "choose another --host or --port" in outcome.err


def test_a_damaged_model_is_reported(run: Any, tmp_path: Any) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nothing of the kind")
    outcome = run("serve", "--no-open", "--port", "0", "--model", str(tmp_path / "bad.onnx"))
    assert outcome.status == 1
    assert "bad.onnx is not an ONNX model" in outcome.err


def test_a_token_has_no_place_on_the_command_line(run: Any) -> None:
    """Whoever lists the processes would see it."""
    outcome = run("serve", "--no-open", "--token", "correct-horse-battery")
    assert outcome.status == 2
    assert "--token-file" in outcome.err


@pytest.mark.parametrize("content", ["", "short\n", "two lines\nof words\n", "häääääääää"])
def test_a_file_that_holds_no_token(run: Any, tmp_path: Any, content: str) -> None:
    (tmp_path / "token").write_text(content)
    outcome = run("serve", "--no-open", "--token-file", str(tmp_path / "token"))
    assert outcome.status == 1
    assert "expected one line of at least 8" in outcome.err.strip().splitlines()[-1]
