"""The recipes of docs/refine.md: their commands, on arrays as the libraries give them, find the labels again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.label_maps import read_label_map

Run = Callable[..., Any]

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH = 300, 451  # of examples/cat.jpg
RECIPES = {
    heading: re.findall(r"^deeplab refine .*", text, flags=re.MULTILINE)
    for heading, text in re.findall(
        r"^### (.*?)\n(.*?)(?=^##|\Z)", (ROOT / "docs/refine.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
}


def truth(height: int, width: int) -> NDArray[np.bool_]:
    """An ellipse, (height, width) bool."""
    y, x = np.mgrid[:height, :width]
    inside: NDArray[np.bool_] = (((y + 0.5) / height - 0.6) ** 2 / 0.07 + ((x + 0.5) / width - 0.4) ** 2 / 0.03) < 1
    return inside


def logits(count: int, label: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.float32]:
    """(count, height, width) float32: `label` in the ellipse, 0 around it."""
    scores = np.random.default_rng(count).normal(-5, 0.3, (count, height, width)).astype(np.float32)
    inside = truth(height, width)
    scores[label, inside] = scores[0, ~inside] = 4
    return scores


def softmax(scores: NDArray[Any]) -> NDArray[np.float32]:
    exponentials = np.exp(scores, dtype=np.float32)
    probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=0)
    return probabilities


def instances() -> NDArray[np.uint8]:
    return np.where(truth(HEIGHT, WIDTH), 16, 0).astype(np.uint8)  # YOLO's cat is 15


def ilastik() -> NDArray[np.uint8]:
    return np.rint(255 * softmax(logits(3, 2) / 3)).astype(np.uint8).transpose(1, 2, 0)


def sigmoid() -> NDArray[np.float32]:
    return softmax(logits(2, 1))[None, None, 1]


# heading → what the library gives, the ellipse's label, and what must be understood of it
OUTPUTS: dict[str, tuple[Callable[[], NDArray[Any]], int, str]] = {
    "torchvision: DeepLabV3, FCN, LR-ASPP": (
        lambda: logits(21, 8, 520, 782)[None], 8, "logits of 21 labels, channels first, 1.73x larger",
    ),
    "Hugging Face transformers: SegFormer": (
        lambda: logits(150, 127, 128, 128)[None], 127, "logits of 150 labels, channels first, 128x128 stretched",
    ),
    "segmentation_models.pytorch": (lambda: logits(4, 2)[None], 2, "logits of 4 labels, channels first, as large"),
    "mmsegmentation": (lambda: logits(19, 13), 13, "logits of 19 labels, channels first, as large"),
    "Ultralytics YOLO: instance masks": (instances, 16, "label map of 2 labels (0, 16), as large"),
    "Keras": (
        lambda: softmax(logits(5, 3)).transpose(1, 2, 0)[None], 3, "probabilities of 5 labels, channels last, as large",
    ),
    "scikit-learn: a pixel classifier": (
        lambda: softmax(logits(3, 1)).transpose(1, 2, 0).astype(np.float64), 1,
        "probabilities of 3 labels, channels last",
    ),
    "ilastik: pixel classification": (ilastik, 2, "uint8 → probabilities of 3 labels, channels last, as large"),
    "Segment Anything: binary masks": (lambda: truth(HEIGHT, WIDTH), 1, "bool → label map of 2 labels (0, 1)"),
    "U-Net with one output: the foreground's sigmoid": (sigmoid, 1, "of the foreground, label 1"),
    "Unary energies for a dense CRF": (
        lambda: -(-np.log(softmax(logits(6, 5)))).reshape(6, -1).reshape(6, HEIGHT, WIDTH), 5,
        "log-probabilities of 6 labels, channels first, as large",
    ),
}  # fmt: skip


def test_every_recipe_is_tested() -> None:
    assert set(RECIPES) == set(OUTPUTS)
    assert all(RECIPES.values())


@pytest.mark.parametrize("heading", OUTPUTS)
def test_a_recipes_command_reads_the_librarys_output(
    heading: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cat.jpg").symlink_to(ROOT / "examples" / "cat.jpg")
    make, label, understood = OUTPUTS[heading]
    output = make()
    np.save("cat.npy", output)
    if output.dtype == np.float32 and output.ndim == 4 and output.shape[1] == 1:
        Image.fromarray(np.rint(255 * output[0, 0]).astype(np.uint8)).save("cat-grey.png")
    for command in RECIPES[heading]:
        status, _, err = run(*shlex.split(command)[1:], "--iterations", "0", "--force")
        assert (status, understood in err) == (0, True), err
        found = read_label_map("cat.png")
        assert set(np.unique(found)) == {0, label}
        assert ((found == label) == truth(HEIGHT, WIDTH)).mean() > 0.997


def test_the_page_shows_what_the_command_prints(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example at the top of the page, from the shipped model's scores."""
    from deeplab.images import read_image
    from deeplab.models import find_model
    from deeplab.runtime import ScoreNetwork

    monkeypatch.chdir(tmp_path)
    Path("cat.jpg").symlink_to(ROOT / "examples" / "cat.jpg")
    np.save("cat.npy", ScoreNetwork(find_model(None), threads=1).scores(read_image("cat.jpg")))
    _, out, err = run("refine", "cat.jpg", "--scores", "cat.npy", "-o", "cat.png")
    page = (ROOT / "docs" / "refine.md").read_text()
    assert err.splitlines()[0] in page  # a slow run also shows its progress
    assert out.split("; ")[0].split(": ")[0] in page
