from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.errors import InputError, ModelError
from deeplab.labels import CAMVID, VOC
from deeplab.models import ModelInfo
from deeplab.preprocessing import PAPER, grid_size
from deeplab.runtime import ScoreNetwork

MakeModel = Callable[..., Path]


@pytest.mark.parametrize("size", [(1, 1), (9, 9), (20, 20), (3, 400), (60, 90), (65, 41)])
def test_scores_lie_on_the_grid(tiny_model: Path, size: tuple[int, int]) -> None:
    scores = ScoreNetwork(tiny_model, threads=1).scores(np.zeros((*size, 3), np.uint8))
    assert scores.dtype == np.float32
    assert scores.shape == (21, *((grid_size(side) - 1) // 8 + 1 for side in size))


def test_scores_do_not_depend_on_threads(tiny_model: Path, photo: NDArray[np.uint8]) -> None:
    one, two = (ScoreNetwork(tiny_model, threads=threads).scores(photo) for threads in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-4)


def test_info_comes_from_the_file(make_model: MakeModel) -> None:
    info = ScoreNetwork(make_model("street", label_set=CAMVID)).info
    assert (info.name, info.variant, info.label_set, info.preprocessing) == ("street", "largefov", CAMVID, PAPER)
    assert info.card["data"] == "none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: setattr(model.opset_import[0], "version", 99), "Opset 99 is under development"),
        (lambda model: setattr(model.opset_import[0], "version", 0), "is not an ONNX model"),
        (lambda model: setattr(model, "ir_version", 99), "Unsupported model IR version: 99"),
        (lambda model: setattr(model.graph.node[0], "domain", "own.ops"), r"invalid model\. In Node.*own\.ops"),
        (lambda model: setattr(model.graph.node[0], "op_type", "Run"), "is not an ONNX model"),
    ],
)
def test_unknown_versions_and_operators(
    tiny_model: Path, tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    import onnx

    model = onnx.load(tiny_model)
    change(model)
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=message) as caught:
        ScoreNetwork(tmp_path / "other.onnx")
    assert "\n" not in str(caught.value)


def test_operators_of_a_library_are_not_known(tiny_model: Path, tmp_path: Path) -> None:
    """A domain that the file declares still needs its code, which no model file brings."""
    import onnx

    model = onnx.load(tiny_model)
    model.graph.node[0].domain = "own.ops"
    model.opset_import.append(onnx.helper.make_opsetid("own.ops", 1))
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"own\.ops:Conv.* is not a registered function/op"):
        ScoreNetwork(tmp_path / "own.onnx")


def test_a_model_that_may_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        ScoreNetwork(tmp_path)


def test_missing_empty_foreign_and_truncated_files(tmp_path: Path, tiny_model: Path) -> None:
    whole = tiny_model.read_bytes()
    contents = {"empty": b"", "text": b"no network\n" * 50, "half": whole[: len(whole) // 2], "tail": whole[7:]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=f"{name} is not an ONNX model") as caught:
            ScoreNetwork(tmp_path / name)
        assert "\n" not in str(caught.value)
        cause = "No graph was found" if name in ("empty", "tail") else "Protobuf parsing failed"
        assert f"again ({cause}" in str(caught.value)
    with pytest.raises(ModelError, match="no such model file"):
        ScoreNetwork(tmp_path / "missing.onnx")


def info_json(**changes: Any) -> str:
    import json

    fields = json.loads(ModelInfo("own", "largefov", VOC, PAPER).to_json())
    return json.dumps(fields | changes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metadata": ""}, "without deeplab's metadata"),
        ({"metadata": "{"}, "metadata is damaged"),
        ({"metadata": "[]"}, "metadata is damaged"),
        ({"metadata": "{}"}, "lacks 'format'"),
        ({"metadata": info_json(format=2)}, "has format 2, this version reads 1"),
        ({"metadata": info_json(crf={})}, "lacks 'params'"),
        ({"metadata": info_json(preprocessing={})}, "'mean' is missing"),
        ({"metadata": info_json(label_set=VOC.to_dict() | {"void": 3})}, "void must lie after the 21 classes"),
        ({"metadata": info_json(label_set={})}, "'name' is missing"),
        ({"metadata": info_json(label_set=VOC.to_dict() | {"names": []})}, "expected 1 to 255 non-empty class names"),
        ({"metadata": info_json(output_stride="wide")}, "metadata is damaged"),
        ({"channels": 11}, "11 score maps, but 21 labels in its label set 'voc'"),
        ({"size": 33}, r"fixed shape \[1, 3, 33, 'W'\]; export it with free height and width"),
        ({"tensors": ("input", "scores")}, "expected the input 'image'"),
        ({"tensors": ("image", "logits")}, "and the output 'scores'"),
    ],
)
def test_unfit_models(make_model: MakeModel, options: dict[str, Any], message: str) -> None:
    path = make_model("unfit", **options)
    with pytest.raises(ModelError, match=message) as caught:
        ScoreNetwork(path)
    assert str(caught.value).startswith(str(path))


def test_a_failing_network_gives_the_cause(tmp_path: Path, tiny_model: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(tiny_model)
    model.graph.node[-1].output[0] = "unshaped"
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 21, 99, 99]), "shape"))
    model.graph.node.append(helper.make_node("Reshape", ["unshaped", "shape"], ["scores"]))
    onnx.save(model, tmp_path / "failing.onnx")
    with pytest.raises(ModelError, match=r"The input tensor cannot be reshaped .*; give a smaller photo") as caught:
        ScoreNetwork(tmp_path / "failing.onnx").scores(np.zeros((60, 60, 3), np.uint8))
    assert "free height" not in str(caught.value)
    assert "ONNXRuntimeError" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_model_of_other_stride(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match=r"gave \(17, 17\) scores .* expected \(9, 9\)"):
        ScoreNetwork(make_model("fine", layers=2)).scores(np.zeros((60, 60, 3), np.uint8))


def test_threads_must_be_positive(tiny_model: Path) -> None:
    with pytest.raises(InputError, match="threads is 0; expected an integer, at least 1"):
        ScoreNetwork(tiny_model, threads=0)
