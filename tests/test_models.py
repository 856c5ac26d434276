from __future__ import annotations

from pathlib import Path

import pytest

from deeplab import models
from deeplab.crf import CRFParams
from deeplab.errors import ModelError
from deeplab.labels import CAMVID
from deeplab.models import ModelInfo, find_model, shipped_models
from deeplab.preprocessing import TORCHVISION
from deeplab.runtime import ScoreNetwork


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with two models in it."""
    for name in ("voc-largefov", "camvid-largefov"):
        (tmp_path / f"{name}.onnx").touch()
    monkeypatch.setattr(models, "_FOLDER", tmp_path)
    return tmp_path


def test_names_and_paths(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(shipped_models()) == ["camvid-largefov", "voc-largefov"]
    assert find_model() == shelf / "voc-largefov.onnx"
    assert find_model("camvid-largefov") == shelf / "camvid-largefov.onnx"
    assert find_model(shelf / "voc-largefov.onnx") == shelf / "voc-largefov.onnx"
    monkeypatch.chdir(shelf)
    assert find_model("voc-largefov.onnx") == Path("voc-largefov.onnx")


@pytest.mark.usefixtures("shelf")
def test_unknown_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'voc-largefo': did you mean 'voc-largefov'.*camvid-largefov, voc-"):
        find_model("voc-largefo")
    with pytest.raises(ModelError, match="unknown model 'x': shipped are"):
        find_model("x")
    with pytest.raises(ModelError, match="no such model file"):
        find_model("missing.onnx")
    with pytest.raises(ModelError, match="no such model file"):
        find_model("some/where")
    with pytest.raises(ModelError, match="is a folder"):
        find_model(tmp_path)


def test_info_round_trip() -> None:
    info = ModelInfo(
        "own",
        "largefov",
        CAMVID,
        TORCHVISION,
        crf_params=CRFParams(4, 60, 7, 2, 5),
        crf_iterations=5,
        card={"licence": "MIT – ½"},
    )
    assert ModelInfo.from_json(info.to_json()) == info


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_load_and_say_what_they_are(name: str) -> None:
    info = ScoreNetwork(shipped_models()[name], threads=1).info
    assert info.name == name
    assert info.card
