"""The endpoints of the page against the package's own functions."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import Segmenter, refine
from deeplab.crf import CRFSettings
from deeplab.cutout import cutout
from deeplab.labels import VOC

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model)


@pytest.fixture
def info(client: Any, photo_png: bytes) -> dict[str, Any]:
    """A photo that was sent to the server."""
    answer = client.post("/api/v1/photos", files={"photo": ("cat.png", photo_png, "image/png")})
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


def planes(content: bytes, info: dict[str, Any]) -> list[Planes]:
    """Labels and confidences of each iteration."""
    values = np.frombuffer(content, np.uint8).reshape(-1, 2, info["height"], info["width"])
    return [(labels, confidence) for labels, confidence in values]


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_photo_is_described(info: dict[str, Any], segmenter: Segmenter) -> None:
    assert (info["name"], info["width"], info["height"]) == ("cat.png", 90, 60)
    assert (info["full_width"], info["full_height"]) == (90, 60)
    assert info["model"] == segmenter.info.name
    assert [label["name"] for label in info["labels"]] == list(VOC.names)
    assert info["labels"][8] == {"index": 8, "name": "cat", "colour": "#400000"}  # VOC's colour of cats
    crf = segmenter.info.crf
    assert info["parameters"] == {**crf.params.to_dict(), "iterations": crf.iterations}
    assert info["limits"].keys() == info["parameters"].keys()
    assert all(low <= info["parameters"][name] <= high for name, (low, high) in info["limits"].items())
    assert info["expires_in_s"] > 60


def test_the_network_alone(client: Any, info: dict[str, Any], segmenter: Segmenter, photo: NDArray[np.uint8]) -> None:
    ((labels, confidence),) = planes(client.get(f"/api/v1/photos/{info['id']}/network").content, info)
    expected = segmenter.segment(photo, crf=False)
    np.testing.assert_array_equal(labels, expected.labels)
    np.testing.assert_allclose(confidence / 255, expected.confidence(), atol=0.5 / 255 + 1e-6)


def test_refining_without_parameters_is_what_segmenting_does(
    client: Any, info: dict[str, Any], segmenter: Segmenter, photo: NDArray[np.uint8]
) -> None:
    ((labels, confidence),) = planes(client.post(f"/api/v1/photos/{info['id']}/refine", json={}).content, info)
    expected = segmenter.segment(photo)
    np.testing.assert_array_equal(labels, expected.labels)
    np.testing.assert_allclose(confidence / 255, expected.confidence(), atol=0.5 / 255 + 1e-6)


def test_refining_at_the_sliders_is_what_refine_does(
    client: Any, info: dict[str, Any], segmenter: Segmenter, photo: NDArray[np.uint8]
) -> None:
    asked = {"bilateral_weight": 9.0, "bilateral_xy_std_px": 20.0, "bilateral_rgb_std": 12.5}
    ((labels, confidence),) = planes(client.post(f"/api/v1/photos/{info['id']}/refine", json=asked).content, info)
    params = replace(segmenter.info.crf.params, **asked)
    expected = refine(photo, segmenter.segment(photo, crf=False).probabilities, params)
    np.testing.assert_array_equal(labels, expected.argmax(axis=0))
    np.testing.assert_allclose(confidence / 255, expected.max(axis=0), atol=0.5 / 255 + 1e-6)


def test_every_iteration_goes_from_the_network_to_the_refinement(client: Any, info: dict[str, Any]) -> None:
    url = f"/api/v1/photos/{info['id']}"
    asked = {"iterations": 4, "bilateral_weight": 9.0, "bilateral_xy_std_px": 20, "bilateral_rgb_std": 12.5}
    every = planes(client.post(f"{url}/refine", json={**asked, "every_iteration": True}).content, info)
    assert len(every) == 5
    np.testing.assert_array_equal(every[0], planes(client.get(f"{url}/network").content, info)[0])
    for count in (1, 4):
        (last,) = planes(client.post(f"{url}/refine", json={**asked, "iterations": count}).content, info)
        np.testing.assert_array_equal(every[count], last)
    assert (every[0][0] != every[4][0]).any()


def test_the_working_copy_of_a_large_photo(client: Any, encode: Any, segmenter: Segmenter) -> None:
    image = np.random.default_rng(3).integers(0, 256, (40, 2052, 3), np.uint8)
    files = {"photo": ("wide.jpg", encode(image, "JPEG", quality=20))}
    info = client.post("/api/v1/photos", files=files).json()
    assert (info["width"], info["height"]) == (1024, 20)
    assert (info["full_width"], info["full_height"]) == (2052, 40)
    grown = 1024 / 513  # what the network saw has 513 px
    scaled = segmenter.info.crf.params.scaled(grown)
    assert info["parameters"]["bilateral_xy_std_px"] == pytest.approx(scaled.bilateral_xy_std_px)
    assert opened(client.get(f"/api/v1/photos/{info['id']}/photo.jpg").content).size == (1024, 20)
    assert len(client.post(f"/api/v1/photos/{info['id']}/refine", json={}).content) == 2 * 1024 * 20


def test_a_photo_of_two_pixels(client: Any, encode: Any, segmenter: Segmenter) -> None:
    image = np.array([[[250, 10, 10], [10, 10, 250]]], np.uint8)
    info = client.post("/api/v1/photos", files={"photo": ("p.png", encode(image))}).json()
    assert info["parameters"] == {**segmenter.info.crf.params.to_dict(), "iterations": segmenter.info.crf.iterations}
    mask = np.asarray(opened(client.get(f"/api/v1/photos/{info['id']}/mask.png").content))
    np.testing.assert_array_equal(mask, segmenter.segment(image).labels)


def test_photos_come_back_upright(client: Any, encode: Any, photo: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: 90 degrees clockwise make it upright
    info = client.post("/api/v1/photos", files={"photo": ("p.png", encode(photo, exif=exif))}).json()
    assert (info["width"], info["height"]) == (60, 90)
    upright = np.asarray(opened(client.get(f"/api/v1/photos/{info['id']}/photo.jpg").content)).astype(int)
    assert np.abs(upright - np.rot90(photo, -1)).mean() < 12  # JPEG


def test_downloads_hold_what_refine_gives(client: Any, info: dict[str, Any], photo: NDArray[np.uint8]) -> None:
    url, asked = f"/api/v1/photos/{info['id']}", {"iterations": 2, "bilateral_xy_std_px": 20}
    ((labels, _),) = planes(client.post(f"{url}/refine", json=asked).content, info)
    mask = opened(client.get(f"{url}/mask.png", params=asked).content)
    assert mask.mode == "P"
    np.testing.assert_array_equal(np.asarray(mask), labels)
    np.testing.assert_array_equal(np.asarray(mask.convert("RGB")), VOC.colours()[labels])
    alone = np.asarray(opened(client.get(f"{url}/cutout.png", params=asked).content))
    assert alone.shape == (*photo.shape[:2], 4)
    certain = alone[:, :, 3] == 255
    np.testing.assert_array_equal(alone[certain][:, :3], photo[certain])
    overlay = client.get(f"{url}/overlay.jpg")
    assert opened(overlay.content).size == (90, 60)
    assert overlay.headers["content-disposition"].startswith('attachment; filename="cat_overlay.jpg"')


def test_downloads_of_a_large_photo_have_its_size(client: Any, encode: Any, segmenter: Segmenter) -> None:
    """They are what segmenting the photo gives, with the CRF of the sliders."""
    image = np.random.default_rng(4).integers(0, 256, (5, 171, 3), np.uint8).repeat(12, 0).repeat(12, 1)
    info = client.post("/api/v1/photos", files={"photo": ("wide.png", encode(image))}).json()
    url, grown = f"/api/v1/photos/{info['id']}", 1024 / 513
    model, params = segmenter.info.crf, segmenter.info.crf.params
    changed = replace(params, bilateral_weight=8.0, bilateral_xy_std_px=30 / grown)
    for asked, crf in (
        ({}, model),
        ({"bilateral_weight": 8, "bilateral_xy_std_px": 30, "iterations": 3}, CRFSettings(changed, 3)),
    ):
        expected = segmenter.segment(image, crf=crf)
        mask = opened(client.get(f"{url}/mask.png", params=asked).content)
        np.testing.assert_array_equal(np.asarray(mask), expected.labels)
    alone = opened(client.get(f"{url}/cutout.png", params=asked).content)
    np.testing.assert_array_equal(np.asarray(alone), cutout(expected))
    assert opened(client.get(f"{url}/overlay.jpg").content).size == (2052, 60)


def test_downloads_of_chosen_classes(
    client: Any, info: dict[str, Any], segmenter: Segmenter, photo: NDArray[np.uint8]
) -> None:
    url = f"/api/v1/photos/{info['id']}"
    labels = np.asarray(opened(client.get(f"{url}/mask.png").content))
    expected = segmenter.segment(photo)
    found = [int(label) for label in np.unique(labels) if label]
    chosen = [VOC.names[label] for label in found[:2]]
    for names in (chosen[:1], chosen):
        wanted = np.isin(labels, [VOC.names.index(name) for name in names])
        mask = np.asarray(opened(client.get(f"{url}/mask.png", params={"class": names}).content))
        np.testing.assert_array_equal(mask, np.where(wanted, labels, 0))
        alone = opened(client.get(f"{url}/cutout.png", params={"class": names}).content)
        np.testing.assert_array_equal(np.asarray(alone), cutout(expected, [VOC.names.index(name) for name in names]))
    for query in ({"class": "unicorn"}, {"iterations": 49}, {"bilateral_weight": "nan"}, {"spatial_xy_std_px": 199}):
        refused = client.get(f"{url}/mask.png", params=query)
        assert refused.status_code == 422
        assert next(iter(query.values() if "class" in query else query)) in refused.json()["error"]["message"]


def test_a_photo_is_forgotten_on_request(client: Any, info: dict[str, Any]) -> None:
    url = f"/api/v1/photos/{info['id']}"
    assert client.get(url).json() == info
    assert client.request("DELETE", url).status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/network"), ("POST", "/refine"), ("GET", "/mask.png")):
        answer = client.request(method, url + path, **({"json": {}} if method == "POST" else {}))
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "unknown_photo"


@pytest.mark.parametrize(
    "body",
    [
        '{"bilateral_weight": NaN}', '{"bilateral_rgb_std": Infinity}', '{"iterations": -1}', '{"iterations": 1e99}',
        '{"iterations": 2.5}', '{"spatial_xy_std_px": 0}', '{"bilateral_xy_std_px": 1e9}', '{"unknown": 1}',
        '{"spatial_weight": "</script>"}', "[]", "nonsense", "", '{"iterations": ' + "9" * 5000 + "}", "[" * 50_000,
    ],
)  # fmt: skip
def test_unusable_parameters_are_refused(client: Any, info: dict[str, Any], body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"/api/v1/photos/{info['id']}/refine", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"]
    assert "<" not in answer.text
    assert client.post(f"/api/v1/photos/{info['id']}/refine", json={}).status_code == 200


def test_an_unknown_model_is_refused(client: Any, photo_png: bytes) -> None:
    for name in ("resnet", "../../etc/passwd", str(Path(__file__))):
        answer = client.post("/api/v1/photos", params={"model": name}, files={"photo": ("a.png", photo_png)})
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "unknown_model"
