from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deeplab.crf import CRFParams, CRFSettings
from deeplab.errors import DeepLabError, InputError, ModelError, OutputError
from deeplab.labels import VOC, LabelSet
from deeplab.models.card_files import load_card
from deeplab.network.build import Network
from deeplab.network.export import export_onnx
from deeplab.network.fcn import FCN8s
from deeplab.network.header import Header
from deeplab.network.variants import FCN8S, VARIANTS, Variant
from deeplab.network.vgg import DeepLab
from deeplab.onnx_runtime import onnx_runtime
from deeplab.preprocessing import PAPER
from deeplab.runtime import ScoreNetwork

Build = Callable[..., DeepLab]
CRF = CRFSettings(CRFParams(bilateral_weight=4, bilateral_xy_std_px=121), 5, "symmetric")


@pytest.fixture
def export(tmp_path: Path, labels: LabelSet) -> Callable[..., Path]:
    def export(model: Network, **options: Any) -> Path:
        path = tmp_path / f"{options.get('precision', 'float32')}.onnx"
        settings: dict[str, Any] = {"name": "pets", "crf": CRF, "card": {"data": "none"}, "say": lambda line: None}
        export_onnx(model, Header(model.variant, labels, PAPER), path, **{**settings, **options})
        return path

    return export


def run(path: Path, x: torch.Tensor) -> NDArray[np.float32]:
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    scores: NDArray[np.float32] = onnxruntime.InferenceSession(path, options).run(None, {"image": x.numpy()})[0]
    return scores


def check_same(model: Network, path: Path, *sizes: tuple[int, int], tolerance: float = 1e-4) -> None:
    for size in sizes:
        x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(5)) * 60
        with torch.no_grad():
            expected = model.aligned(x).numpy()
        found = run(path, x)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


def photos(count: int) -> list[NDArray[np.uint8]]:
    """Smooth noise: some structure at every scale, as in photos."""
    random = np.random.default_rng(12)
    coarse = random.integers(0, 256, (count, 7, 9, 3)).repeat(8, 1).repeat(8, 2)
    return list((0.7 * coarse + random.integers(0, 77, coarse.shape)).clip(0, 255).astype(np.uint8))


def test_onnx_gives_the_same_scores(variant: Variant, build: Build, export: Callable[..., Path]) -> None:
    model = build(variant)
    check_same(model, export(model), (33, 41), (50, 27))


@pytest.mark.parametrize("name", ["deeplab", "largefov", "msc-largefov"])
def test_onnx_of_finer_and_papers_networks(name: str, build: Build, export: Callable[..., Path]) -> None:
    variant = replace(VARIANTS[name], fc_channels=8, strided_msc=True)
    for model in (build(variant, output_stride=4), build(variant.with_paper_pooling())):
        check_same(model, export(model, overwrite=True), (33, 41), (30, 39))


@pytest.mark.parametrize("name", ["deeplab", "largefov", "msc-largefov"])
def test_onnx_of_zoomed_networks(name: str, build: Build, export: Callable[..., Path]) -> None:
    model = build(replace(VARIANTS[name], fc_channels=8, input_zoom=2))
    path = export(model)
    check_same(model, path, (33, 41), (30, 39))
    network = ScoreNetwork(path, threads=1)
    stride = 1 if model.variant.msc else 4
    assert network.info.output_stride == stride
    assert network.scores(photos(1)[0]).shape == ((3, 56, 72) if model.variant.msc else (3, 15, 19))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_fcn8s(precision: Any, export: Any, thin_trunk: None) -> None:
    torch.manual_seed(0)
    model = FCN8s(replace(FCN8S, fc_channels=8), 3).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and not name.startswith("upscore"):
            torch.nn.init.kaiming_normal_(parameter)
    path = export(model, precision=precision, calibration=photos(3) if precision == "int8" else ())
    if precision == "float32":
        check_same(model, path, (33, 41), (50, 27))
    network, photo = ScoreNetwork(path, threads=1), photos(4)[3]
    with torch.no_grad():
        expected = model(torch.from_numpy(PAPER.apply(photo)))[0].numpy()
    found = network.scores(photo)
    assert (network.info.variant, network.info.output_stride, found.shape) == ("fcn8s", 1, (3, 56, 72))
    assert np.sqrt(np.square(found - expected).mean()) < (0.15 if precision == "int8" else 1e-4) * expected.std()


def test_metadata_reaches_the_runtime(largefov: Variant, labels: LabelSet, build: Build, export: Any) -> None:
    network = ScoreNetwork(export(build(largefov)), threads=1)
    info = network.info
    assert (info.name, info.variant, info.label_set, info.preprocessing) == ("pets", "largefov", labels, PAPER)
    assert (info.crf, info.card) == (CRF, {"data": "none"})
    assert network.scores(photos(1)[0]).shape == (3, 8, 10)


def test_dense_msc_scores_every_pixel(build: Build, export: Any) -> None:
    model = build(replace(VARIANTS["msc-largefov"], fc_channels=8))
    network = ScoreNetwork(export(model), threads=1)
    assert network.info.output_stride == 1
    assert network.scores(photos(1)[0]).shape == (3, 56, 72)


def test_float16_takes_half_and_int8_a_quarter(largefov: Variant, build: Build, export: Any) -> None:
    model = build(largefov)
    lines: list[str] = []
    paths = [export(model), export(model, precision="float16")]
    paths.append(export(model, precision="int8", calibration=iter(photos(10)), say=lines.append))
    full, half, quarter = (path.stat().st_size for path in paths)
    assert half == pytest.approx(full / 2, rel=0.01)
    assert quarter == pytest.approx(full / 4, rel=0.01)
    assert lines[0] == "calibration: 10 photos"
    check_same(model, paths[1], (33, 41), tolerance=0.01)
    photo = photos(11)[10]
    expected, found = (ScoreNetwork(path, threads=1).scores(photo) for path in (paths[0], paths[2]))
    assert np.sqrt(np.square(found - expected).mean()) < 0.1 * expected.std()


@pytest.mark.parametrize("name", ["deeplab", "msc-deeplab"])
def test_int8_of_padded_pools_and_branches(name: str, build: Build, export: Any) -> None:
    model = build(replace(VARIANTS[name], fc_channels=8))
    paths = export(model), export(model, precision="int8", calibration=photos(3))
    expected, found = (ScoreNetwork(path, threads=1).scores(photos(4)[3]) for path in paths)
    assert np.sqrt(np.square(found - expected).mean()) < 0.15 * expected.std()


def test_int8_of_dead_layers_keeps_their_biases(largefov: Variant, build: Build, export: Any) -> None:
    model = build(largefov)
    for parameter in (model.conv5_1.bias, model.conv5_1.weight, model.conv5_2.weight):
        parameter.data.zero_()
    paths = export(model), export(model, precision="int8", calibration=photos(2))
    expected, found = (ScoreNetwork(path, threads=1).scores(photos(3)[2]) for path in paths)
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"precision": "int4"}, InputError, "unknown precision 'int4'"),
        ({"precision": "int8"}, InputError, "need photos to calibrate on"),
        ({"low_rank": 0.1}, InputError, "need photos to calibrate on"),
        (
            {"low_rank": 0.1, "calibration": photos(1)},
            InputError,
            "conv3_1 answered in 285 cells, too few to know its 256 channels by; give more",
        ),
        *(({"low_rank": share}, InputError, f"above 0 and below 1; got {share}") for share in (0, 1, -0.1, np.nan)),
        ({"precision": "int8", "calibration": [np.zeros((4, 4), np.uint8)]}, InputError, r"\(H, W, 3\) uint8"),
        ({"card": {"date": date(2026, 1, 1)}}, InputError, "quote dates"),
    ],
)
def test_bad_options(
    options: dict[str, Any], error: type[DeepLabError], message: str, largefov: Variant, build: Build, export: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    with pytest.raises(error, match=message):
        export(build(largefov), **options)
    assert not list(tmp_path.iterdir())


def test_bad_networks_and_places(
    largefov: Variant, labels: LabelSet, build: Build, export: Any, tmp_path: Path
) -> None:
    model = build(largefov)
    with pytest.raises(ModelError, match="a header of DeepLab-LargeFOV with 21 labels does not describe"):
        export_onnx(model, Header(largefov, VOC, PAPER), tmp_path / "a.onnx", name="a", crf=CRF, card={})
    (tmp_path / "float32.onnx").touch()
    with pytest.raises(OutputError, match="exists"):
        export(model)
    model.fc7.bias.data[0] = 1e5
    with pytest.raises(ModelError, match=r"fc7\.bias holds values that are not finite or above 65504"):
        export(model, precision="float16")
    model.fc7.bias.data[0] = 0
    model.conv2_1.weight.data.fill_(1e38)
    with pytest.raises(ModelError, match="what conv2_1 answers to these photos is not finite; train"):
        export(model, precision="int8", calibration=photos(1))
    model.fc7.bias.data[0] = float("nan")
    with pytest.raises(ModelError, match=r"fc7\.bias holds values that are not finite"):
        export(model, overwrite=True)


def test_a_card_file_gives_settings_and_card(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text("crf: {params: {bilateral_xy_std_px: 49}, iterations: 7}\ncard: {data: none}")
    assert load_card(path) == (CRFSettings(CRFParams(bilateral_xy_std_px=49), 7), {"data": "none"})
    path.write_text("{}")
    assert load_card(path) == (None, {})
    with pytest.raises(InputError, match=r"cannot read .*missing\.yaml"):
        load_card(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crf: {normalization: aftr}", "did you mean 'after'"),
        ("crf: {iterations: ten}", "iterations is 'ten'; expected an integer"),
        ("crf: {iterations: 2.5}", "iterations is 2.5; expected an integer"),
        ("crf: {iterations: -1}", "iterations is -1; expected an integer, at least 0"),
        ("crf: {params: {sigma: 1}}", "unknown CRF parameter sigma"),
        ("crf: {sigma: 1}", "unknown CRF setting sigma; expected params, iterations, normalization"),
        ("crf: {params: }", "CRF parameters are None; expected a mapping"),
        ("crf: 5", "crf and card must both be mappings"),
        ("model: {}", "must hold the keys crf and card alone"),
        ("", "must hold the keys crf and card alone"),
        ("{", "is no YAML"),
    ],
)
def test_bad_card_files(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"card\.yaml.*{message}") as caught:
        load_card(path)
    assert "\n" not in str(caught.value)
