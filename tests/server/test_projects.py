"""Projects over HTTP: correct and teach, and whatever comes in between."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.label_maps import read_label_map, read_label_set
from deeplab.labels import VOC
from deeplab.runtime import ScoreNetwork
from deeplab.server.projects import STAYING
from deeplab.teach import Project

Json = dict[str, Any]
API = "/api/v1/projects"
TAUGHT = {"use": "teach", "model": "voc-largefov", "classes": [{"name": "ground"}, {"name": "<b>disc</b>"}]}


@pytest.fixture
def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A red disc on green noise, and where it is."""
    y, x = np.mgrid[:60, :90]
    mask = np.hypot(y - 30, x - 45) < 18
    photo = np.random.default_rng(3).normal((90, 120, 90), 10, (60, 90, 3))
    photo[mask] = (200, 60, 50)
    return photo.clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


MARKS: list[Json] = [
    {"kind": "stroke", "label": 1, "points": [[40, 30], [50.5, 30]], "width_px": 3},
    {"kind": "stroke", "label": 0, "points": [[4, 4], [86, 4]], "width_px": 3},
]


class Page:
    """A tab with one project: it keeps the version that it saw last, as the page does."""

    def __init__(self, client: Any, info: Json) -> None:
        self.client, self.url, self.version = client, f"{API}/{info['id']}", info["version"]

    def info(self) -> Json:
        info: Json = self.client.get(self.url).json()
        self.version = info["version"]
        return info

    def add(self, content: bytes, name: str = "a photo.png") -> Json:
        answer = self.client.post(f"{self.url}/photos", files={"photo": (name, content)})
        assert answer.status_code == 201, answer.text
        photo: Json = answer.json()
        return photo

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self.client.request(method, self.url + path, json={"version": self.version, **body})
        if answer.status_code == 200 and answer.headers["content-type"] == "application/json":
            self.version = answer.json()["version"]
        return answer

    def mark(self, photo: str, marks: list[Json]) -> Any:
        return self.ask("PUT", f"/photos/{photo}/marks", marks=marks)

    def segment(self, photo: Json, **crf: Any) -> NDArray[np.uint8]:
        answer = self.client.post(f"{self.url}/photos/{photo['id']}/segment", json=crf)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-project-version"] == str(self.version)
        return np.frombuffer(answer.content, np.uint8).reshape(2, photo["height"], photo["width"])


@pytest.fixture
def make_page(client: Any) -> Iterator[Callable[..., Page]]:
    made: list[Page] = []

    def make(**body: Any) -> Page:
        answer = client.post(API, json=body)
        assert answer.status_code == 201, answer.text
        made.append(Page(client, answer.json()))
        return made[-1]

    yield make
    for page in made:
        client.request("DELETE", page.url)


@pytest.fixture
def taught(make_page: Callable[..., Page], encode: Any, scene: Any) -> Page:
    page = make_page(**TAUGHT)
    page.add(encode(scene[0]))
    assert page.mark("1", MARKS).json() == {"version": page.version, "marks": 2, "lacks": None}
    return page


def refusal(answer: Any, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert "<" not in answer.text
    message: str = error["message"]
    assert "/tmp" not in message
    return message


def opened(answer: Any) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_own_classes_are_taught_and_found_in_the_next_photo(taught: Page, encode: Any, scene: Any) -> None:
    photo, mask = scene
    first = taught.info()["photos"][0]
    labels, confidence = taught.segment(first)
    assert (labels == mask).mean() > 0.98
    assert (confidence[29:31, 41:50] == 255).all()
    other = taught.add(encode(np.ascontiguousarray(photo[:, 20:])), "other.png")
    assert (taught.segment(other)[0] == mask[:, 20:]).mean() > 0.97
    info = taught.info()
    assert [(one["name"], one["photos"]) for one in info["classes"]] == [("ground", 1), ("<b>disc</b>", 1)]
    assert [one["result"] for one in info["photos"]] == ["none", "none"]
    assert [one["marks"] for one in info["photos"]] == [2, 0]


def test_a_model_is_corrected_where_a_stroke_is_and_around_it(
    make_page: Callable[..., Page], encode: Any, scene: Any
) -> None:
    page, (photo, mask) = make_page(model="voc-largefov"), scene
    info = page.add(encode(photo))
    said = page.info()
    assert (said["use"], said["known"], len(said["classes"]), said["background"]) == ("correct", 21, 21, 0)
    before = page.segment(info)[0]
    cat = VOC.names.index("cat")
    assert (before == cat).mean() < 0.1
    assert page.mark("1", [{**MARKS[0], "label": cat}, MARKS[1]]).status_code == 200
    after = page.segment(info)[0]
    assert ((after == cat) == mask).mean() > 0.95
    classes = [{"was": i, "name": name} for i, name in enumerate(VOC.names)]
    assert page.ask("PATCH", "", classes=[*classes, {"was": None, "name": "disc"}]).status_code == 200
    assert page.mark("1", [{**MARKS[0], "label": 21}, MARKS[1]]).status_code == 200
    assert ((page.segment(info)[0] == 21) == mask).mean() > 0.95
    for wrong in (classes[1:], [classes[1], classes[0], *classes[2:]], [{"was": 0, "name": "sky"}, *classes[1:]]):
        assert "do not begin with those of voc-largefov" in refusal(
            page.ask("PATCH", "", classes=wrong), 422, "invalid_input"
        )
    assert page.info()["classes"][21]["photos"] == 1


def test_results_are_kept_and_known_for_old(taught: Page, scene: Any) -> None:
    photo = taught.info()["photos"][0]
    url = f"{taught.url}/photos/1"
    refusal(taught.client.get(f"{url}/result"), 404, "no_result")
    kept = taught.client.post(f"{url}/result").json()
    assert {one["name"] for one in kept["classes"]} == {"ground", "<b>disc</b>"}
    assert sum(one["share"] for one in kept["classes"]) == pytest.approx(1, abs=1e-5)
    planes = np.frombuffer(taught.client.get(f"{url}/result").content, np.uint8).reshape(2, 60, 90)
    np.testing.assert_array_equal(planes, taught.segment(photo))
    assert taught.info()["photos"][0]["result"] == "current"
    taught.mark("1", [*MARKS[:1], {**MARKS[1], "width_px": 5}])
    assert taught.info()["photos"][0]["result"] == "old"
    taught.mark("1", MARKS)
    assert taught.info()["photos"][0]["result"] == "current"  # as undoing has it


def test_files_of_a_photo_and_of_all(taught: Page, scene: Any, tmp_path: Path) -> None:
    photo, mask = scene
    url = f"{taught.url}/photos/1"
    labels = taught.segment(taught.info()["photos"][0])[0]
    np.testing.assert_array_equal(opened(taught.client.get(f"{url}/mask.png")), labels)
    alone = opened(taught.client.get(f"{url}/cutout.png", params={"class": "<b>disc</b>"}))
    assert (alone[mask == 1][:, 3] > 127).mean() > 0.95
    assert set(np.unique(alone[:, :, 3])) - {0, 255}  # a soft edge
    assert opened(taught.client.get(f"{url}/overlay.jpg")).shape == photo.shape
    assert opened(taught.client.get(f"{url}/photo.jpg")).shape == photo.shape
    assert max(opened(taught.client.get(f"{url}/thumbnail.jpg")).shape[:2]) == 90
    for name, names in {
        "masks": ["a photo.png"], "overlays": ["a photo_overlay.jpg"], "cutouts": ["a photo_cutout.png"],
        "yolo": ["data.yaml", "labels/a photo.txt"],
    }.items():  # fmt: skip
        answer = taught.client.get(f"{taught.url}/exports/{name}.zip")
        assert ZipFile(io.BytesIO(answer.content)).namelist() == names
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="deeplab-{name}.zip"')
    for name in ("coco", "coco-uncompressed", "coco-polygons", "label-studio"):
        assert taught.client.get(f"{taught.url}/exports/{name}.json").json()
    assert taught.client.get(f"{taught.url}/exports/cvat.zip").status_code == 200
    (tmp_path / "mine.onnx").write_bytes(taught.client.get(f"{taught.url}/exports/model.onnx").content)
    assert ScoreNetwork(tmp_path / "mine.onnx", threads=1).info.label_set.names == ("ground", "<b>disc</b>")
    refusal(taught.client.get(f"{taught.url}/exports/..%2f..%2fetc.zip"), 404, "not_found")
    refusal(taught.client.get(f"{taught.url}/exports/nothing.zip"), 404, "not_found")


def test_the_whole_project_is_opened_again(taught: Page, tmp_path: Path) -> None:
    taught.client.post(f"{taught.url}/photos/1/result")
    with ZipFile(io.BytesIO(taught.client.get(f"{taught.url}/exports/project.zip").content)) as archive:
        assert set(archive.namelist()) == {"project.json", "photos/a photo.png", "marks/1.json", "results/1.png"}
        archive.extractall(tmp_path / "again")
    again = Project.open(tmp_path / "again")
    assert again.marks("1") == MARKS
    assert again.state.label_set.names == ("ground", "<b>disc</b>")
    assert again.problem("1") is None
    assert read_label_map(tmp_path / "again/results/1.png").shape == (60, 90)
    assert read_label_set(tmp_path / "again/results/1.png").names == again.state.label_set.names  # type: ignore[union-attr]


def test_classes_come_and_go_with_their_marks(taught: Page) -> None:
    more = [{"was": 1, "name": "disc", "colour": "#ff8800"}, {"was": None, "name": "sky"}, {"was": 0, "name": "ground"}]
    info = taught.ask("PATCH", "", classes=more).json()
    assert [one["name"] for one in info["classes"]] == ["disc", "sky", "ground"]
    assert info["classes"][0]["colour"] == "#ff8800"
    assert [mark["label"] for mark in taught.client.get(f"{taught.url}/photos/1/marks").json()["marks"]] == [0, 2]
    photo = info["photos"][0]
    assert (taught.segment(photo)[0][28:32, 42:48] == 0).all()
    info = taught.ask("PATCH", "", classes=[{"was": 0, "name": "disc"}, {"was": 1, "name": "sky"}]).json()
    assert [mark["label"] for mark in taught.client.get(f"{taught.url}/photos/1/marks").json()["marks"]] == [0]
    assert (
        info["lacks"]
        == "all marks are of 'disc'; mark something of two classes, such as a thing and what lies around it"
    )
    assert refusal(taught.client.post(f"{taught.url}/photos/1/segment", json={}), 409, "not_taught") == info["lacks"]
    refusal(taught.client.get(f"{taught.url}/exports/model.onnx"), 409, "not_taught")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([], "there are 0 classes; expected 1 to 100"),
        ([{"was": None, "name": f"class {n}"} for n in range(101)], "there are 101 classes; expected 1 to 100"),
        ([{"was": 0, "name": "a"}, {"was": 1, "name": "a"}], "'a' comes twice"),
        ([{"was": 0, "name": "a"}, {"was": 0, "name": "b"}], "none of them twice"),
        ([{"was": 7, "name": "a"}], "expected numbers of classes"),
        ([{"was": 0, "name": " "}], "expected 1 to 100 characters"),
        ([{"was": 0, "name": "a\u202eb"}], "expected characters that can be shown"),
        ([{"was": 0, "name": "a", "colour": "red"}], "colour"),
    ],
)
def test_classes_that_are_none(taught: Page, classes: list[Json], said: str) -> None:
    before = taught.info()
    assert said in refusal(taught.ask("PATCH", "", classes=classes), 422, "invalid_input")
    assert taught.info() == before


def test_sixty_classes(make_page: Callable[..., Page], encode: Any, scene: Any) -> None:
    page = make_page(**{**TAUGHT, "classes": [{"name": f"class {n}"} for n in range(60)]})
    photo = page.add(encode(scene[0]))
    dots = [{"kind": "stroke", "label": n, "points": [[n + 0.5, 58.5]], "width_px": 1} for n in range(60)]
    assert page.mark("1", [*MARKS, *dots]).json()["lacks"] is None
    assert page.segment(photo)[0][58, :60].tolist() == list(range(60))


def test_all_kinds_of_marks_and_the_rubber(taught: Page) -> None:
    photo = taught.info()["photos"][0]
    runs = [90 * row + 20 for row in range(10, 14)]
    region = {"kind": "region", "label": 0, "size": [90, 60], "runs": [n for run in runs for n in (run, 6)]}
    box = {"kind": "box", "label": 1, "box": [20, 5, 70, 55]}
    rubber = {"kind": "stroke", "label": None, "points": [[45, 30]], "width_px": 200}
    for marks in ([*MARKS, region, box], [{**MARKS[0], "label": 0}, rubber, *MARKS, region]):
        assert taught.mark("1", marks).status_code == 200
        assert taught.client.get(f"{taught.url}/photos/1/marks").json() == {"version": taught.version, "marks": marks}
        labels, confidence = taught.segment(photo)
        assert (labels[10:14, 20:26] == 0).all()
        assert (confidence[10:14, 20:26] == 255).all()
        assert (labels[30, 41:50] == 1).all()


STROKE = MARKS[0]


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ({**STROKE, "points": [[500, 30], [600, 30]]}, "mark 3: a stroke of '\\u003cb\\u003edisc"),
        ({**STROKE, "points": []}, "expected 1 to 10,000 pairs"),
        ({**STROKE, "points": [[1, 2, 3]]}, "expected a stroke, a box or a region"),
        ({**STROKE, "points": [[1, "2e999"]]}, "expected 1 to 10,000 pairs"),
        ({**STROKE, "points": "ab"}, "mark 3"),
        ({**STROKE, "width_px": 0}, "width_px is 0"),
        ({**STROKE, "width_px": 1e9}, "width_px is"),
        ({**STROKE, "label": 2}, "a label is 2; expected a class's name, or its number, 0–1"),
        ({**STROKE, "label": True}, "its label is True"),
        ({**STROKE, "label": "ground"}, "its label is 'ground'"),
        ({**STROKE, "more": 1}, "has the form of a mark"),
        ({"kind": "box", "label": None, "box": [1, 2, 3, 4]}, "its label is None"),
        ({"kind": "box", "label": 1, "box": [100, 2, 300, 4]}, "none of it in the photo of 90x60"),
        ({"kind": "box", "label": 1, "box": [1, 2, 3]}, "mark 3"),
        ({"kind": "star", "label": 1}, "its kind is 'star'"),
        ({"kind": "region", "label": 1, "size": [90, 60], "runs": []}, "its runs are []"),
        ({"kind": "region", "label": 1, "size": [90, 60], "runs": [5400, 1]}, "within 90x60 pixels"),
        ({"kind": "region", "label": 1, "size": [90, 60], "runs": [9, 9, 3, 2]}, "expected starts that grow"),
        ({"kind": "region", "label": 1, "size": [90, 60], "runs": [-5, 9]}, "expected starts that grow"),
        ({"kind": "region", "label": 1, "size": [90, 60], "runs": [1 << 62, 1 << 62]}, "expected starts that grow"),
        ({"kind": "region", "label": 1, "size": [10**9, 10**9], "runs": [0, 1]}, "at most 1,048,576 pixels"),
        ({"kind": "region", "label": 9, "size": [90, 60], "runs": [0, 1]}, "expected 0–1"),
        ("mark", "expected a stroke, a box or a region"),
        (None, "expected a stroke, a box or a region"),
        ([[[]]], "expected a stroke, a box or a region"),
    ],
)
def test_marks_that_are_none_leave_all_as_it_was(taught: Page, mark: Any, said: str) -> None:
    answer = taught.mark("1", [*MARKS, mark])
    message = refusal(answer, 422, "invalid_input")
    assert said in message or said in answer.text
    assert taught.client.get(f"{taught.url}/photos/1/marks").json() == {"version": taught.version, "marks": MARKS}


def test_contradicting_strokes_the_later_one_counts(taught: Page) -> None:
    photo = taught.info()["photos"][0]
    taught.mark("1", [*MARKS, {**STROKE, "label": 0, "points": [[45, 30]], "width_px": 5}])
    labels = taught.segment(photo)[0]
    assert (labels[29:31, 44:46] == 0).all()
    assert labels[30, 40] == 1


def test_two_tabs_notice_each_other(taught: Page) -> None:
    other = Page(taught.client, taught.info())
    assert taught.mark("1", MARKS[:1]).status_code == 200
    assert "was changed elsewhere" in refusal(other.mark("1", []), 409, "changed_elsewhere")
    refusal(other.ask("PATCH", "", use="correct"), 409, "changed_elsewhere")
    refusal(
        other.client.request("DELETE", f"{other.url}/photos/1", params={"version": other.version}),
        409,
        "changed_elsewhere",
    )
    assert other.info()["photos"][0]["marks"] == 1
    assert other.mark("1", MARKS).status_code == 200
    refusal(taught.mark("1", []), 409, "changed_elsewhere")


def test_photos_of_a_pixel_and_photos_twice(taught: Page, encode: Any, scene: Any) -> None:
    dot = taught.add(encode(np.full((1, 1, 3), 200, np.uint8)), "dot.png")
    assert (dot["width"], dot["height"]) == (1, 1)
    assert taught.segment(dot).shape == (2, 1, 1)
    assert taught.mark(dot["id"], [{**STROKE, "points": [[0.5, 0.5]]}]).status_code == 200
    assert taught.segment(dot)[0, 0, 0] == 1
    assert taught.add(encode(scene[0]), "the same under another name.png")["id"] == "1"
    assert taught.add(encode(scene[0][::-1]), "a photo.png")["name"] == "a photo-1.png"
    taken = taught.client.request("DELETE", f"{taught.url}/photos/1", params={"version": taught.version}).json()
    assert [one["id"] for one in taken["photos"]] == ["2", "3"]
    assert taken["lacks"]
    refusal(taught.client.get(f"{taught.url}/photos/1/marks"), 404, "unknown_photo")


def test_a_large_photo_is_worked_on_in_a_copy_and_exported_whole(make_page: Callable[..., Page], encode: Any) -> None:
    page, photo = make_page(**TAUGHT), np.zeros((1000, 1800, 3), np.uint8)
    photo[:, 900:] = 200
    info = page.add(encode(photo))
    assert (info["width"], info["height"], info["full_width"], info["full_height"]) == (1024, 569, 1800, 1000)
    marks = [
        {"kind": "stroke", "label": 0, "points": [[100, 500], [700, 500]], "width_px": 20},
        {"kind": "stroke", "label": 1, "points": [[1100, 500], [1700, 500]], "width_px": 20},
    ]
    page.mark("1", marks)
    assert (page.segment(info)[0] == (np.arange(1024) >= 512)).mean() > 0.99
    mask = opened(page.client.get(f"{page.url}/photos/1/mask.png"))
    assert mask.shape == (1000, 1800)
    assert (mask == (np.arange(1800) >= 900)).mean() > 0.99


def test_what_is_no_photo_is_not_taken_in(taught: Page) -> None:
    for content in (b"<script>alert(1)</script>", b"\xff\xd8\xff", b""):
        answer = taught.client.post(f"{taught.url}/photos", files={"photo": ("../../<b>.png", content)})
        assert answer.status_code == 422
        assert "<" not in answer.text
    assert len(taught.info()["photos"]) == 1


def test_names_of_files_are_made_harmless(taught: Page, encode: Any, scene: Any) -> None:
    for number, name in enumerate(
        ("../../etc/passwd", "..\\x.png", "<img src=x>.png", ".png", "a" * 300 + ".png", "CON")
    ):
        photo = taught.add(encode(np.roll(scene[0], number + 1, axis=1)), name)
        assert not set(photo["name"]) & set('/\\<>:"|?*')
    archive = ZipFile(io.BytesIO(taught.client.get(f"{taught.url}/exports/project.zip").content))
    assert all(not name.startswith("/") and ".." not in name.split("/") for name in archive.namelist())


def test_a_temporary_project_is_bounded(client_for: Any, tiny_model: Path, encode: Any, scene: Any) -> None:
    with client_for(model=str(tiny_model), projects=2, project_photos=2, timeout_s=300) as client:
        pages = [Page(client, client.post(API, json={}).json()) for _ in range(3)]
        refusal(client.get(pages[0].url), 404, "unknown_project")
        for shift in (1, 2):
            pages[1].add(encode(np.roll(scene[0], shift, axis=1)))
        answer = client.post(f"{pages[1].url}/photos", files={"photo": ("c.png", encode(scene[0]))})
        assert "takes 2 photos" in refusal(answer, 413, "project_full")
        assert client.get(API).json() == {"projects": []}
        assert client.request("DELETE", pages[1].url).status_code == 204
        refusal(client.get(pages[1].url), 404, "unknown_project")


def test_models_without_a_trunk_that_teaches(make_page: Callable[..., Page], encode: Any, scene: Any) -> None:
    page = make_page(use="teach", model="tiny", classes=TAUGHT["classes"])
    page.add(encode(scene[0]))
    page.mark("1", MARKS)
    answer = page.client.post(f"{page.url}/photos/1/segment", json={})
    assert "the model 'tiny' cannot teach" in refusal(answer, 422, "invalid_input")
    refusal(page.client.post(API, json={"model": "../x.onnx"}), 404, "unknown_model")


def test_a_project_in_a_folder_stays(
    client_for: Any, tiny_model: Path, encode: Any, scene: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "lies here.png").write_bytes(encode(scene[0]))
    (folder / "broken.jpg").write_bytes(b"nothing")
    (tmp_path / "outside.png").write_bytes(encode(scene[0][::-1]))
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    with client_for(model=str(tiny_model), project=folder, timeout_s=300) as client:
        page = Page(client, client.get(API).json()["projects"][0])
        while page.info()["pending"]:
            pass
        info = page.info()
        assert (info["id"], info["name"], info["temporary"]) == (STAYING, "mine", False)
        assert [one["name"] for one in info["photos"]] == ["lies here.png"]
        assert len(info["skipped"]) == 1
        assert "broken.jpg" in info["skipped"][0]
        refusal(client.request("DELETE", page.url), 403, "kept")
        assert page.ask("PATCH", "", classes=[{"was": 0, "name": "ground"}, {"was": None, "name": "disc"}]).is_success
        assert page.mark("1", MARKS).is_success
        first = page.info()
    with client_for(model=str(tiny_model), project=folder, timeout_s=300) as client:
        page = Page(client, first)
        assert page.info()["photos"] == first["photos"]
        assert page.info()["version"] == first["version"]
        assert client.get(f"{page.url}/photos/1/marks").json()["marks"] == MARKS
        (folder / "lies here.png").write_bytes(encode(scene[0][:, ::-1]))
        assert page.info()["photos"][0]["problem"] == "replaced"
        refusal(page.mark("1", []), 409, "photo_replaced")
        refusal(client.post(f"{page.url}/photos/1/segment", json={}), 409, "photo_replaced")
        assert page.ask("POST", "/photos/1/retake").json()["photos"][0]["problem"] is None
        assert page.info()["photos"][0]["marks"] == 0
        (folder / "lies here.png").unlink()
        assert page.info()["photos"][0]["problem"] == "missing"
        refusal(page.mark("1", []), 409, "photo_missing")
        refusal(page.ask("POST", "/photos/1/retake"), 409, "photo_missing")


def test_large_photos_and_endless_marks_are_refused(taught: Page, encode: Any) -> None:
    answer = taught.client.post(
        f"{taught.url}/photos", files={"photo": ("b.png", encode(np.zeros((2100, 2000, 3), np.uint8)))}
    )
    refusal(answer, 413, "too_many_pixels")
    long = [{**STROKE, "points": [[30.25, 30.25]] * 9000}] * 10
    refusal(taught.mark("1", long), 413, "too_large")
    assert len(taught.info()["photos"]) == 1
    for body in (b"[", b"{}", b'{"version": 1, "marks": 1}', b'{"version": "x", "marks": []}', b"[" * 9000):
        answer = taught.client.request(
            "PUT", f"{taught.url}/photos/1/marks", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422)


def test_the_crf_as_the_sliders_have_it(taught: Page) -> None:
    photo = taught.info()["photos"][0]
    before = taught.segment(photo)
    strong = {"bilateral_weight": 20.0, "bilateral_rgb_std": 50.0, "iterations": 20}
    moved = taught.segment(photo, **strong)
    assert (moved != before).any()
    alone = taught.segment(photo, crf=False)
    assert (alone != before).any()
    assert taught.ask("PATCH", "", crf=strong).json()["crf"]["bilateral_weight"] == 20
    np.testing.assert_array_equal(taught.segment(photo), moved)
    assert taught.ask("PATCH", "", crf={}).json()["crf"]["bilateral_weight"] == taught.info()["crf"]["bilateral_weight"]
    np.testing.assert_array_equal(taught.segment(photo)[0], before[0])
    for wrong in ({"iterations": 51}, {"weight": 3}, {"bilateral_rgb_std": "a"}):
        refusal(taught.ask("PATCH", "", crf=wrong), 422, "invalid_input")


def test_use_and_model_change_and_marks_stay(taught: Page) -> None:
    refusal(taught.ask("PATCH", "", use="correct"), 422, "invalid_input")
    classes = [{"was": None, "name": name} for name in VOC.names]
    classes[0]["was"], classes[8]["was"] = 0, 1
    info = taught.ask("PATCH", "", use="correct", classes=classes).json()
    assert (info["use"], info["known"], info["photos"][0]["classes"]) == ("correct", 21, [0, 8])
    assert taught.segment(info["photos"][0])[0][30, 45] == 8
    refusal(taught.ask("PATCH", "", model="camvid-largefov"), 422, "invalid_input")
    refusal(taught.ask("PATCH", "", model="nothing"), 404, "unknown_model")
    assert taught.ask("PATCH", "", use="teach").json()["known"] == 0
    assert taught.segment(info["photos"][0])[0][30, 45] == 8
