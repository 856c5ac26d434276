"""The ML backend protocol, by requests of the shape that Label Studio sends (`ml/api_connector.py`, `interactive`)."""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies
from numpy.typing import NDArray

from deeplab.errors import ImageError, InputError
from deeplab.formats import brush_runs, components_of
from deeplab.labels import VOC, LabelSet
from deeplab.segment import Segmenter
from deeplab.server.label_studio_jobs import _mark as mark_of
from deeplab.server.labelling_config import read_labelling_config
from deeplab.server.task_photos import TaskPhotos
from deeplab.teach.marks import checked
from deeplab.web import WebError

EXAMPLES = Path(__file__).parents[2] / "examples"
TOKEN = "0123456789abcdef"
MIB = 1 << 20
BRUSH = """
<View>
  <Image name="photo" value="$image" zoom="true"/>
  <BrushLabels name="brush" toName="photo">{labels}</BrushLabels>
  <KeyPointLabels name="points" toName="photo" smart="true">{labels}</KeyPointLabels>
  <RectangleLabels name="boxes" toName="photo" smart="true">{labels}</RectangleLabels>
</View>"""
POLYGONS = """
<View><Image name="photo" value="$image"/>
<PolygonLabels name="outlines" toName="photo">{labels}</PolygonLabels></View>"""


def config(*names: str, form: str = BRUSH) -> str:
    return form.format(labels="".join(f'<Label value="{name}"/>' for name in names))


def every_class(form: str = BRUSH) -> str:
    return config(*VOC.names, form=form)


def request(photo: str, label_config: str, drawn: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """What Label Studio posts to /predict."""
    context = None if drawn is None else {"result": drawn, "annotation_id": None, "user_id": 1}
    return {
        "tasks": [{"id": 3, "data": {"image": photo}, "annotations": [], "predictions": [], "project": 1}],
        "model_version": "", "project": "1.1763000000", "label_config": label_config,
        "params": {"login": None, "password": None, "context": context}, **more,
    }  # fmt: skip


def decode(runs: list[int]) -> NDArray[np.uint8]:
    """Rle-pack's values, bit by bit as its description says: another way than the package's own."""
    whole, left = int.from_bytes(bytes(runs), "big"), 8 * len(runs)

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return whole >> left & (1 << count) - 1

    count, word, values = take(32), take(5) + 1, []
    sizes = [take(4) + 1 for _ in range(4)]
    while len(values) < count:
        repeated = take(1)
        length = take(sizes[take(2)]) + 1
        values += [take(word)] * length if repeated else [take(word) for _ in range(length)]
    return np.array(values, np.uint8)


def mask_of(region: dict[str, Any]) -> NDArray[np.bool_]:
    height, width = region["original_height"], region["original_width"]
    mask: NDArray[np.bool_] = decode(region["value"]["rle"]).reshape(height, width, 4)[..., 3] == 255
    return mask


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of local files, beside one that is nobody's business."""
    below = tmp_path_factory.mktemp("media")
    (below / "photos" / "of june").mkdir(parents=True)
    (below / "secret.png").write_bytes(b"secret")
    (below / "photos" / "out.png").symlink_to(below / "secret.png")
    return below / "photos"


@pytest.fixture(scope="module")
def backend(client_for: Any, tiny_model: Path, folder: Path) -> Iterator[Any]:
    with client_for(model=str(tiny_model), label_studio=TaskPhotos(local_files=folder), max_upload_bytes=MIB) as client:
        yield client


@pytest.fixture
def address(photo_png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(photo_png).decode()


def predicted(backend: Any, asked: dict[str, Any], status: int = 200) -> Any:
    answer = backend.post("/label-studio/predict", json=asked)
    assert answer.status_code == status, answer.text
    return answer.json()["results"] if status == 200 else answer.json()["error"]["message"]


def test_health_setup_and_versions(backend: Any) -> None:
    assert backend.get("/label-studio/health").json() == {"status": "UP"}
    told = {"project": "1.1763000000", "schema": every_class(), "hostname": "http://evil", "access_token": "x"}
    assert backend.post("/label-studio/setup", json=told).json() == {"model_version": "tiny"}
    assert backend.post("/label-studio/versions", json={"project": "1.1763000000"}).json() == {"versions": ["tiny"]}
    assert backend.get("/label-studio/health").headers["x-frame-options"] == "DENY"


def test_nothing_of_it_answers_unless_asked_for(client: Any) -> None:
    assert client.get("/label-studio/health").status_code == 404


def test_regions_are_what_the_segmenter_finds(
    backend: Any, address: str, photo: NDArray[np.uint8], tiny_model: Path
) -> None:
    (prediction,) = predicted(backend, request(address, every_class()))
    expected = Segmenter.from_pretrained(tiny_model)(photo).labels
    found = np.full(expected.shape, 255)
    for region in prediction["result"]:
        assert (region["from_name"], region["to_name"], region["type"]) == ("brush", "photo", "brushlabels")
        assert (region["original_width"], region["original_height"], region["image_rotation"]) == (90, 60, 0)
        assert 0 < region["score"] <= 1
        found[mask_of(region)] = VOC.names.index(region["value"]["brushlabels"][0])
    np.testing.assert_array_equal(found, expected)  # with a label for every class there is one everywhere
    assert prediction["model_version"] == "tiny"
    assert len({region["id"] for region in prediction["result"]}) == len(prediction["result"])


def test_polygons_cover_what_masks_cover(backend: Any, address: str) -> None:
    (masks,), (outlines,) = (predicted(backend, request(address, every_class(form))) for form in (BRUSH, POLYGONS))
    area: dict[str, float] = {}
    for region in outlines["result"]:
        assert region["type"] == "polygonlabels"
        assert region["value"]["closed"]
        x, y = np.array(region["value"]["points"]).T
        assert 0 <= min(x.min(), y.min()) <= max(x.max(), y.max()) <= 100
        (name,) = region["value"]["polygonlabels"]
        area[name] = area.get(name, 0) + abs((x * np.roll(y, 1) - y * np.roll(x, 1)).sum()) / 2 / 1e4
    for region in masks["result"]:
        (name,) = region["value"]["brushlabels"]
        assert area[name] == pytest.approx(mask_of(region).mean(), abs=0.03)  # a pixel's tolerance along the outline


def test_labels_take_the_classes_they_name(backend: Any, address: str) -> None:
    (found,) = predicted(backend, request(address, every_class()))
    classes = [region["value"]["brushlabels"][0] for region in found["result"]]
    lumped = BRUSH.format(labels=f'<Label value="Everything" predicted_values="{",".join(classes)}"/>')
    (whole,) = predicted(backend, request(address, lumped))
    (region,) = whole["result"]
    assert region["value"]["brushlabels"] == ["Everything"]
    assert mask_of(region).all()
    one = BRUSH.format(labels=f'<Label value="{classes[0].upper()}" alias="short"/>')
    (part,) = predicted(backend, request(address, one))
    (region,) = part["result"]
    assert region["value"]["brushlabels"] == ["short"]
    np.testing.assert_array_equal(mask_of(region), mask_of(found["result"][0]))


def test_labels_that_the_model_does_not_know(backend: Any, address: str) -> None:
    assert "predicted_values" in predicted(backend, request(address, config("gizmo", "gadget")), 422)
    (found,) = predicted(backend, request(address, config("gizmo", "cat")))
    assert {region["value"]["brushlabels"][0] for region in found["result"]} <= {"cat"}


def stroke(mask: NDArray[np.bool_], label: str) -> dict[str, Any]:
    return {
        "type": "brushlabels", "from_name": "brush", "to_name": "photo", "image_rotation": 0,
        "original_width": mask.shape[1], "original_height": mask.shape[0],
        "value": {"format": "rle", "rle": brush_runs(mask), "brushlabels": [label]},
    }  # fmt: skip


def point(x: float, y: float, label: str, positive: bool = True) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": 2.0, "keypointlabels": [label]}
    return {
        "type": "keypointlabels", "from_name": "points", "to_name": "photo", "original_width": 90,
        "original_height": 60, "value": value, "is_positive": positive,
    }  # fmt: skip


@pytest.fixture(scope="module")
def taught(client_for: Any, folder: Path) -> Iterator[Any]:
    """A server of the real network, which sees background where the tests mark their photo."""
    shutil.copy(EXAMPLES / "cat.jpg", folder)
    with client_for(model="voc-largefov", label_studio=TaskPhotos(local_files=folder)) as client:
        yield client


def test_marks_hold_and_teach_what_the_network_does_not_know(taught: Any, address: str) -> None:
    """The photo is blue above row 30 and orange below."""
    above, below = np.zeros((60, 90), bool), np.zeros((60, 90), bool)
    above[5:25:6], below[35:55:6] = True, True
    drawn = [stroke(above, "gizmo"), stroke(below, "dog")]
    (prediction,) = predicted(taught, request(address, config("gizmo", "dog"), drawn))
    gizmo, dog = (mask_of(region) for region in prediction["result"])
    assert gizmo[above].all()
    assert dog[below].all()
    assert not (gizmo & dog).any()
    assert (gizmo[:30].mean(), dog[30:].mean()) == pytest.approx((1, 1), abs=0.1)


def test_a_negative_point_and_a_box(taught: Any, address: str) -> None:
    box = {"x": 0.0, "y": 0.0, "width": 100.0, "height": 50.0, "rectanglelabels": ["gizmo"]}
    drawn = [{"type": "rectanglelabels", "original_width": 90, "original_height": 60, "value": box}]
    for marks in [point(90, 10, "gizmo"), point(50, 90, "gizmo", positive=False)], drawn:
        (prediction,) = predicted(taught, request(address, config("gizmo"), marks))
        (region,) = prediction["result"]
        assert mask_of(region)[:30].mean() > 0.9
        assert mask_of(region)[30:].mean() < 0.1
    alone = predicted(taught, request(address, config("gizmo"), [point(90, 10, "gizmo")]), 422)
    assert "one kind of mark alone teaches nothing" in alone


@pytest.mark.parametrize("name", ["cat", "tom", "dog"])
def test_a_point_gives_the_part_that_the_network_sees_there(taught: Any, name: str) -> None:
    """Whether the label is the network's class, a name of one's own, or another class."""
    look = Segmenter.from_pretrained().look(EXAMPLES / "cat.jpg")
    cat = look.refined().labels == VOC.names.index("cat")
    y, x = np.argwhere(cat).mean(axis=0)
    drawn = point(100 * x / cat.shape[1], 100 * y / cat.shape[0], name)
    asked = request("/data/local-files/?d=cat.jpg", config(name, "sofa"), [drawn])
    (prediction,) = predicted(taught, asked)
    (region,) = prediction["result"]
    mask = mask_of(region)
    assert region["value"]["brushlabels"] == [name]
    assert mask[int(y), int(x)]
    assert (mask & cat).sum() / (mask | cat).sum() > 0.95
    assert components_of(mask).max() == 1


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ([{"type": "x", "value": {}}], "is not understood"),
        ([{"type": "brushlabels", "value": {"brushlabels": ["cat"], "rle": [1, 2]}}], "no brush mask of 90x60"),
        ([stroke(np.ones((9, 9), bool), "cat")], "no brush mask of 90x60"),
        ([point(50, 50, "gizmo")], "unknown class 'gizmo'"),
        ([point(500, 500, "cat")], "outside the photo"),
        ([{"value": {"keypointlabels": ["cat"], "x": "a", "y": 1}}], "not understood"),
        ([{"value": 7}], "not understood"),
        ([point(5, 5, "cat") | {"image_rotation": 90}], "turn it back"),
    ],
)
def test_bad_marks(backend: Any, address: str, drawn: Any, message: str) -> None:
    assert message in predicted(backend, request(address, config("cat", "dog"), drawn), 422)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no XML"), ("<View>", "no XML"), ("<View/>", "no <BrushLabels>"), ("{}", "no XML"),
        ('<!DOCTYPE v [<!ENTITY a "aaaa">]><View>&a;</View>', "document type"),
        ('<View><BrushLabels name="b" toName="other"/></View>', "no <BrushLabels>"),
        (config(*"cat", form=BRUSH.replace("$image", "image")), "expected a name in tasks: $image"),
        (config("cat", "cat"), "class names must differ"),
        (BRUSH.format(labels='<Label value="cat"/><Label value="tom" predicted_values="Cat"/>'), "two labels are"),
        (config(*(f"label {number}" for number in range(300))), "1 to 255"),
    ],
)  # fmt: skip
def test_bad_set_ups(backend: Any, text: str, message: str) -> None:
    answer = backend.post("/label-studio/setup", json={"project": "1.2", "schema": text})
    assert answer.status_code == 422
    assert message in answer.json()["error"]["message"]


KEYS = strategies.sampled_from(
    ["value", "points", "rle", "x", "y", "width", "height", "brushlabels", "is_positive", "image_rotation"]
)
JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(),
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(value=strategies.dictionaries(strategies.sampled_from(["points", "rle", "x", "y", "width", "height"]), JSON))
def test_whatever_was_drawn_is_a_mark_or_one_error(value: dict[str, Any]) -> None:
    label_set = LabelSet("project", ("background", "cat"), background=0)
    photo = np.zeros((20, 30, 3), np.uint8)
    for kind in "brushlabels", "polygonlabels", "keypointlabels", "rectanglelabels":
        with suppress(InputError):
            given_mark = mark_of({"value": {**value, kind: ["cat"]}}, photo.shape[:2], label_set)
            checked(given_mark, photo.shape[:2], label_set)


@given(drawn=JSON)
def test_whatever_is_sent_as_a_mark_is_one_or_one_error(drawn: Any) -> None:
    with suppress(InputError):
        mark_of(drawn if isinstance(drawn, dict) else {"value": drawn}, (20, 30), VOC)


@given(photo=strategies.text() | strategies.from_regex(r"[a-z]{0,5}:?//?[a-z@:.\\\\]{0,20}/?[a-z./%0-9]{0,20}") | JSON)
def test_whatever_a_photos_address_is_nothing_foreign_is_fetched(photo: Any) -> None:
    asked: list[str] = []

    def noted(address: str, *_: Any, **__: Any) -> Any:
        asked.append(address)
        raise WebError("not here")

    with pytest.MonkeyPatch.context() as patch, suppress(InputError, ImageError):
        patch.setattr("deeplab.server.task_photos.open_web", noted)
        TaskPhotos("http://ls.example:8080", TOKEN).read(photo, MIB)
    assert all(address.startswith("http://ls.example:8080/") for address in asked)


@given(text=strategies.text())
def test_whatever_a_set_up_is(text: str) -> None:
    for form in (text, f"<View>{text}</View>", config(text), f'<Image name="{text}"/>'):
        with suppress(InputError):
            read_labelling_config(form, VOC)


def test_a_label_may_be_called_background(backend: Any) -> None:
    read = read_labelling_config(config("background", "cat"), VOC)
    assert read.label_set.names == ("all else", "background", "cat")
    assert read.groups[1:] == ((0,), (8,))
    assert sorted(label for group in read.groups for label in group) == list(range(21))


def test_of_several_tasks_the_bad_ones_say_so(backend: Any, address: str) -> None:
    asked = request(address, every_class())
    asked["tasks"] += [{"data": {"image": "http://evil.example/a.png"}}, {"data": {}}]
    good, foreign, missing = predicted(backend, asked)
    assert good["result"]
    assert set(foreign) == set(missing) == {"error"}
    assert "--photos-from" in foreign["error"]
    assert "None; expected its address" in missing["error"]
    asked["params"]["context"] = {"result": [point(5, 5, "cat")]}
    assert "comes with 3 tasks" in predicted(backend, asked, 422)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"tasks": 3}', b'{"tasks": [], "label_config": 1}', b"\xff"])
def test_bodies_that_are_no_request(backend: Any, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert backend.post("/label-studio/predict", content=body, headers=headers).status_code in (400, 422)


def test_a_request_is_as_large_as_an_upload_may_be(backend: Any, address: str) -> None:
    asked = request(address, every_class(), filler="x" * 500_000)
    assert predicted(backend, asked)
    asked["filler"] *= 3
    assert "larger than 1 MiB" in predicted(backend, asked, 413)


def test_local_files(backend: Any, folder: Path, photo_png: bytes) -> None:
    (folder / "of june" / "a+b.png").write_bytes(photo_png)
    (found,) = predicted(backend, request("/data/local-files/?d=of%20june/a%2Bb.png", every_class()))
    assert found["result"]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png", "of june/../../secret.png", "/etc/passwd", "%2Fetc%2Fpasswd", "..%2Fsecret.png", "out.png", "",
        "of june", ".", "a%00.png", "..%5Csecret.png", "x" * 5000, "~/secret.png", "missing.png",
    ],
)  # fmt: skip
def test_paths_out_of_the_folder_are_refused(folder: Path, path: str) -> None:
    with pytest.raises((InputError, ImageError), match="below the folder") as refused:
        TaskPhotos(local_files=folder).read(f"/data/local-files/?d={path}", MIB)
    assert str(folder) not in str(refused.value)


@pytest.mark.parametrize(
    "photo",
    [
        "http://evil.example/a.png", "https://127.0.0.1/a.png", "http://ls.example@evil.example/data/upload/1/a.png",
        "http://ls.example.evil.example/data/a.png", "https://ls.example:8080/data/a.png", "file:///etc/passwd",
        "//evil.example/data/a.png", "http://ls.example:99999/data/a.png", "ftp://ls.example:8080/data/a", "s3://a/b.png",
        "http://ls.example:8080/api/users", "/api/users", "/data/../api/users", "/data/%2e%2e/api/users", "a.png",
        "http://ls.example:8080\\@evil.example/data/a.png", "/data/upload/1/a.png\r\nX: y", 7, None, "", ["a"],
        "data:image/png,abc", "data:image/png;base64,*", "http://[", "HTTP://EVIL.example/a.png",
    ],
)  # fmt: skip
def test_foreign_addresses_are_not_fetched(photo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deeplab.server.task_photos.open_web", lambda *_, **__: pytest.fail("it was fetched"))
    with pytest.raises(InputError):
        TaskPhotos("http://ls.example:8080", TOKEN, None, ("https://photos.example",)).read(photo, MIB)


class _LabelStudio(BaseHTTPRequestHandler):
    photo = b""
    seen: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        if "away" in self.path:
            self.send_response(302)
            self.send_header("Location", "/data/upload/1/a.png")
        else:
            self.send_response(200 if self.path.endswith("a.png") else 404)
            self.send_header("Content-Length", str(len(self.photo)))
        self.end_headers()
        self.wfile.write(self.photo)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def studio(photo_png: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    _LabelStudio.photo, _LabelStudio.seen = photo_png, []
    with HTTPServer(("127.0.0.1", 0), _LabelStudio) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_uploads_are_fetched_from_label_studio_with_its_token(studio: str, photo_png: bytes) -> None:
    photos = TaskPhotos(f"{studio}/ls", TOKEN)
    for photo in ("/data/upload/1/a.png", f"{studio}/ls/data/upload/1/a.png", "/data/local-files/?d=x/a.png"):
        assert photos.read(photo, MIB).data == photo_png
    paths, tokens = zip(*_LabelStudio.seen, strict=True)
    assert paths == ("/ls/data/upload/1/a.png", "/ls/data/upload/1/a.png", "/ls/data/local-files/?d=x/a.png")
    assert set(tokens) == {f"Token {TOKEN}"}
    TaskPhotos(studio, "a.b.c").read("/data/upload/1/a.png", MIB)
    assert _LabelStudio.seen[-1][1] == "Bearer a.b.c"


def test_allowed_addresses_get_no_token(studio: str, photo_png: bytes) -> None:
    photos = TaskPhotos("http://ls.example", TOKEN, None, (studio,))
    assert photos.read(f"{studio}/anything/a.png?size=1&x=a.png", MIB).data == photo_png
    assert _LabelStudio.seen == [("/anything/a.png?size=1&x=a.png", None)]


def test_what_cannot_be_fetched(studio: str) -> None:
    photos = TaskPhotos(studio)
    with pytest.raises(ImageError, match="404 Not Found"):
        photos.read("/data/upload/1/b.png", MIB)
    with pytest.raises(ImageError, match="302 Found; redirections are not followed"):
        photos.read("/data/upload/away/a.png", MIB)
    with pytest.raises(ImageError, match="is larger than"):
        photos.read("/data/upload/1/a.png", 100)
    with pytest.raises(InputError, match="--label-studio-url"):
        TaskPhotos().read("/data/upload/1/a.png", MIB)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": "ls.example"}, "no address"), ({"address": "http://u:p@ls.example"}, "no address"),
        ({"others": ("https://x/?a=1",)}, "no address"), ({"token": TOKEN}, "--label-studio-url"),
        ({"address": "http://ls", "token": "a b"}, "copy it again"), ({"local_files": Path("nowhere")}, "no folder"),
    ],
)  # fmt: skip
def test_bad_options(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TaskPhotos(**given)


def test_options_without_label_studio(run: Any) -> None:
    outcome = run("serve", "--label-studio-url", "http://127.0.0.1:8080")
    assert outcome.status
    assert "give --label-studio, too" in outcome.err


def test_a_token_is_asked_of_label_studio_as_a_password(client_for: Any, tiny_model: Path) -> None:
    sent = {"Authorization": "Basic " + base64.b64encode(f"anyone:{TOKEN}".encode()).decode()}
    with client_for(model=str(tiny_model), token=TOKEN, label_studio=TaskPhotos()) as client:
        assert client.get("/label-studio/health").status_code == 401
        assert client.get("/label-studio/health", headers=sent).status_code == 200
