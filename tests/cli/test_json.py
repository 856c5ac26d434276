"""What --json prints: one object, all that standard output holds, valid by the schema that the documentation shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.data.samples import Sample
from deeplab.labels import VOC

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "output.schema.json").read_text())

Run = Callable[..., Any]


def valid(out: str, command: str) -> dict[str, Any]:
    """The document that a command printed, valid by the schema."""
    document: dict[str, Any] = json.loads(out)
    jsonschema_rs.validator_for(SCHEMA).validate(document)
    assert document["command"] == command
    return document


@pytest.fixture
def photos(tmp_path: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two photos beside the current one."""
    (tmp_path / "photos").mkdir()
    for name in ("one.jpg", "two.png"):
        Image.fromarray(photo).save(tmp_path / "photos" / name)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "photos"


def test_the_schema_itself_is_sound() -> None:
    jsonschema_rs.meta.validate(SCHEMA)
    commands = SCHEMA["properties"]["command"]["enum"]
    assert [each["if"]["properties"]["command"]["const"] for each in SCHEMA["allOf"]] == commands


def test_segment_lists_photos_and_what_went_wrong(run: Run, photos: Path, tiny_model: Path) -> None:
    outcome = run("segment", str(photos), "missing.jpg", "*.gif", "--model", str(tiny_model), "--json")
    assert outcome.status == 1
    document = valid(outcome.out, "segment")
    assert "one.jpg → one.png" in outcome.err  # what is else printed is said there
    found = {each["file"]: each for each in document["result"]["photos"]}
    one = found[str(photos / "one.jpg")]
    assert (one["outputs"], one["width"], one["error"]) == (["one.png", "one_overlay.jpg"], 90, None)
    assert sum(one["classes"].values()) == pytest.approx(1)
    assert [line for line in document["errors"] if "missing.jpg: no such file" in line]
    assert len(document["errors"]) == 2
    again = valid(run("segment", str(photos), "--model", str(tiny_model), "--json", "-q").out, "segment")
    assert (again["result"]["done"], again["result"]["photos"], again["errors"]) == (2, [], [])


def test_a_command_that_fails_says_so_in_json_too(run: Run, photos: Path) -> None:
    outcome = run("segment", str(photos), "--model", "resnet", "--json")
    assert outcome.status == 1
    document = valid(outcome.out, "segment")
    assert "unknown model 'resnet'" in document["errors"][0]
    assert outcome.err.startswith("error: unknown model 'resnet'")
    assert "both want standard output" in run("segment", str(photos), "-o", "-", "--json").err
    assert valid(run("evaluate", "--data", "nothing", "--json").out, "evaluate")["result"] is None


@pytest.mark.parametrize("command", ["models", "variants"])
def test_listings_hold_what_their_text_does(run: Run, command: str) -> None:
    rows = valid(run(command, "--json").out, command)["result"]
    text = run(command).out
    assert rows
    for row in rows:
        assert row["name"] in text


def test_evaluate_prints_every_figure(
    run: Run, samples: tuple[Sample, ...], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{sample.photo.relative_to(tmp_path)} {sample.mask.relative_to(tmp_path)}" for sample in samples]
    (tmp_path / "val.txt").write_text("\n".join(lines))
    (tmp_path / "classes.txt").write_text("\n".join(VOC.names))
    monkeypatch.chdir(tmp_path)
    arguments = ("evaluate", "--data", ".", "--reader", "list", "--model", str(tiny_model), "--boundary-f1")
    for options in ((), ("--trimap", "void", "--resamples", "0"), ("--no-crf", "--classes", "cat,dog")):
        outcome = run(*arguments, *options, "--json")
        assert outcome.status == 0, outcome.err
        assert "mean IoU" in outcome.err
        assert "network" in valid(outcome.out, "evaluate")["result"]["results"]


def test_check_data_prints_every_finding(run: Run, tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder / "train").mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(tmp_path / "images" / "train" / "a.png")
    Image.new("L", (8, 6), 7).save(tmp_path / "masks" / "train" / "a.png")
    (tmp_path / "classes.txt").write_text("grass\nleaf\n")
    outcome = run("check-data", str(tmp_path), "--json")
    assert outcome.status == 1
    result = valid(outcome.out, "check-data")["result"]
    assert result["problems"] == len([each for each in result["findings"] if each["problem"]]) == 1
    assert "1 problems: labels beyond the classes" in outcome.err
