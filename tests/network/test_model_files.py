"""Networks read back from their model files: the weights, what the header says, and files of other kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from deeplab.crf import CRFSettings
from deeplab.errors import ModelError
from deeplab.labels import VOC, LabelSet
from deeplab.models import METADATA_KEY, ModelInfo
from deeplab.network.build import Network, build_network
from deeplab.network.export import export_onnx
from deeplab.network.header import Header
from deeplab.network.importers import load_initialisation
from deeplab.network.variants import FCN8S, VARIANTS, Variant
from deeplab.network.vgg import DeepLab
from deeplab.network.weights import load_checkpoint, open_weights
from deeplab.preprocessing import PAPER
from deeplab.runtime import ScoreNetwork

pytestmark = pytest.mark.usefixtures("thin_trunk")

Build = Callable[..., DeepLab]
Store = Callable[..., Path]
INT8_WEIGHT_STEPS = 63  # docs/models.md: 7 bits


@pytest.fixture
def store(tmp_path: Path, labels: LabelSet) -> Store:
    """A function that exports a network."""

    def store(model: Network, **options: Any) -> Path:
        path = tmp_path / "pets.onnx"
        settings: dict[str, Any] = {"name": "pets", "crf": CRFSettings(iterations=7), "card": {"data": "none"}}
        export_onnx(
            model, Header(model.variant, labels, PAPER), path, overwrite=True, say=str, **{**settings, **options}
        )
        return path

    return store


def photo(seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (41, 57, 3), dtype=np.uint8)


@pytest.mark.parametrize("zoom", [1, 2])
@pytest.mark.parametrize("paper", [False, True])
def test_every_variant_comes_back_whole(variant: Variant, paper: bool, zoom: int, build: Build, store: Store) -> None:
    pooled = variant.with_paper_pooling() if paper else variant
    model = build(replace(pooled, strided_msc=paper and variant.msc, input_zoom=zoom))
    path, expected = store(model), model.state_dict()
    for file in (path, changed(path, with_info(network={}))):  # the second as older versions wrote it
        loaded, header = load_checkpoint(file)
        assert header.variant == loaded.variant == model.variant
        assert loaded.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


def test_a_model_file_says_what_a_checkpoint_does(build: Build, largefov: Variant, store: Store) -> None:
    info = open_weights(store(build(replace(largefov, input_zoom=2)))).info
    assert info is not None
    assert info.network == {
        "name": "largefov", "pooling": "3x3+average", "fc_channels": 8, "strided_msc": False, "input_zoom": 2
    }  # fmt: skip


def test_fcn8s_comes_back_whole(store: Store) -> None:
    model = build_network(replace(FCN8S, fc_channels=8), 3)
    loaded, header = load_checkpoint(store(model))
    assert header.variant == model.variant
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_the_header_comes_from_the_metadata(build: Build, largefov: Variant, labels: LabelSet, store: Store) -> None:
    path = store(build(largefov))
    _, header = load_checkpoint(path)
    assert (header.label_set, header.preprocessing) == (labels, PAPER)
    assert header.initialisation == {"source": "deeplab model file", "model": "pets", "card": {"data": "none"}}
    assert open_weights(path).card == (CRFSettings(iterations=7), {"data": "none"})
    weights = load_initialisation(path, largefov)
    assert weights.header == header
    assert (weights.record["source"], weights.record["file"]) == ("deeplab model file", "pets.onnx")


def test_float16_comes_back_rounded(build: Build, largefov: Variant, store: Store) -> None:
    model = build(largefov)
    loaded, _ = load_checkpoint(store(model, precision="float16"))
    assert all(
        torch.equal(tensor, model.state_dict()[name].half().float()) for name, tensor in loaded.named_parameters()
    )


@pytest.mark.parametrize("name", ["largefov", "deeplab"])
def test_int8_comes_back_to_half_a_step(name: str, build: Build, store: Store) -> None:
    model = build(replace(VARIANTS[name], fc_channels=8))
    path = store(model, precision="int8", calibration=[photo(1), photo(2)])
    loaded, _ = load_checkpoint(path)
    input_steps = {
        tensor.name.removesuffix(".input.step"): float(numpy_helper.to_array(tensor))
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.endswith(".input.step")
    }
    assert {"conv1_2", "conv5_3", "fc6", "fc7"} < input_steps.keys()
    for layer in model.state_dict():
        layer, _, kind = layer.rpartition(".")
        weight, bias = (model.get_parameter(f"{layer}.{kind}") for kind in ("weight", "bias"))
        step = weight.abs().amax((1, 2, 3)) / INT8_WEIGHT_STEPS
        off = (loaded.get_parameter(f"{layer}.{kind}") - (weight if kind == "weight" else bias)).abs()
        if kind == "bias":
            step = step * input_steps.get(layer, 0)
        assert (off.reshape(len(step), -1).amax(1) <= step / 2 + 1e-6).all()


def learnt_fcn8s() -> Network:
    """With scoring layers that no longer start from zero, and activations that keep their size."""
    torch.manual_seed(0)
    model = build_network(replace(FCN8S, fc_channels=8), 3).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and not name.startswith("upscore"):
            torch.nn.init.kaiming_normal_(parameter)
    return model


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize(
    ("name", "share", "among"),
    [
        ("largefov", 0.5, {"conv2_2", "fc6"}),
        ("msc-deeplab", 0.5, {"msc_pool1.conv2", "msc_pool4.conv2"}),
        ("fcn8s", 0.02, {"conv2_1"}),
    ],
)
def test_layers_of_lower_rank_come_back_as_one(
    name: str, share: float, among: set[str], precision: str, build: Build, store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("deeplab.network.low_rank.RANKS", 2)
    for module in ("vgg", "onnx_graph"):  # the thin trunk's channels
        taps = (("image", 3, 1), ("pool1", 4, 2), ("pool2", 4, 4), ("pool3", 8, 8), ("pool4", 8, 8))
        monkeypatch.setattr(f"deeplab.network.{module}.MSC_TAPS", taps)
    model: Network = build(replace(VARIANTS[name], fc_channels=8)) if name in VARIANTS else learnt_fcn8s()
    *seen, image = (np.tile(photo(seed), (4, 4, 1)) for seed in range(4))
    path = store(model, precision=precision, low_rank=share, calibration=seen)
    names = {tensor.name.removesuffix(".half") for tensor in onnx.load(path).graph.initializer}
    cut = {name.removesuffix(".basis.bias") for name in names if name.endswith(".basis.bias")}
    assert cut >= among
    assert cut.isdisjoint({"conv1_1", "msc_image.conv1", "fc8", "score_pool3"})
    loaded, _ = load_checkpoint(path)
    found = ScoreNetwork(path, threads=1).scores(image)
    same = ScoreNetwork(store(loaded), threads=1).scores(image)
    tolerance = {"float32": 1e-4, "float16": 1e-2, "int8": 0.15}[precision]
    assert np.sqrt(np.square(same - found).mean()) < tolerance * same.std()
    whole = ScoreNetwork(store(model), threads=1).scores(image)
    assert 1e-3 * whole.std() < np.sqrt(np.square(whole - found).mean()) < whole.std()


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_layer_that_never_moves_may_be_of_lower_rank(
    precision: str, build: Build, largefov: Variant, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplab.network.low_rank.RANKS", 2)
    model = build(largefov)
    model.conv5_2.weight.data[:] = 0
    options = {"precision": precision, "calibration": [photo(1), photo(2), photo(3)]}
    expected = ScoreNetwork(store(model, **options), threads=1).scores(photo(4))
    path = store(model, low_rank=0.002, **options)
    assert any(entry.name.startswith("conv5_2.basis") for entry in onnx.load(path).graph.node)
    found = ScoreNetwork(path, threads=1).scores(photo(4))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, atol=0.05 * expected.std() + 1e-3)


def test_int8_weights_compute_what_the_file_does(build: Build, largefov: Variant, store: Store) -> None:
    path = store(build(largefov), precision="int8", calibration=[photo(1), photo(2)])
    network, image = ScoreNetwork(path, threads=1), photo(3)
    expected = network.scores(image)
    loaded, _ = load_checkpoint(path)
    exact = ScoreNetwork(store(loaded), threads=1).scores(image)
    assert np.sqrt(np.square(exact - expected).mean()) < 0.1 * exact.std()
    store(loaded, precision="int8", calibration=[photo(1), photo(2)])
    again, _ = load_checkpoint(path)
    for name, tensor in again.state_dict().items():
        if name.endswith("weight"):  # whole steps stay whole steps; a bias's step is the calibration's, too
            torch.testing.assert_close(tensor, loaded.get_parameter(name), rtol=1e-6, atol=0)


def test_a_shipped_model_by_its_name(
    build: Build, largefov: Variant, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = build(largefov), store(build(largefov))
    monkeypatch.setattr("deeplab.network.weights.shipped_models", lambda: {"pets": path})
    monkeypatch.chdir(tmp_path)
    assert torch.equal(load_checkpoint(Path("pets"))[0].get_parameter("fc7.weight"), model.fc7.weight)
    assert load_initialisation(Path("pets"), largefov).record["file"] == "pets.onnx"
    assert open_weights(Path("pets")).card.card == {"data": "none"}
    with pytest.raises(ModelError, match="pest: no such file; check the spelling, or give a shipped model's name"):
        load_checkpoint(Path("pest"))


def test_its_classifiers_are_left_out_for_other_labels(build: Build, largefov: Variant, store: Store) -> None:
    weights = load_initialisation(store(build(largefov)), largefov).without_classifiers()
    assert weights.apply_to(DeepLab(largefov, 3))["random"] == ["fc8"]
    assert weights.apply_to(DeepLab(largefov, 11))["random"] == ["fc8"]


def test_another_network_is_refused(build: Build, largefov: Variant, store: Store) -> None:
    path = store(build(largefov))
    with pytest.raises(ModelError, match=r"pets\.onnx holds DeepLab-LargeFOV .*; give one of 'deeplab-7x7'"):
        load_initialisation(path, replace(VARIANTS["deeplab-7x7"], fc_channels=8))


def changed(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def without(name: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        initializers = model.graph.initializer
        initializers.remove(next(tensor for tensor in initializers if tensor.name == name))

    return change


def with_value(name: str, **changes: Any) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        for field, value in changes.items():
            setattr(tensor, field, value)

    return change


def with_info(**changes: Any) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        entry = next(entry for entry in model.metadata_props if entry.key == METADATA_KEY)
        entry.value = replace(ModelInfo.from_json(entry.value), **changes).to_json()

    return change


def without_layers(model: onnx.ModelProto) -> None:
    with_info(network={})(model)
    model.graph.ClearField("node")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.ClearField("metadata_props"), "without deeplab's metadata; give one that"),
        (without_layers, "its graph has no layer pool1"),
        (without("fc7.weight"), r"it holds no fc7\.weight"),
        (without("conv4_2.bias"), r"it holds no conv4_2\.bias"),
        (without("fc6.input.step"), r"it holds no fc6\.input\.step"),
        (with_info(label_set=VOC), r"fc8\.bias is \(3,\), but its header .*21 labels\) calls for \(21,\)"),
        (with_info(variant="resnet"), "unknown network variant 'resnet'"),
        (with_info(network={"hole": 3}), "a network has no option 'hole'; update deeplab-crf"),
        (with_info(network={"input_zoom": 3}), "input_zoom must be one of 1, 2, 4, got 3"),
        (with_info(network={"pooling": "4x4"}), "is damaged"),
        (with_info(network={"pooling": []}), "is damaged"),
        (with_info(variant="msc-largefov"), r"it holds no msc_image\.conv1\.weight"),
        (with_value("fc7.weight", raw_data=b"short"), "is damaged"),
        (with_value("fc7.weight", data_type=99), "is damaged"),
        (with_value("fc7.weight_step", raw_data=b"\xff" * 32), r"fc7\.weight holds values that are not finite"),
        (with_value("fc7.weight", data_location=TensorProto.EXTERNAL), "keeps weights in other files"),
    ],
)
def test_files_of_something_else(
    change: Callable[[onnx.ModelProto], None], message: str, build: Build, largefov: Variant, store: Store
) -> None:
    path = changed(store(build(largefov), precision="int8", calibration=[photo(1)]), change)
    for load in (load_checkpoint, lambda path: load_initialisation(path, largefov)):
        with pytest.raises(ModelError, match=rf"pets\.onnx.*{message}") as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_damaged_and_foreign_files(build: Build, largefov: Variant, store: Store, tmp_path: Path) -> None:
    path = store(build(largefov))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"is no ONNX file, or damaged \(.*\); copy it again"):
        load_checkpoint(path)
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["scores"])], "foreign", [], [])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(ModelError, match="without deeplab's metadata"):
        load_initialisation(path, largefov)
    (tmp_path / "eight").write_bytes(b"\x08\0\0\0\0\0\0\0{half a")  # safetensors whose header takes eight bytes
    with pytest.raises(ModelError, match="is no safetensors file, or damaged"):
        open_weights(tmp_path / "eight")
