from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import Segmentation, Segmenter, look
from deeplab.crf import CRFParams, CRFSettings
from deeplab.errors import DeepLabError, ImageError, InputError, ModelError, OutputError
from deeplab.label_maps import read_label_map
from deeplab.labels import CAMVID, VOC
from deeplab.runtime import ScoreNetwork


@pytest.fixture
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model, threads=1)


@pytest.mark.parametrize("size", [(1, 1), (3, 5000), (20, 20), (60, 90), (550, 700)])
@pytest.mark.parametrize("crf", [True, False])
def test_any_size(segmenter: Segmenter, size: tuple[int, int], crf: bool) -> None:
    image = np.random.default_rng(5).integers(0, 256, (*size, 3), dtype=np.uint8)
    result = segmenter.segment(image, crf=crf)
    assert result.labels.shape == size
    assert result.labels.dtype == np.uint8
    assert result.probabilities.shape == (21, *size)
    assert result.probabilities.dtype == np.float32
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_array_equal(result.labels, result.probabilities.argmax(axis=0))
    np.testing.assert_array_equal(result.image, image)


def test_path_pil_image_and_array_agree(segmenter: Segmenter, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    expected = segmenter(photo)
    for source in (tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(photo)):
        np.testing.assert_array_equal(segmenter(source).probabilities, expected.probabilities)


def test_without_crf_it_is_the_softmax_of_interpolated_scores(
    segmenter: Segmenter, tiny_model: Path, photo: NDArray[np.uint8]
) -> None:
    scores = ScoreNetwork(tiny_model).scores(photo).astype(np.float64)
    at_corner = np.exp(scores[:, 3, 5]) / np.exp(scores[:, 3, 5]).sum()
    np.testing.assert_allclose(segmenter.segment(photo, crf=False).probabilities[:, 24, 40], at_corner, atol=1e-5)


def test_small_photos_reach_network_and_crf_as_they_are(
    segmenter: Segmenter, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = watch(monkeypatch)
    segmenter(photo)
    assert calls["seen"].shape == photo.shape
    np.testing.assert_array_equal(calls["refine"][0], photo)
    assert calls["refine"][0].dtype == np.uint8
    assert calls["refine"][2] == segmenter.info.crf
    assert calls["options"] == {"threads": 1}


def test_a_crf_of_ones_own(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch(monkeypatch)
    crf = CRFSettings(CRFParams(9, 40, 12), iterations=3, normalization="symmetric")
    segmenter.segment(np.zeros((600, 1026, 3), np.uint8), crf=crf)
    larger = CRFParams(9, 80, 12, 3, 6)  # the network sees half as many pixels a side
    assert calls["refine"][2] == CRFSettings(larger, 3, "symmetric")


def test_large_photos_are_shrunk_for_the_network_only(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch(monkeypatch)
    image = np.zeros((600, 1026, 3), np.uint8)
    segmenter(image)
    assert calls["seen"].shape == (300, 513, 3)
    assert calls["refine"][0].shape == image.shape
    assert calls["refine"][2] == segmenter.info.crf.scaled(2)


def test_the_crf_works_on_a_copy_of_a_very_large_photo(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "MAX_CRF_PIXELS", 100 * 171)
    calls = watch(monkeypatch)
    image = np.random.default_rng(2).integers(0, 256, (600, 1026, 3), dtype=np.uint8)
    result = segmenter(image)
    assert calls["seen"].shape == (300, 513, 3)
    assert calls["refine"][0].shape == (100, 171, 3)
    assert calls["refine"][2] == segmenter.info.crf.scaled(171 / 513)
    assert result.labels.shape == result.confidence().shape == (600, 1026)
    np.testing.assert_array_equal(result.image, image)
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_array_equal(result.labels, result.probabilities.argmax(axis=0))
    np.testing.assert_array_equal(result.confidence(), result.probabilities.max(axis=0))
    assert result.probabilities is result.probabilities


def test_an_edge_stays_where_it_is_when_the_crf_sees_a_copy(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsure scores cross over 30 px left of the photo's edge; the CRF moves the outline to it, on a copy too."""
    image = np.full((400, 600, 3), (40, 80, 200), np.uint8)
    image[:, 330:] = (230, 140, 30)

    def halves(self: ScoreNetwork, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = np.full((21, *((side + 6) // 8 + 1 for side in photo.shape[:2])), -9, np.float32)
        scores[0], scores[8] = 0, np.where(np.arange(scores.shape[2]) < scores.shape[2] // 2, -0.5, 0.5)
        return scores

    monkeypatch.setattr(ScoreNetwork, "scores", halves)
    whole = segmenter(image)
    monkeypatch.setattr(look, "MAX_CRF_PIXELS", 200 * 300)
    edges = [int(np.argmax(result.labels[200] == 8)) for result in (whole, segmenter(image))]
    assert edges[0] == 330
    assert abs(edges[1] - 330) <= 2


def test_memory_is_a_few_bytes_for_each_pixel_of_a_large_photo(segmenter: Segmenter) -> None:
    image = np.zeros((2000, 3000, 3), np.uint8)
    segmenter(image[:64, :64])
    tracemalloc.start()
    result = segmenter.segment(image, crf=False)
    peak = tracemalloc.get_traced_memory()[1] / (2000 * 3000)
    tracemalloc.stop()
    assert result.confidence().shape == (2000, 3000)
    assert peak < 21  # bytes; the probabilities alone would be 84


def watch(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Record what reaches the network and the CRF."""
    calls: dict[str, Any] = {}
    score, refine = ScoreNetwork.scores, look.refine

    def scored(self: ScoreNetwork, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        calls["seen"] = image
        return score(self, image)

    def refined(*arguments: Any, **options: Any) -> NDArray[np.float32]:
        calls["refine"], calls["options"] = arguments, options
        return refine(*arguments, **options)

    monkeypatch.setattr(ScoreNetwork, "scores", scored)
    monkeypatch.setattr(look, "refine", refined)
    return calls


@pytest.mark.parametrize("edge", [200, 800])
def test_an_edge_stays_where_it_is(make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, edge: int) -> None:
    """Scores that follow the photo's brightness cross over at the photo's own edge, shrunk or not."""

    def brightness(self: ScoreNetwork, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        bright = np.pad(image[:, :, 0], ((0, 8), (0, 8)), mode="edge")[: 8 * 65 : 8, : 8 * 65 : 8].astype(np.float32)
        return np.stack([127.5 - bright, bright - 127.5, *[np.full_like(bright, -500)] * 19])

    monkeypatch.setattr(ScoreNetwork, "scores", brightness)
    image = np.zeros((1026, 1026, 3), np.uint8)
    image[:, edge:] = 255
    labels = Segmenter.from_pretrained(make_model()).segment(image, crf=False).labels
    assert abs(np.argmax(labels[500]) - edge) <= 8  # half a score cell of the shrunk copy, in the photo's pixels


def test_result_is_saved_tinted_and_counted(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    labels = np.zeros((60, 90), np.uint8)
    labels[:20] = 8
    result = Segmentation(labels, np.zeros((21, 60, 90), np.float32), VOC, photo)
    assert result.shares() == {"background": pytest.approx(2 / 3), "cat": pytest.approx(1 / 3)}
    assert list(result.shares()) == ["background", "cat"]
    result.save(tmp_path / "photo.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "photo.png"), labels)
    with pytest.raises(OutputError, match="--force"):
        result.save(tmp_path / "photo.png")
    result.save(tmp_path / "photo.png", overwrite=True)
    overlay = result.overlay()
    assert (overlay.mode, overlay.size) == ("RGB", (90, 60))
    np.testing.assert_array_equal(np.asarray(overlay)[30:], photo[30:])


def unsure(photo: NDArray[np.uint8]) -> Segmentation:
    """Cat in the upper half with probability 0.9, dog in the lower with 0.4."""
    probabilities = np.full((21, 60, 90), 0.1 / 20, np.float32)
    probabilities[8, :30], probabilities[:, 30:], probabilities[12, 30:] = 0.9, 0.6 / 20, 0.4
    return Segmentation(probabilities.argmax(axis=0).astype(np.uint8), probabilities, VOC, photo)


def test_confidence_is_the_probability_of_the_chosen_label(segmenter: Segmenter, photo: NDArray[np.uint8]) -> None:
    result = segmenter(photo)
    assert result.confidence().dtype == np.float32
    chosen = np.take_along_axis(result.probabilities, result.labels[None].astype(int), axis=0)[0]
    np.testing.assert_array_equal(result.confidence(), chosen)


def test_below_the_least_confidence_a_label_is_void(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    whole = unsure(photo)
    result = whole.with_min_confidence(0.5)
    np.testing.assert_array_equal(np.unique(result.labels[:30]), [8])
    np.testing.assert_array_equal(np.unique(result.labels[30:]), [VOC.void])
    np.testing.assert_array_equal(np.unique(whole.labels), [8, 12])
    np.testing.assert_array_equal(result.confidence(), whole.confidence())
    assert result.probabilities is whole.probabilities
    assert result.shares() == {"cat": 0.5}
    np.testing.assert_array_equal(np.asarray(result.overlay())[31:], photo[31:])
    result.save(tmp_path / "cat.png")
    with Image.open(tmp_path / "cat.png") as written:
        assert set(np.unique(np.asarray(written))) == {8, 255}
        assert written.convert("RGB").getpixel((0, 59)) == (224, 224, 192)  # VOC's colour of void


@pytest.mark.parametrize(("threshold", "left"), [(0, {8, 12}), (0.4, {8, 12}), (0.41, {8, 255}), (1, {255})])
def test_the_least_confidence_itself_is_enough(photo: NDArray[np.uint8], threshold: float, left: set[int]) -> None:
    assert set(np.unique(unsure(photo).with_min_confidence(threshold).labels)) == left


def test_void_is_the_label_sets_own(photo: NDArray[np.uint8]) -> None:
    even = np.full((11, 60, 90), 1 / 11, np.float32)
    result = Segmentation(np.zeros((60, 90), np.uint8), even, CAMVID, photo).with_min_confidence(0.2)
    assert set(np.unique(result.labels)) == {CAMVID.void}
    assert result.shares() == {}


@pytest.mark.parametrize("threshold", [-0.1, 1.01, 50, float("nan"), float("inf")])
def test_bad_least_confidences(photo: NDArray[np.uint8], threshold: float) -> None:
    with pytest.raises(InputError, match="must lie in 0–1, got"):
        unsure(photo).with_min_confidence(threshold)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("missing.jpg", ImageError),
        (np.zeros((0, 5, 3), np.uint8), InputError),
        (np.zeros((3, 40, 50), np.uint8), InputError),
        (np.full((4, 4, 3), np.nan), InputError),
        (np.full((4, 4, 3), -1, np.int32), InputError),
        (None, InputError),
    ],
)
def test_bad_photos(segmenter: Segmenter, source: Any, kind: type[DeepLabError]) -> None:
    with pytest.raises(kind):
        segmenter(source)


def test_a_saved_model_is_the_same_model(tiny_model: Path, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    segmenter = Segmenter.from_pretrained(tiny_model, threads=1)
    segmenter.save_pretrained(tmp_path / "models" / "tiny")
    assert sorted(path.name for path in (tmp_path / "models" / "tiny").iterdir()) == ["README.md", "model.onnx"]
    again = Segmenter.from_pretrained(tmp_path / "models" / "tiny", threads=1)
    assert again.info == segmenter.info
    np.testing.assert_array_equal(again(photo).labels, segmenter(photo).labels)
    card = (tmp_path / "models" / "tiny" / "README.md").read_text()
    assert card.startswith("# tiny\n")
    assert '| scores | `{"mean IoU": 0.0}` |' in card
    again.save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "README.md").read_text() == card


def test_a_written_card_is_copied(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "pets.onnx").write_bytes(tiny_model.read_bytes())
    (tmp_path / "pets.md").write_text("# Pets: cats – and dogs\n", encoding="utf-8")
    Segmenter.from_pretrained(tmp_path).save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "README.md").read_text(encoding="utf-8") == "# Pets: cats – and dogs\n"


def test_saving_a_model_replaces_nothing_unasked(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputError, match=r"README\.md exists"):
        segmenter.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    segmenter.save_pretrained(tmp_path, overwrite=True)
    assert (tmp_path / "README.md").read_text().startswith("# tiny")
    with pytest.raises(OutputError, match="cannot make folder"):
        segmenter.save_pretrained(tmp_path / "README.md" / "below")


def run_elsewhere(model: Path, photo: Path, target: Path, **environment: str) -> subprocess.Popen[str]:
    """Segment a photo in a process of its own, and print what the CRF's loops are compiled for."""
    script = (
        "import sys; from deeplab import Segmenter; from deeplab.crf import _native; "
        "Segmenter.from_pretrained(sys.argv[1], threads=1)(sys.argv[2]).save(sys.argv[3]); "
        "print(_native.instruction_set())"
    )
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment
    command = [sys.executable, "-c", script, *map(str, (model, photo, target))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables)


def test_processes_share_a_model_and_old_processors_give_the_same(
    segmenter: Segmenter, tiny_model: Path, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    before = {path: path.read_bytes() for path in tiny_model.parent.iterdir()}
    targets = {"as_it_is": {}, "baseline": {"DEEPLAB_CRF_ISA": "baseline"}}
    running = {
        name: run_elsewhere(tiny_model, tmp_path / "photo.png", tmp_path / f"{name}.png", **environment)
        for name, environment in targets.items()
    }
    said = {name: process.communicate()[0].strip() for name, process in running.items()}
    assert [process.returncode for process in running.values()] == [0, 0]
    assert said["baseline"] == "baseline"
    expected = segmenter(photo).labels
    for name in targets:
        assert (read_label_map(tmp_path / f"{name}.png") != expected).mean() <= 0.001  # rounding at near ties
    assert {path: path.read_bytes() for path in tiny_model.parent.iterdir()} == before


def test_bad_models_and_threads(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        Segmenter.from_pretrained(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="unknown model 'resnet'"):
        Segmenter.from_pretrained("resnet")
    with pytest.raises(InputError, match="threads"):
        Segmenter.from_pretrained(tiny_model, threads=0)
