from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from deeplab.errors import ModelError, OutputError
from deeplab.labels import VOC, LabelSet
from deeplab.network.header import Header
from deeplab.network.variants import VARIANTS, Variant
from deeplab.network.vgg import DeepLab
from deeplab.network.weights import HEADER_KEY, load_checkpoint, read_safetensors, save_checkpoint
from deeplab.preprocessing import PAPER

Build = Callable[..., DeepLab]


@pytest.fixture
def model(largefov: Variant, build: Build) -> DeepLab:
    return build(largefov)


@pytest.fixture
def header(largefov: Variant, labels: LabelSet) -> Header:
    return Header(largefov, labels, PAPER, {"source": "none"}, {"name": "r"}, {"iterations": 3})


@pytest.fixture
def checkpoint(tmp_path: Path, model: DeepLab, header: Header) -> Path:
    path = tmp_path / "pets.safetensors"
    save_checkpoint(path, model, header)
    return path


def rewritten(path: Path, **changes: object) -> Path:
    """The checkpoint with fields of its header changed."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        content = json.loads(file.metadata()[HEADER_KEY])
    save_file(tensors, path, metadata={HEADER_KEY: json.dumps({**content, **changes})})
    return path


def test_a_checkpoint_comes_back(checkpoint: Path, model: DeepLab, header: Header) -> None:
    loaded, said = load_checkpoint(checkpoint)
    assert said == header
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    state = loaded.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_pooling_is_part_of_the_header(tmp_path: Path, build: Build, header: Header, largefov: Variant) -> None:
    paper = largefov.with_paper_pooling()
    save_checkpoint(tmp_path / "a.safetensors", build(paper), replace(header, variant=paper))
    assert load_checkpoint(tmp_path / "a.safetensors")[1].variant == paper


def test_options_are_part_of_the_header_and_older_files_lack_them(tmp_path: Path, build: Build, header: Header) -> None:
    variant = replace(VARIANTS["msc-largefov"], fc_channels=8, strided_msc=True, input_zoom=2)
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, build(variant), replace(header, variant=variant))
    assert load_checkpoint(path)[1].variant == variant
    tensors, metadata = read_safetensors(path)
    content = json.loads(metadata[HEADER_KEY])
    network = content.pop("network")
    content |= {"format": 1, "variant": network.pop("name"), **network}  # as it was once written
    save_file(tensors, path, metadata={HEADER_KEY: json.dumps(content)})
    assert load_checkpoint(path)[1].variant == variant
    del content["strided_msc"], content["input_zoom"]
    save_file(tensors, path, metadata={HEADER_KEY: json.dumps(content)})
    assert load_checkpoint(path)[1].variant == replace(variant, strided_msc=False, input_zoom=1)


def test_half_precision_halves_the_file(checkpoint: Path, model: DeepLab, header: Header) -> None:
    full = checkpoint.stat().st_size
    save_checkpoint(checkpoint, model, header, half=True)
    assert checkpoint.stat().st_size == pytest.approx(full / 2, rel=0.01)
    loaded, _ = load_checkpoint(checkpoint)
    assert loaded.fc6.weight.dtype == torch.float32
    assert torch.equal(loaded.fc6.weight, model.fc6.weight.half().float())


def test_header_and_network_must_agree(tmp_path: Path, model: DeepLab, header: Header) -> None:
    with pytest.raises(ModelError, match="with 21 labels does not describe DeepLab-LargeFOV with 3"):
        save_checkpoint(tmp_path / "a", model, replace(header, label_set=VOC))
    assert not (tmp_path / "a").exists()


def test_weights_that_no_file_should_hold(tmp_path: Path, model: DeepLab, header: Header) -> None:
    model.fc8.bias.data[0] = 1e6
    with pytest.raises(ModelError, match=r"fc8\.bias holds values that are not finite"):
        save_checkpoint(tmp_path / "a", model, header, half=True)
    with pytest.raises(OutputError, match="there is no folder"):
        save_checkpoint(tmp_path / "b" / "a", model, header)
    assert not list(tmp_path.iterdir())


def test_another_class_count(checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"fc8\.bias is \(3,\), but its header .*21 labels\) calls for \(21,\)"):
        load_checkpoint(rewritten(checkpoint, label_set=VOC.to_dict()))


def test_another_variant(checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"fc6\.weight is \(8, 512, 3, 3\), but its header"):
        load_checkpoint(rewritten(checkpoint, network={"name": "deeplab", "fc_channels": 8}))
    with pytest.raises(ModelError, match=r"msc_image.* is missing, but its header"):
        load_checkpoint(rewritten(checkpoint, network={"name": "msc-largefov", "fc_channels": 8}))


@pytest.mark.parametrize(
    "changes",
    [
        *({"network": network} for network in ({"name": "resnet"}, {"name": None}, {}, None, "largefov")),
        *(
            {"network": {"name": "largefov", **option}}
            for option in (
                {"pooling": "4x4"},
                {"pooling": []},
                {"fc_channels": "many"},
                {"fc_channels": -1},
                {"hole": 1},
            )
        ),
        {"label_set": {}},
        {"preprocessing": {"channels": "HSV", "mean": [0, 0, 0], "std": [1, 1, 1]}},
    ],
)
def test_damaged_headers(checkpoint: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=r"pets\.safetensors: its header is damaged"):
        load_checkpoint(rewritten(checkpoint, **changes))


def test_a_header_that_lacks_a_field_is_damaged(checkpoint: Path) -> None:
    tensors, metadata = read_safetensors(checkpoint)
    content = json.loads(metadata[HEADER_KEY])
    del content["preprocessing"]
    save_file(tensors, checkpoint, metadata={HEADER_KEY: json.dumps(content)})
    with pytest.raises(ModelError, match=r"its header is damaged \('preprocessing'\)"):
        load_checkpoint(checkpoint)


def test_numbers_of_a_type_that_pytorch_lacks_are_an_error(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(ModelError, match="is no safetensors file, or damaged"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_files_that_are_no_checkpoints(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        load_checkpoint(tmp_path / "nowhere.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(3)}, foreign)
    with pytest.raises(ModelError, match="without deeplab's header"):
        load_checkpoint(foreign)
    content = checkpoint.read_bytes()
    for damaged in (b"", b"GIF89a", content[:100], content[:-1]):
        checkpoint.write_bytes(damaged)
        with pytest.raises(
            ModelError,
            match=r"is no (safetensors file|caffemodel nor any other file of weights that is known), or damaged",
        ):
            load_checkpoint(checkpoint)
