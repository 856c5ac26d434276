"""The endpoints for programs against the package's own functions."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import Segmenter
from deeplab.crf import CRFParams, CRFSettings
from deeplab.cutout import cutout
from deeplab.errors import InputError
from deeplab.formats.labelled import read_labelled
from deeplab.label_maps import read_label_set
from deeplab.labels import VOC, LabelSet
from deeplab.refinement import refine_scores
from deeplab.segmentation import Segmentation
from deeplab.server import program_jobs
from deeplab.server.pictures import PICTURES
from deeplab.server.schemas import described_labels
from deeplab.server.uploads import Upload
from deeplab.server.worker import JobContext


@pytest.fixture(scope="module")
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model)


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def segment(client: Any, photo_png: bytes, **query: Any) -> Any:
    return client.post("/api/v1/segment", params=query, files={"photo": ("my cat.png", photo_png)})


@pytest.mark.parametrize("crf", [True, False])
def test_json(client: Any, photo_png: bytes, photo: NDArray[np.uint8], segmenter: Segmenter, crf: bool) -> None:
    expected = segmenter.segment(photo, crf=crf)
    found = segment(client, photo_png, crf=crf).json()
    assert (found["name"], found["width"], found["height"], found["void"]) == ("my cat.png", 90, 60, 0)
    assert {one["name"]: one["share"] for one in found["classes"]} == pytest.approx(expected.shares(), abs=1e-6)
    for one in found["classes"]:
        assert VOC.names[one["index"]] == one["name"]
        mean = expected.confidence()[expected.labels == one["index"]].mean()
        assert one["confidence"] == pytest.approx(mean, abs=1e-4)


def test_files(
    client: Any, encode: Any, photo_png: bytes, photo: NDArray[np.uint8], segmenter: Segmenter, tmp_path: Path
) -> None:
    expected = segmenter.segment(photo)
    mask = segment(client, photo_png, format="mask")
    assert mask.headers["content-type"] == "image/png"
    assert mask.headers["content-disposition"].startswith('attachment; filename="my_cat.png"')
    image = Image.open(io.BytesIO(mask.content))
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), expected.labels)
    (tmp_path / "my_cat.png").write_bytes(mask.content)
    np.testing.assert_array_equal(read_labelled(tmp_path / "my_cat.png").labels, expected.labels)  # as `convert` does
    assert read_label_set(tmp_path / "my_cat.png") == VOC
    overlay = segment(client, photo_png, format="overlay")
    assert overlay.content == encode(np.asarray(expected.overlay()), "JPEG", quality=92)
    alone = np.asarray(Image.open(io.BytesIO(segment(client, photo_png, format="cutout").content)))
    np.testing.assert_array_equal(alone, cutout(expected))
    arrays = np.load(io.BytesIO(segment(client, photo_png, format="npz").content), allow_pickle=False)
    np.testing.assert_array_equal(arrays["labels"], expected.labels)
    np.testing.assert_allclose(arrays["confidence"], expected.confidence(), atol=1e-6)
    assert list(arrays["names"]) == list(VOC.names)


def test_the_crfs_parameters(client: Any, photo_png: bytes, photo: NDArray[np.uint8], segmenter: Segmenter) -> None:
    """Those asked for, in pixels of the photo, as `refine` takes them; the model's own for the rest."""
    asked = {"bilateral_weight": 9, "bilateral_xy_std_px": 20, "bilateral_rgb_std": 12.5, "iterations": 4}
    crf = segmenter.info.crf
    params = replace(crf.params, **{name: value for name, value in asked.items() if name != "iterations"})
    scores = segmenter.segment(photo, crf=False).probabilities
    expected = refine_scores(photo, scores, replace(crf, params=params, iterations=4), kind="probabilities", axes="LHW")
    labels = np.asarray(Image.open(io.BytesIO(segment(client, photo_png, format="mask", **asked).content)))
    np.testing.assert_array_equal(labels, expected.labels)
    assert (labels != segmenter.segment(photo).labels).any()
    network = np.asarray(Image.open(io.BytesIO(segment(client, photo_png, format="mask", crf=False, **asked).content)))
    np.testing.assert_array_equal(network, scores.argmax(axis=0))


def test_distances_are_in_pixels_of_a_large_photo(client: Any, encode: Any, segmenter: Segmenter) -> None:
    image = np.random.default_rng(4).integers(0, 256, (5, 171, 3), np.uint8).repeat(12, 0).repeat(12, 1)
    params = replace(segmenter.info.crf.params, bilateral_xy_std_px=20, bilateral_rgb_std=12, spatial_xy_std_px=1.5)
    expected = segmenter.segment(image, crf=replace(segmenter.info.crf, params=params)).labels
    answer = segment(
        client, encode(image), format="mask", bilateral_xy_std_px=80, bilateral_rgb_std=12, spatial_xy_std_px=6
    )  # 2052 px a side, of which the network sees 513
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), expected)


def test_unsure_pixels_become_void(
    client: Any, photo_png: bytes, photo: NDArray[np.uint8], segmenter: Segmenter
) -> None:
    expected = segmenter.segment(photo, crf=False)
    threshold = float(np.median(expected.confidence()))
    mask = segment(client, photo_png, format="mask", crf=False, min_confidence=threshold)
    labels = np.asarray(Image.open(io.BytesIO(mask.content)))
    np.testing.assert_array_equal(labels == 255, expected.confidence() < threshold)
    found = segment(client, photo_png, crf=False, min_confidence=threshold).json()
    assert found["void"] == pytest.approx((labels == 255).mean(), abs=1e-6)


@pytest.mark.parametrize(
    "query", [{"format": "bmp"}, {"min_confidence": "nan"}, {"min_confidence": 1.5}, {"crf": "perhaps"}, {"class": "?"}]
)
def test_unusable_queries_are_refused(client: Any, photo_png: bytes, query: dict[str, Any]) -> None:
    answer = segment(client, photo_png, **query)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_input"


@pytest.mark.parametrize("url", ["/api/v1/segment", "/api/v1/refine"])
@pytest.mark.parametrize(
    "query",
    [
        {"bilateral_weight": "nan"}, {"bilateral_weight": -1}, {"bilateral_xy_std_px": "inf"},
        {"bilateral_xy_std_px": 0}, {"bilateral_rgb_std": 0}, {"spatial_weight": 1e9}, {"spatial_xy_std_px": "-inf"},
        {"iterations": -1}, {"iterations": 2.5}, {"iterations": 10**30},
    ],
)  # fmt: skip
def test_unusable_parameters_are_refused(client: Any, photo_png: bytes, url: str, query: dict[str, Any]) -> None:
    scores = npy(np.zeros((2, 60, 90), np.float32))
    answer = client.post(url, params=query, files={"photo": ("p.png", photo_png), "scores": ("s.npy", scores)})
    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["error"]["message"]


def refine(client: Any, photo_png: bytes, name: str, scores: bytes, **query: Any) -> Any:
    files = {"photo": ("p.png", photo_png), "scores": (name, scores)}
    return client.post("/api/v1/refine", params=query, files=files)


def test_refining_anyones_scores(client: Any, photo_png: bytes, photo: NDArray[np.uint8]) -> None:
    scores = np.random.default_rng(1).normal(size=(4, 30, 45)).astype(np.float32)
    crf = CRFSettings(CRFParams(bilateral_weight=7, bilateral_xy_std_px=30), iterations=5)
    expected = refine_scores(photo, scores, crf)
    query = {"bilateral_weight": 7, "bilateral_xy_std_px": 30, "iterations": 5}
    mask = refine(client, photo_png, "s.npy", npy(scores), **query)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(mask.content))), expected.labels)
    answer = refine(client, photo_png, "s.npy", npy(scores), format="npz", **query)
    arrays = np.load(io.BytesIO(answer.content), allow_pickle=False)
    np.testing.assert_array_equal(arrays["labels"], expected.labels)
    np.testing.assert_array_equal(arrays["before"], expected.before)
    np.testing.assert_allclose(arrays["confidence"], expected.probabilities.max(axis=0), atol=1e-6)
    assert "logits of 4 labels" in str(arrays["understood"])


def test_refining_a_label_map_and_a_named_array(
    client: Any, photo_png: bytes, photo: NDArray[np.uint8], encode: Any
) -> None:
    labels = np.repeat(np.array([0, 3], np.uint8), [20, 40])[:, None].repeat(90, axis=1)
    expected = refine_scores(photo, labels).labels
    archive = io.BytesIO()
    np.savez(archive, other=np.zeros(3), labels=labels)
    for name, content, query in (("m.png", encode(labels), {}), ("m.npz", archive.getvalue(), {"key": "labels"})):
        found = np.asarray(Image.open(io.BytesIO(refine(client, photo_png, name, content, **query).content)))
        np.testing.assert_array_equal(found, expected)


def test_nothing_is_unpickled(client: Any, photo_png: bytes, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    trap = np.array([[Trap()]], dtype=object)
    file = io.BytesIO()
    np.save(file, trap, allow_pickle=True)
    archive = io.BytesIO()
    np.savez(archive, trap=trap)
    for name, content in (("s.npy", file), ("s.npz", archive), ("s.pkl", file), ("s.pt", archive)):
        answer = refine(client, photo_png, name, content.getvalue())
        assert answer.status_code == 422
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("shape", [(4, 45, 30), (3 << 30,), (0,)])
def test_scores_that_do_not_fit_are_refused(client: Any, photo_png: bytes, shape: tuple[int, ...]) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    answer = refine(client, photo_png, "s.npy", header.getvalue() + bytes(4 * 4 * 45 * 30))
    assert answer.status_code == 422
    assert "upload" not in answer.json()["error"]["message"]  # the server's own name for the file


def test_archives_that_unpack_to_too_much_are_refused(
    photo_png: bytes, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = JobContext({}, 10_000, 1, lambda: None)
    archive = io.BytesIO()
    np.savez_compressed(archive, scores=np.zeros((2, *photo.shape[:2]), np.float32))
    arguments = {"key": None, "options": {}, "confidence": 0.7, "crf": CRFSettings(), "form": "mask"}
    files = {"photo": Upload("p.png", photo_png), "scores": Upload("s.npz", archive.getvalue())}
    monkeypatch.setattr("deeplab.arrays.MOST_BYTES", 40_000)  # 43,200 of zeros
    with pytest.raises(InputError, match=r"^s.npz: its array 'scores' unpacks to"):
        program_jobs.refine_upload(context, **files, **arguments)


def test_scores_of_more_labels_than_memory_holds_are_refused(client: Any, encode: Any) -> None:
    photo = encode(np.zeros((1400, 1400, 3), np.uint8))
    scores = np.zeros((100_000, 1, 1), np.float16)  # 1.6 TB at the photo's size
    answer = refine(client, photo, "s.npy", npy(scores), kind="logits", axes="LHW")
    assert answer.status_code == 413
    assert "memory" in answer.json()["error"]["message"]


def test_models_are_listed(client: Any, segmenter: Segmenter) -> None:
    found = client.get("/api/v1/models").json()["models"]
    by_name = {model["name"]: model for model in found}
    assert {"tiny", "voc-largefov"} <= by_name.keys()
    assert [model["name"] for model in found if model["default"]] == ["tiny"]
    assert by_name["tiny"]["crf"] == segmenter.info.crf.to_dict()
    assert by_name["tiny"]["card"] == dict(segmenter.info.card)
    assert by_name["tiny"]["background"] == 0


@pytest.mark.parametrize("background", [None, 0, 2])
def test_a_cutout_leaves_out_the_background_if_there_is_one(background: int | None) -> None:
    label_set = LabelSet("own", ("soil", "leaf", "sky"), background=background)
    labels, photo = np.array([[0, 1, 2, 255]], np.uint8).repeat(3, axis=1), np.zeros((1, 12, 3), np.uint8)
    beliefs = (labels == np.arange(3)[:, None, None]).astype(np.float32)
    found = Segmentation(labels, beliefs, label_set, photo)
    alone = np.asarray(Image.open(io.BytesIO(PICTURES["cutout"].render(found, ()))))
    middles = labels[0, 1::3]
    assert [alpha == 255 for alpha in alone[0, 1::3, 3]] == [label not in (background, 255) for label in middles]
    assert (alone[labels == 255] == 0).all()
    assert [label.colour != "#000000" for label in described_labels(label_set)] == [background != 0, True, True]


def test_a_shipped_model_can_be_asked_for(client: Any, photo_png: bytes) -> None:
    assert segment(client, photo_png, model="voc-largefov").json()["model"] == "voc-largefov"


def test_class_names_are_text_whatever_they_hold(make_model: Any, photo_png: bytes, client_for: Any) -> None:
    nasty = "<img src=x onerror=alert(1)>&</script>"
    path = make_model("nasty", label_set=LabelSet("nasty", ("background", nasty)))
    with client_for(model=str(path)) as client:
        answer = client.post("/api/v1/photos", files={"photo": ("p.png", photo_png)})
        assert answer.json()["labels"][1]["name"] == nasty
        assert "<" not in answer.text
        url = f"/api/v1/photos/{answer.json()['id']}/cutout.png"
        assert client.get(url, params={"class": nasty}).status_code == 200
        assert json.loads(client.get("/api/v1/models").text)["models"]


def test_what_is_assumed_of_a_photo_is_passed_on(client: Any, encode: Any) -> None:
    deep = np.linspace(0, 4095, 60 * 90).reshape(60, 90).astype(np.uint16)
    png, note = encode(deep), "its values are taken for 12 bits, 0–4095"
    assert segment(client, png).json()["notes"] == [note]
    assert segment(client, png, format="mask").headers["X-Notes"] == note.replace("–", "-")
    assert client.post("/api/v1/photos", files={"photo": ("scan.png", png)}).json()["notes"] == [note]
    scores = {"photo": ("scan.png", png), "scores": ("scan.npy", npy(np.full((2, 60, 90), 0.5, np.float32)))}
    assert client.post("/api/v1/refine", files=scores).headers["X-Notes"] == note.replace("–", "-")
    plain = segment(client, encode((deep >> 4).astype(np.uint8)), format="mask")
    assert "X-Notes" not in plain.headers
