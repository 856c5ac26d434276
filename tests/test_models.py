from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deeplab import models
from deeplab.crf import CRFParams, CRFSettings
from deeplab.errors import InputError, ModelError
from deeplab.labels import CAMVID, VOC, LabelSet
from deeplab.models import ModelInfo, find_model, shipped_models
from deeplab.models.cards import card_of
from deeplab.preprocessing import PAPER, TORCHVISION
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
def test_unknown_names_and_paths() -> None:
    with pytest.raises(ModelError, match=r"'voc-largefo': did you mean 'voc-largefov'.*camvid-largefov, voc-"):
        find_model("voc-largefo")
    with pytest.raises(ModelError, match="unknown model 'x': shipped are"):
        find_model("x")
    with pytest.raises(ModelError, match="no such model file"):
        find_model("missing.onnx")
    with pytest.raises(ModelError, match="no such model file"):
        find_model("some/where")


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected model\.onnx or one \.onnx file in it, found none"):
        find_model(tmp_path)
    (tmp_path / "pets.onnx").touch()
    (tmp_path / "pets.md").touch()
    assert find_model(str(tmp_path)) == tmp_path / "pets.onnx"
    (tmp_path / "cars.onnx").touch()
    with pytest.raises(ModelError, match=r"found cars\.onnx, pets\.onnx; give a file"):
        find_model(tmp_path)
    (tmp_path / "model.onnx").touch()
    assert find_model(tmp_path) == tmp_path / "model.onnx"


def test_info_round_trip() -> None:
    info = ModelInfo(
        "own",
        "largefov",
        CAMVID,
        TORCHVISION,
        crf=CRFSettings(CRFParams(4, 60, 7, 2, 5), 5, "symmetric"),
        card={"licence": "MIT – ½"},
    )
    assert ModelInfo.from_json(info.to_json()) == info


def test_info_keeps_its_format() -> None:
    fields = json.loads(ModelInfo("own", "largefov", VOC, PAPER).to_json())
    assert list(fields) == [
        "format", "name", "variant", "network", "label_set", "preprocessing", "output_stride", "crf", "card"
    ]  # fmt: skip
    assert fields["crf"] == {"params": CRFParams().to_dict(), "iterations": 10, "normalization": "after"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output_stride": 0}, "output_stride is 0; expected an integer, at least 1"),
        ({"output_stride": -8}, "output_stride is -8"),
        ({"output_stride": float("inf")}, "output_stride is inf"),
        ({"output_stride": 8.5}, "output_stride is 8.5"),
        ({"output_stride": "8"}, "output_stride is '8'"),
        ({"output_stride": 10**9}, "output_stride is 1000000000; .* at most 1,024"),
        ({"name": None}, "name is None; expected text"),
        ({"variant": 3}, "variant is 3; expected text"),
        ({"crf": {"params": {}, "iterations": 2.5, "normalization": "after"}}, "iterations is 2.5"),
        ({"crf": {"params": {}, "iterations": 10, "normalization": "aftr"}}, "did you mean 'after'"),
        ({"crf": {"params": [], "iterations": 10, "normalization": "after"}}, "CRF parameters are"),
        ({"crf": {"params": {}, "iterations": 10}}, "lacks 'normalization'"),
        ({"preprocessing": PAPER.to_dict() | {"mean": [10**400, 0, 0]}}, "401 digits"),
        ({"network": 3}, "is damaged"),
        (
            {"crf": {"params": {"compatibility": [[0, 1], [1, 0]]}, "iterations": 10, "normalization": "after"}},
            r"compatibility has shape \(2, 2\), for 2 labels; expected \(21, 21\)",
        ),
    ],
)
def test_damaged_info(changes: dict[str, Any], message: str) -> None:
    fields = json.loads(ModelInfo("own", "largefov", VOC, PAPER).to_json())
    with pytest.raises(ModelError, match=message) as caught:
        ModelInfo.from_json(json.dumps(fields | changes))
    assert "\n" not in str(caught.value)


def test_a_model_is_not_described_wrongly_in_the_first_place() -> None:
    with pytest.raises(InputError, match="output_stride is 0"):
        ModelInfo("own", "largefov", VOC, PAPER, output_stride=0)
    with pytest.raises(InputError, match=r"bilateral_weight has shape \(2,\), for 2 labels; expected \(21,\)"):
        ModelInfo("own", "largefov", VOC, PAPER, crf=CRFSettings(CRFParams(bilateral_weight=(1, 2))))


def test_what_was_learnt_label_by_label_is_told_in_short() -> None:
    crf = CRFSettings(CRFParams((4, 6), spatial_weight=(1, 2), compatibility=[[0, 1], [2, 0]]))  # type: ignore[arg-type]
    info = ModelInfo("own", "largefov", LabelSet("own", ("soil", "leaf")), PAPER, crf=crf)
    assert ModelInfo.from_json(info.to_json()) == info
    assert "bilateral_weight 5, bilateral_xy_std_px 50" in card_of(Path("own.onnx"), info)
    assert "(means: they were learnt label by label), 10 iterations" in card_of(Path("own.onnx"), info)


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_load_and_say_what_they_are(name: str) -> None:
    info = ScoreNetwork(shipped_models()[name], threads=1).info
    assert info.name == name
    assert info.card


@pytest.mark.parametrize(("names", "background"), [(("background", "leaf"), 0), (("soil", "leaf"), None)])
def test_files_of_older_versions_know_their_background_by_name(names: tuple[str, ...], background: int | None) -> None:
    info = ModelInfo("own", "largefov", LabelSet("own", names), PAPER)
    fields = json.loads(info.to_json())
    assert fields["label_set"].pop("background") == background
    assert ModelInfo.from_json(json.dumps(fields)) == info


def test_a_model_file_says_its_background() -> None:
    info = ModelInfo("own", "largefov", LabelSet("own", ("soil", "leaf"), background=0), PAPER)
    assert ModelInfo.from_json(info.to_json()).label_set.background == 0
