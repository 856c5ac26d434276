"""ComfyUI's nodes, called as it calls them: inputs by the names of INPUT_TYPES, outputs as a tuple of tensors."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab import CRFParams, refine
from deeplab.cutout import cutout
from deeplab.errors import InputError
from deeplab.segment import Segmenter

torch = pytest.importorskip("torch", reason="needs PyTorch")

ROOT = Path(__file__).parents[2]
CAT = np.array(Image.open(ROOT / "examples" / "cat.jpg").convert("RGB"))


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """The folder, loaded as ComfyUI loads those of `custom_nodes`."""
    folder = ROOT / "integrations" / "comfyui"
    spec = importlib.util.spec_from_file_location("comfyui_deeplab", folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    for name in ("comfyui_deeplab", "comfyui_deeplab.nodes"):
        del sys.modules[name]


def run(nodes: Any, name: str, **given: Any) -> Any:
    node = nodes.NODE_CLASS_MAPPINGS[name]
    inputs = {
        key: about[1]["default"]
        for key, about in node.INPUT_TYPES()["required"].items()
        if len(about) > 1 and "default" in about[1]
    }
    outputs = getattr(node(), node.FUNCTION)(**{**inputs, **given})
    assert isinstance(outputs, tuple)
    assert len(outputs) == len(node.RETURN_TYPES)
    for kind, tensor in zip(node.RETURN_TYPES, outputs, strict=True):
        assert tensor.dtype == torch.float32
        assert tensor.ndim == {"IMAGE": 4, "MASK": 3}[kind]
        assert 0 <= float(tensor.min()) <= float(tensor.max()) <= 1
    return outputs


def image_of(*photos: Any) -> Any:
    return torch.from_numpy(np.stack(photos).astype(np.float32) / 255)


def test_a_box_becomes_a_mask_along_the_edges(nodes: Any) -> None:
    box = torch.zeros(1, *CAT.shape[:2])
    box[:, 30:250, 100:350] = 1
    (refined,) = run(nodes, "DeepLabRefineMask", image=image_of(CAT), mask=box)
    expected = refine(CAT, (0.3 + 0.4 * box[0].numpy()).astype(np.float32), CRFParams())[1]
    np.testing.assert_allclose(refined[0].numpy(), expected, atol=1e-5)
    (hard,) = run(nodes, "DeepLabRefineMask", image=image_of(CAT), mask=box, soft=False)
    np.testing.assert_array_equal(hard[0].numpy(), expected > 0.5)


def test_one_mask_of_another_size_serves_a_batch(nodes: Any) -> None:
    photo = CAT[:64, :80]
    small = torch.zeros(32, 40)
    small[:, 20:] = 1
    large = torch.nn.functional.interpolate(small[None, None], (64, 80), mode="bilinear", align_corners=False)[0, 0]
    (of_small,), (of_large,) = (
        run(nodes, "DeepLabRefineMask", image=image_of(photo, photo[:, ::-1]), mask=mask)
        for mask in (small, torch.stack([large, large]))
    )
    assert of_small.shape == (2, 64, 80)
    torch.testing.assert_close(of_small, of_large, atol=1e-3, rtol=0)


def test_a_cut_out_is_deeplabs(nodes: Any) -> None:
    pixels, mask = run(nodes, "DeepLabCutOut", image=image_of(CAT), classes="cat")
    segmenter = Segmenter.from_pretrained()
    expected = cutout(segmenter(CAT), segmenter.info.label_set.labels_of(["cat"]))
    cut = np.dstack([pixels[0].numpy(), mask[0].numpy()])
    np.testing.assert_array_equal(np.rint(255 * cut).astype(np.uint8), expected)


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_transparent_images(nodes: Any, channels: int) -> None:
    photo, mask = torch.rand(1, 20, 30, channels), torch.rand(20, 30)
    (refined,) = run(nodes, "DeepLabRefineMask", image=photo, mask=mask)
    plain = photo[..., :3].expand(1, 20, 30, 3)
    (expected,) = run(nodes, "DeepLabRefineMask", image=plain, mask=mask)
    torch.testing.assert_close(refined, expected)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        ((1, 9, 9), (9, 9), "the image has shape"), ((1, 9, 9, 2), (9, 9), "the image has shape"),
        ((2, 9, 9, 3), (3, 9, 9), "one mask or 2 as the image has"), ((1, 9, 9, 3), (9,), "the mask has shape"),
        ((1, 0, 9, 3), (9, 9), "at least one pixel"), ((1, 9, 9, 3), (1, 0, 0), "the mask has shape"),
    ],
)  # fmt: skip
def test_bad_tensors(nodes: Any, image: Any, mask: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(nodes, "DeepLabRefineMask", image=torch.zeros(image), mask=torch.zeros(mask))


def test_a_class_that_the_model_does_not_have(nodes: Any) -> None:
    with pytest.raises(InputError, match="unknown class 'catt': did you mean 'cat'"):
        run(nodes, "DeepLabCutOut", image=image_of(CAT), classes="catt")
