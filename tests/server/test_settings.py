from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from deeplab.errors import InputError, ModelError
from deeplab.models import DEFAULT_MODEL
from deeplab.server import page_api
from deeplab.server.settings import Settings, served_models


@pytest.mark.parametrize(
    "given",
    [
        {"port": -1}, {"port": 65536}, {"timeout_s": 0}, {"timeout_s": float("nan")}, {"queue": -1}, {"workers": 0},
        {"max_upload_bytes": 0}, {"max_pixels": 0}, {"token": "short"}, {"token": ""}, {"token": "häääääääää"},
        {"token": "0123456789\n"}, {"token": " 0123456789"}, {"token": "01234\x0056789"},
    ],
)  # fmt: skip
def test_unusable_settings_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        Settings(**given)


def test_a_token_is_not_shown() -> None:
    assert "0123456789" not in repr(Settings(token="0123456789"))


@pytest.mark.parametrize(
    ("host", "name", "answered"),
    [
        ("127.0.0.1", "localhost", True), ("127.0.0.1", "192.168.1.5", False), ("127.0.0.1", "evil.example", False),
        ("192.168.1.5", "192.168.1.5", True), ("192.168.1.5", "192.168.1.6", False), ("my.host", "MY.HOST", True),
        ("0.0.0.0", "192.168.1.5", True), ("::", "fe80::1", True), ("0.0.0.0", "evil.example", False),
    ],
)  # fmt: skip
def test_whom_a_server_answers_to(host: str, name: str, answered: bool) -> None:
    assert Settings(host=host).answers_to(name) == answered


def test_served_models(tiny_model: Path) -> None:
    assert served_models(None)[0] == DEFAULT_MODEL
    default, files = served_models(tiny_model)
    assert (default, files["tiny"]) == ("tiny", tiny_model)
    assert DEFAULT_MODEL in files
    with pytest.raises(ModelError):
        served_models("resnet")


def test_only_the_worker_decodes_what_strangers_sent() -> None:
    for path in Path(page_api.__file__).parent.glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        decodes = not names.isdisjoint({"open_image", "read_image", "read_photo", "load_scores"})
        assert path.stem.endswith("_jobs") or path.stem == "uploads" or not decodes  # jobs run in the worker
