from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from deeplab.errors import InputError, ModelError
from deeplab.labels import LabelSet
from deeplab.network.build import build_network
from deeplab.network.decimation import decimate
from deeplab.network.header import Header
from deeplab.network.importers import load_initialisation
from deeplab.network.variants import CONV_CHANNELS, FCN8S, VARIANTS, Variant, find_variant
from deeplab.network.vgg import DeepLab
from deeplab.network.weights import load_checkpoint, save_checkpoint
from deeplab.preprocessing import CAFFE_VGG, PAPER, TORCHVISION

Tensors = dict[str, Tensor]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_taps_and_channels_of_the_decimation(fully_connected: Tensors, variant: Variant) -> None:
    thinned, rule = decimate(fully_connected, variant)
    taps = {3: [0, 3, 6], 4: [0, 2, 4, 6], 7: [0, 1, 2, 3, 4, 5, 6]}[variant.fc6_kernel]  # section 3.2 of the paper
    assert rule == {"fc6_taps": taps, "fc_channels": "even"}
    every_second = fully_connected["fc6.weight"][::2]
    assert torch.equal(thinned["fc6.weight"], every_second[:, :, taps][:, :, :, taps])
    assert torch.equal(thinned["fc7.weight"], fully_connected["fc7.weight"][::2, ::2])
    assert torch.equal(thinned["fc7.bias"], fully_connected["fc7.bias"][::2])


def test_fc7_and_fc8_follow_the_channels_kept(fully_connected: Tensors, largefov: Variant) -> None:
    numbers = torch.arange(16.0)  # every channel's own, in its bias and in the weights that read it
    sources = fully_connected | {"fc6.bias": numbers, "fc7.bias": numbers}
    sources |= {f"{name}.weight": numbers[None, :, None, None].repeat(16, 1, 1, 1) for name in ("fc7", "fc8")}
    thinned, rule = decimate(sources, largefov, channels="random", seed=4)
    assert rule == {"fc6_taps": [0, 3, 6], "fc_channels": "random", "seed": 4}
    assert torch.equal(thinned["fc7.weight"][0].ravel(), thinned["fc6.bias"])
    assert torch.equal(thinned["fc8.weight"][0].ravel(), thinned["fc7.bias"])
    again, _ = decimate(sources, largefov, channels="random", seed=4)
    other, _ = decimate(sources, largefov, channels="random", seed=5)
    assert torch.equal(again["fc6.bias"], thinned["fc6.bias"])
    assert not torch.equal(other["fc6.bias"], thinned["fc6.bias"])


def test_what_cannot_be_thinned_out(fully_connected: Tensors, largefov: Variant) -> None:
    with pytest.raises(ModelError, match="fc6 of 16 channels and 7x7 taps cannot be thinned out"):
        decimate(fully_connected, VARIANTS["largefov"])
    thinned, _ = decimate(fully_connected, largefov)
    with pytest.raises(ModelError, match="fc6 of 8 channels and 3x3 taps"):
        decimate(thinned, replace(VARIANTS["deeplab"], fc_channels=8))
    with pytest.raises(InputError, match="unknown channel rule 'best'"):
        decimate(fully_connected, largefov, channels="best")  # type: ignore[arg-type]


def torchvision_state(tensors: Tensors) -> Tensors:
    """The tensors under the names of torchvision's vgg16, in its shapes."""
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision.models.vgg, configuration D
    convolutions = [f"conv{s}_{i}" for s, widths in enumerate(CONV_CHANNELS, 1) for i in range(1, len(widths) + 1)]
    names = {ours: f"features.{number}" for ours, number in zip(convolutions, numbers, strict=True)}
    names |= {"fc6": "classifier.0", "fc7": "classifier.3"}
    state = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.partition(".")
        state[f"{names[layer]}.{kind}"] = tensor.flatten(1) if layer.startswith("fc") and kind == "weight" else tensor
    return {**state, "classifier.6.weight": torch.zeros(1000, 16), "classifier.6.bias": torch.zeros(1000)}


def torchvision_scores(state: Tensors, photo: NDArray[np.uint8], classifier: nn.Conv2d) -> Tensor:
    """vgg16 as torchvision defines and feeds it, with another last layer."""
    x = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x, number = (x - mean) / std, 0
    for widths in CONV_CHANNELS:
        for _ in widths:
            x = nn.functional.conv2d(x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1)
            x, number = x.relu(), number + 2
        x, number = nn.functional.max_pool2d(x, 2, 2), number + 1
    x = x.flatten(1)
    for name in ("classifier.0", "classifier.3"):
        x = nn.functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"]).relu()
    scores: Tensor = classifier(x[..., None, None])
    return scores[0, :, 0, 0]


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_torchvision_weights_score_as_in_torchvision(
    suffix: str, tmp_path: Path, convolutions: Tensors, fully_connected: Tensors
) -> None:
    state = torchvision_state(convolutions | fully_connected)
    path = tmp_path / f"vgg16.{suffix}"
    torch.save(state, path) if suffix == "pth" else save_file(state, path)
    variant = replace(VARIANTS["deeplab-7x7"], fc_channels=16).with_paper_pooling()
    weights = load_initialisation(path, variant)
    assert weights.preprocessing == TORCHVISION
    model = DeepLab(variant, 3, output_stride=32).eval()
    record = weights.apply_to(model)
    assert record == {
        "source": "torchvision vgg16", "file": path.name, "fc6_taps": [*range(7)], "fc_channels": "all",
        "sha256": sha256(path), "random": ["fc8"],
    }  # fmt: skip
    photo = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    with torch.no_grad():
        ours = model(torch.from_numpy(weights.preprocessing.apply(photo)))[0, :, 3, 3]  # where fc6 sees all 7x7 cells
        theirs = torchvision_scores(state, photo, model.fc8)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def delimited(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def caffemodel(tensors: Tensors, names: dict[str, str] | None = None, *, matrices: bool) -> bytes:
    """The tensors as Caffe writes them; fully connected layers as matrices, or as the convolutions they are."""
    layers = []
    for ours in dict.fromkeys(name.partition(".")[0] for name in tensors):
        content = delimited(1, (names or {}).get(ours, ours).encode())
        for kind in ("weight", "bias"):
            tensor = tensors[f"{ours}.{kind}"]
            if matrices and ours.startswith("fc") and kind == "weight":
                tensor = tensor.flatten(1)
            shape = delimited(7, delimited(1, b"".join(map(varint, tensor.shape))))
            content += delimited(7, shape + delimited(5, tensor.numpy().tobytes()))
        layers.append(delimited(100, content))
    return b"".join(layers)


def test_vgg_caffemodel(tmp_path: Path, convolutions: Tensors, fully_connected: Tensors, largefov: Variant) -> None:
    path = tmp_path / "VGG.caffemodel"
    imagenet = {"fc8.weight": torch.zeros(1000, 16, 1, 1), "fc8.bias": torch.zeros(1000)}
    path.write_bytes(caffemodel(convolutions | fully_connected | imagenet, matrices=True))
    weights = load_initialisation(path, largefov)
    assert weights.preprocessing == CAFFE_VGG
    expected, _ = decimate(fully_connected, largefov)
    assert all(torch.equal(weights.tensors[name], tensor) for name, tensor in (convolutions | expected).items())
    record = weights.apply_to(DeepLab(largefov, 3))
    assert record == {
        "source": "caffemodel", "file": path.name, "fc6_taps": [0, 3, 6], "fc_channels": "even", "random": ["fc8"],
        "sha256": sha256(path),
    }  # fmt: skip


def test_deeplabs_own_caffemodel(tmp_path: Path, convolutions: Tensors, largefov: Variant) -> None:
    torch.manual_seed(8)
    own = {name: torch.randn_like(tensor) for name, tensor in DeepLab(largefov, 3).state_dict().items() if "fc" in name}
    path = tmp_path / "train_iter_6000.caffemodel"
    path.write_bytes(caffemodel(convolutions | own, {"fc8": "fc8_voc12"}, matrices=False))
    weights = load_initialisation(path, largefov)
    assert weights.preprocessing == PAPER
    model = DeepLab(largefov, 3)
    assert weights.apply_to(model)["random"] == []
    assert torch.equal(model.fc8.weight, own["fc8.weight"])
    assert weights.apply_to(DeepLab(largefov, 11))["random"] == ["fc8"]


def test_msc_starts_from_the_fine_tuned_base(tmp_path: Path, largefov: Variant, labels: LabelSet) -> None:
    base, path = DeepLab(largefov, 3), tmp_path / "base.safetensors"
    save_checkpoint(path, base, Header(largefov, labels, PAPER, {"source": "VGG-16 npz"}))
    msc = replace(VARIANTS["msc-largefov"], fc_channels=8)
    model = DeepLab(msc, 3)
    record = load_initialisation(path, msc).apply_to(model)
    assert record["variant"] == "largefov"
    assert record["started_from"] == {"source": "VGG-16 npz"}
    assert all(name.startswith("msc_") for name in record["random"])
    assert torch.equal(model.fc8.weight, base.fc8.weight)
    save_checkpoint(path, model, Header(msc, labels, PAPER, record))
    assert load_checkpoint(path)[1].initialisation == record


def test_only_a_networks_own_kin_starts_it(tmp_path: Path, largefov: Variant, labels: LabelSet) -> None:
    path = tmp_path / "base.safetensors"
    save_checkpoint(path, DeepLab(largefov, 3), Header(largefov, labels, PAPER))
    for wanted in ("deeplab", "deeplab-7x7", "msc-deeplab-4x4", "fcn8s"):
        variant = replace(find_variant(wanted), fc_channels=8)
        with pytest.raises(ModelError, match=rf"holds DeepLab-LargeFOV .*; give one of '{wanted}'"):
            load_initialisation(path, variant)
    for variant in (replace(largefov, fc_channels=16), largefov.with_paper_pooling()):
        with pytest.raises(
            ModelError, match=r"DeepLab-LargeFOV \(8 channels in fc6 and fc7, 3x3\+average pools, input zoom 1\), which"
        ):
            load_initialisation(path, variant)


def test_without_classifiers_the_rest_stays(tmp_path: Path, labels: LabelSet) -> None:
    for variant in (replace(VARIANTS["msc-largefov"], fc_channels=8), replace(FCN8S, fc_channels=8)):
        path, model = tmp_path / f"{variant.name}.safetensors", build_network(variant, 3)
        save_checkpoint(path, model, Header(variant, labels, PAPER))
        other = build_network(variant, 5)
        kept, whole = load_initialisation(path, variant).without_classifiers(), load_initialisation(path, variant)
        fresh = kept.apply_to(other)["random"]
        assert fresh == whole.apply_to(other)["random"]
        assert {name for name, tensor in other.state_dict().items() if 5 in tensor.shape} <= {
            f"{layer}.{kind}" for layer in fresh for kind in ("weight", "bias")
        }
        assert kept.apply_to(build_network(variant, 3))["random"] == fresh
        assert whole.apply_to(build_network(variant, 3))["random"] == []


def test_npz(tmp_path: Path, convolutions: Tensors, largefov: Variant) -> None:
    path = tmp_path / "vgg.npz"
    np.savez(path, **{name: tensor.half().numpy() for name, tensor in convolutions.items()})  # type: ignore[arg-type]
    weights = load_initialisation(path, largefov)
    assert weights.preprocessing == CAFFE_VGG
    model = DeepLab(largefov, 3)
    assert weights.apply_to(model) == {
        "source": "VGG-16 npz", "file": "vgg.npz", "sha256": sha256(path), "random": ["fc6", "fc7", "fc8"]
    }  # fmt: skip
    assert torch.equal(model.conv5_3.weight, convolutions["conv5_3.weight"].half().float())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="truncated or damaged"):
        load_initialisation(path, largefov)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("conv1_1.weight.npy", b"no array")
    with pytest.raises(ModelError, match="is no NumPy archive"):
        load_initialisation(path, largefov)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv1_1.bias": None}, r"lacks conv1_1\.bias"),
        ({"conv9_9.weight": torch.zeros(2)}, r"holds conv9_9\.weight"),
        (
            {"conv1_1.weight": torch.zeros(64, 3, 5, 5)},
            r"has shape \(64, 3, 5, 5\), but .* \(64, 3, 3, 3\)",
        ),
        ({"conv1_1.bias": torch.full((64,), float("nan"))}, r"conv1_1\.bias holds values that are not finite"),
        ({"fc6.weight": torch.zeros(8, 512, 7, 7), "fc6.bias": torch.zeros(8)}, "holds fc6 alone"),
    ],
)
def test_npz_of_something_else(
    changes: dict[str, Tensor | None], message: str, tmp_path: Path, convolutions: Tensors, largefov: Variant
) -> None:
    arrays = {name: tensor.numpy() for name, tensor in {**convolutions, **changes}.items() if tensor is not None}
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=message):
        load_initialisation(tmp_path / "a.npz", largefov)


def test_networks_that_do_not_fit(convolutions: Tensors, fully_connected: Tensors, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(torchvision_state(convolutions | fully_connected), path)
    weights = load_initialisation(path, replace(VARIANTS["largefov"], fc_channels=8))
    with pytest.raises(ModelError, match=r"fc6\.\w+ .* does not fit DeepLab-LargeFOV: expected \(4"):
        weights.apply_to(DeepLab(replace(VARIANTS["largefov"], fc_channels=4), 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no caffemodel"),
        (b"<html>", "is no caffemodel"),
        (b"PK\3\4half a zip", "truncated or damaged"),
        (b"\x80\2half a pickle", "is no PyTorch state dict"),
        (b"\x09\0\0\0\0\0\0\0{half a", "is no safetensors file"),
    ],
)
def test_damaged_files_of_every_kind(content: bytes, message: str, tmp_path: Path, largefov: Variant) -> None:
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load_initialisation(path, largefov)
    assert "\n" not in str(caught.value)


def test_files_of_the_right_kind_with_something_else(tmp_path: Path, largefov: Variant) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.npz: no such file; check the spelling"):
        load_initialisation(tmp_path / "nowhere.npz", largefov)
    path = tmp_path / "a.pth"
    torch.save({"epoch": 3}, path)
    with pytest.raises(ModelError, match="no state dict"):
        load_initialisation(path, largefov)
    torch.save({"layer1.weight": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match=r"lacks conv1_1\.bias"):
        load_initialisation(path, largefov)
    save_file({"layer1.weight": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match=r"lacks conv1_1\.bias"):
        load_initialisation(path, largefov)


class Hostile:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch hostile",)


def test_no_code_of_a_file_is_run(tmp_path: Path, largefov: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": Hostile()}, "a.pth")
    with pytest.raises(ModelError, match="is no PyTorch state dict"):
        load_initialisation(Path("a.pth"), largefov)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_the_published_convolutions(largefov: Variant) -> None:
    folder = os.environ.get("DEEPLAB_DATA") or None
    path = Path(folder or ".", "weights", "vgg16_imagenet_conv13_fp16_oihw.npz")
    if folder is None or not path.is_file():
        pytest.skip("set DEEPLAB_DATA to a folder with weights/vgg16_imagenet_conv13_fp16_oihw.npz")
    model = DeepLab(largefov, 3).eval()
    record = load_initialisation(path, largefov).apply_to(model)
    assert record["random"] == ["fc6", "fc7", "fc8"]
    grey = np.full((65, 65, 3), 128, dtype=np.uint8)
    edges = grey.copy()
    edges[:, 32:] = 230
    with torch.no_grad():
        flat, busy = (model.trunk(torch.from_numpy(CAFFE_VGG.apply(image))).mean() for image in (grey, edges))
    assert 0 < flat < busy


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"features.0.bias": torch.zeros(1).expand(10**10)}, r"'features\.0\.bias' is no plain array of numbers"),
        ({1: torch.zeros(2)}, "no state dict"),
        ({"features.0.bias": torch.eye(2).to_sparse()}, "no plain array"),
        ({"features.0.bias": torch.zeros(2, dtype=torch.complex64)}, "no plain array"),
        ({"features.0.bias": torch.empty(10**10, device="meta")}, "no plain array"),
    ],
)
def test_tensors_that_are_more_than_the_file_holds_are_refused(
    tmp_path: Path, largefov: Variant, state: dict[Any, Any], message: str
) -> None:
    path = tmp_path / "a.pth"
    torch.save(state, path)
    with pytest.raises(ModelError, match=message):
        load_initialisation(path, largefov)
