from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab import models, verify
from deeplab.errors import ModelError
from deeplab.models import CHECK_PHOTOS, shipped_models, shipped_record
from deeplab.runtime import ScoreNetwork
from deeplab.verify import Check, record_model, verify_model


@pytest.fixture
def shelf(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with the tiny model in it, and its record."""
    (tmp_path / "tiny.onnx").write_bytes(tiny_model.read_bytes())
    (tmp_path / "shipped.json").write_text(json.dumps(record_model(tiny_model)))
    monkeypatch.setattr(models, "_FOLDER", tmp_path)
    return tmp_path


def checks(model: str | Path) -> list[Check]:
    return list(verify_model(model, threads=1))


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_are_as_recorded(name: str) -> None:
    found = checks(name)
    assert len(found) == 5
    assert [check for check in found if not check.passed] == []
    assert all("from the record" in check.line for check in found[2:])


def test_the_record_has_the_shipped_models_alone() -> None:
    assert set(shipped_record()) == set(shipped_models())
    assert [photo.stem for photo in CHECK_PHOTOS] == ["astronaut", "cat", "coffee"]


def test_a_copy_is_known_by_its_hash(shelf: Path, tmp_path: Path) -> None:
    copy = tmp_path / "renamed.onnx"
    copy.write_bytes((shelf / "tiny.onnx").read_bytes())
    found = checks(copy)
    assert found[0].line.endswith("that of the shipped tiny")
    assert all(check.passed for check in found)


def test_a_changed_shipped_file_fails(shelf: Path) -> None:
    """A byte more, which the runtime does not mind: an empty field of a number ONNX does not know."""
    with (shelf / "tiny.onnx").open("ab") as file:
        file.write(bytes([15 << 3, 0]))
    first, *rest = checks("tiny")
    assert not first.passed
    assert "is not that of the shipped tiny; install" in first.line
    assert all(check.passed for check in rest)


def test_other_scores_fail(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = ScoreNetwork.scores

    def overflown(self: ScoreNetwork, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = score(self, image)
        scores[3] = scores.max(axis=0)
        return scores

    monkeypatch.setattr(ScoreNetwork, "scores", overflown)
    found = checks("tiny")
    assert [check.passed for check in found] == [True, True, False, False, False]
    assert "bird is 0." in found[2].line
    assert "update onnxruntime" in found[2].line


def test_scores_that_are_no_numbers_fail(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScoreNetwork, "scores", lambda self, image: np.full((21, 5, 5), np.nan, np.float32))
    assert [check.passed for check in checks(tiny_model)] == [True, True, False, False, False]


def test_an_own_model_is_loaded_and_run(tiny_model: Path) -> None:
    found = checks(tiny_model)
    assert all(check.passed for check in found)
    assert found[0].line.endswith("no shipped model's")
    assert found[1].line.startswith("tiny: largefov, 21 labels")
    assert found[3].line.startswith("cat: ")
    assert "record" not in found[3].line


def test_a_damaged_model_ends_the_checks(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "half.onnx").write_bytes(tiny_model.read_bytes()[:1000])
    found = checks(tmp_path / "half.onnx")
    assert [check.passed for check in found] == [True, False]
    assert "is not an ONNX model" in found[1].line


def test_the_record_is_the_mean_softmax_of_the_scores(tiny_model: Path) -> None:
    from PIL import Image

    record = record_model(tiny_model)["tiny"]["mean_probabilities"]["cat"]
    with Image.open(next(photo for photo in CHECK_PHOTOS if photo.stem == "cat")) as photo:
        scores = ScoreNetwork(tiny_model).scores(np.asarray(photo)).astype(np.float64)
    means = (np.exp(scores) / np.exp(scores).sum(axis=0)).mean(axis=(1, 2))
    assert record["cat"] == pytest.approx(means[8], abs=1e-4)
    assert sum(record.values()) == pytest.approx(1, abs=0.01)


def test_missing_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        next(verify_model(tmp_path / "none.onnx"))


def test_command(run: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = run("verify", str(tiny_model.parent))
    assert status == 0
    assert [line[:6] for line in out.splitlines()] == ["ok    "] * 5
    (tmp_path / "half.onnx").write_bytes(tiny_model.read_bytes()[:1000])
    status, out, _ = run("verify", str(tmp_path / "half.onnx"))
    assert status == 1
    assert out.splitlines()[1].startswith("FAILED")
    monkeypatch.setattr(verify, "CHECK_PHOTOS", CHECK_PHOTOS[:1])
    status, out, _ = run("verify", str(tiny_model), "--record")
    assert list(json.loads(out)["tiny"]["mean_probabilities"]) == ["astronaut"]
    assert run("verify", "nothing")[0] == 1
