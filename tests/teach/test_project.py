"""Projects: folders that are opened again, whoever changed them in between."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import ImageError, InputError, OutputError
from deeplab.labels import VOC
from deeplab.teach import Box, Project, ProjectSegmenter, Stroke
from deeplab.teach.project_segmenter import kept_result

MakeScene = Callable[..., tuple[NDArray[np.uint8], NDArray[np.uint8]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a project's <folder>"


@pytest.fixture
def photo(tmp_path: Path, make_scene: MakeScene) -> Path:
    path = tmp_path / "disc.png"
    Image.fromarray(make_scene()[0]).save(path)
    return path


@pytest.fixture
def project(folder: Path, photo: Path, make_scene: MakeScene) -> Project:
    project = Project.open(folder, classes=["background", "disc"])
    y, x = (float(places.mean()) for places in np.nonzero(make_scene()[1]))
    key = project.add(photo).id
    project.mark(key, [Stroke("disc", [(x - 6, y), (x + 6, y)], 3), Stroke("background", [(4, 4), (92, 4)], 3)])
    return project


def test_what_was_taught_is_there_when_it_is_opened_again(project: Project, make_scene: MakeScene) -> None:
    mask = make_scene()[1]
    segmenter = ProjectSegmenter(project.folder, threads=1)
    first = segmenter.segment(project.state, "1")
    assert (first.labels == mask).mean() > 0.97
    again = Project.open(project.folder)
    assert again.state == project.state
    assert again.marks("1") == project.marks("1")
    later = ProjectSegmenter(project.folder, threads=1).segment(again.state, "1")
    np.testing.assert_array_equal(later.labels, first.labels)
    shutil.rmtree(project.folder / "cache")
    (project.folder / "cache").mkdir()
    anew = ProjectSegmenter(project.folder, threads=1).segment(again.state, "1")
    np.testing.assert_array_equal(anew.labels, first.labels)


def test_marks_and_classes_change_under_a_segmenter_that_goes_on(project: Project, make_scene: MakeScene) -> None:
    """It gives what a new one gives, to the fit's last digits."""
    going_on = ProjectSegmenter(project.folder, threads=1)

    def check() -> None:
        ours = going_on.segment(project.state, "1")
        anew = ProjectSegmenter(project.folder, threads=1).segment(project.state, "1")
        assert (ours.labels == anew.labels).mean() > 0.99
        assert ours.label_set == anew.label_set == project.state.label_set

    check()
    project.mark("1", [Stroke("disc", [(3, 60)], 4), Stroke(None, [(60, 4)], 20)])
    check()
    project.set_classes([(1, "disc", (255, 0, 0)), (None, "sky", None), (0, "ground", None)])
    assert project.state.label_set.palette[0] == (255, 0, 0)
    check()
    project.mark("1", [Stroke("sky", [(90, 60)], 9)])
    check()
    project.set_classes([(2, "ground", None), (0, "disc", None)])
    check()
    project.put_marks("1", project.marks("1")[:2])
    check()


def test_without_classes_of_its_own_a_project_corrects(folder: Path, photo: Path, make_scene: MakeScene) -> None:
    project = Project.open(folder, use="correct", classes=VOC)
    key = project.add(photo).id
    segmenter, mask = ProjectSegmenter(folder, threads=1), make_scene()[1] == 1
    y, x = np.argwhere(mask).mean(axis=0)
    assert (segmenter.segment(project.state, key).labels == 8).mean() < 0.05
    project.mark(key, [Stroke("cat", [(x - 9, y), (x + 9, y)], 5), Stroke("background", [(4, 4), (92, 4)], 5)])
    found = segmenter.segment(project.state, key)
    assert ((found.labels == 8) == mask).mean() > 0.95
    assert (found.confidence() <= 1).all()
    np.testing.assert_allclose(found.probabilities.sum(0), 1, atol=1e-5)
    held = segmenter.segment(project.state, key, crf=False)
    assert held.labels[int(y), int(x)] == 8
    project.set_classes([(label, name, None) for label, name in enumerate(VOC.names[:-1])])
    with pytest.raises(InputError, match="there are 20 classes; the model has 21"):
        segmenter.segment(project.state, key)


def test_a_copy_stands_for_a_large_photo(folder: Path, tmp_path: Path) -> None:
    pixels = np.zeros((1400, 2100, 3), np.uint8)
    pixels[:, 1050:] = 220
    Image.fromarray(pixels).save(tmp_path / "large.png")
    project = Project.open(folder, classes=["left", "right"])
    key = project.add(tmp_path / "large.png").id
    project.mark(key, [Stroke("left", [(100, 700), (900, 700)], 30), Stroke("right", [(1200, 700), (2000, 700)], 30)])
    segmenter = ProjectSegmenter(folder, threads=1)
    small, whole = (segmenter.segment(project.state, key, full=full) for full in (False, True))
    assert (small.labels.shape, whole.labels.shape) == ((683, 1024), (1400, 2100))
    assert (whole.labels == (np.arange(2100) >= 1050)).mean() > 0.99
    assert (whole.labels[690:710, 1200:2000] == 1).all()


def test_kept_results_are_new_ones_where_something_changed(project: Project) -> None:
    segmenter = ProjectSegmenter(project.folder, threads=1)
    first = project.made_of("1")
    labels = segmenter.labels(project.state, "1", first)
    assert kept_result(project.folder, "1")["made_of"] == first
    np.testing.assert_array_equal(labels, segmenter.segment(project.state, "1").labels)
    project.mark("1", Box("disc", 1, 1, 90, 70))
    assert project.made_of("1") != first
    (project.folder / "cache" / "1.json").write_text("[")
    assert kept_result(project.folder, "1") == {}


def test_photos_that_lie_in_the_folder_belong_to_it(folder: Path, photo: Path, tmp_path: Path) -> None:
    folder.mkdir()
    shutil.copy(photo, folder / "mine.png")
    (folder / "notes.txt").write_text("no photo")
    (folder / "out.png").symlink_to(photo)
    (folder / "in.png").symlink_to(folder / "mine.png")
    project = Project.open(folder)
    assert project.found() == ["in.png", "mine.png"]
    key = project.enlist("mine.png", (72, 96)).id
    assert project.found() == ["in.png"]
    project.remove(key)
    assert (folder / "mine.png").exists()
    assert Project.open(folder).found() == ["in.png"]
    copied = project.add(photo)
    assert copied.file == "photos/disc.png"
    project.remove(copied.id)
    assert not (folder / copied.file).exists()
    assert project.add(photo).id == "3"


def test_a_photo_that_was_replaced_or_is_gone(project: Project, make_scene: MakeScene) -> None:
    path = project.folder / "photos" / "disc.png"
    content = path.read_bytes()
    assert project.problem("1") is None
    Image.fromarray(make_scene(seed=4)[0]).save(path)
    assert project.problem("1") == "replaced"
    segmenter = ProjectSegmenter(project.folder, threads=1)
    with pytest.raises(ImageError, match="was replaced since it was marked"):
        segmenter.segment(project.state, "1")
    path.write_bytes(content)
    assert project.problem("1") is None
    path.unlink()
    assert project.problem("1") == "missing"
    with pytest.raises(ImageError, match="is gone from the project"):
        segmenter.segment(project.state, "1", full=True)
    path.symlink_to("/etc/hostname")
    assert project.problem("1") == "missing"
    path.unlink()
    Image.fromarray(make_scene(seed=4)[0]).save(path)
    project.retake("1", (72, 96))
    assert project.problem("1") is None
    assert Project.open(project.folder).marks("1") == []


def changed(project: Project, **values: Any) -> None:
    path = project.folder / "project.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"deeplab project": 2},
            "is of format 2; this deeplab reads format 1: use the deeplab that made it, or a later",
        ),
        ({"deeplab project": {"a": 1}}, "is of format"),
        ({"classes": []}, "there are 0 classes"),
        ({"classes": [{"name": "a", "colour": [0, 0, 300]}]}, "expected three integers from 0 to 255"),
        ({"classes": [{"name": "a"}]}, "is damaged"),
        ({"use": "guess"}, "use is 'guess'"),
        ({"version": -1}, "version is -1"),
        ({"crf": {"weight": 3}}, "unknown CRF parameter weight"),
        ({"photos": [{"id": "1"}]}, "is damaged"),
        ({"next": 1}, "two photos have one id, or one that is to come"),
        ({"photos": 7}, "is damaged"),
    ],
)
def test_a_file_that_others_changed(project: Project, values: dict[str, Any], said: str) -> None:
    changed(project, **values)
    before = (project.folder / "project.json").read_text()
    with pytest.raises(InputError, match=said):
        Project.open(project.folder)
    assert (project.folder / "project.json").read_text() == before


@pytest.mark.parametrize("file", ["../../etc/passwd", "/etc/passwd", "photos/../../x.png", "", "a\0.png", "c:\\x", 7])
def test_a_file_that_names_others(project: Project, file: Any) -> None:
    photos = json.loads((project.folder / "project.json").read_text())["photos"]
    changed(project, photos=[{**photos[0], "file": file}])
    with pytest.raises(InputError, match="is damaged"):
        Project.open(project.folder)


def test_links_lead_nowhere(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    marks = project.folder / "marks" / "1.json"
    shutil.move(marks, outside / "1.json")
    marks.symlink_to(outside / "1.json")
    with pytest.raises(InputError, match="leads out of the project by a symbolic link"):
        Project.open(project.folder)
    marks.unlink()
    shutil.rmtree(project.folder / "results")
    (project.folder / "results").symlink_to(outside)
    with pytest.raises(InputError, match="results is a symbolic link"):
        Project.open(project.folder)
    (project.folder / "results").unlink()
    shutil.move(project.folder / "project.json", outside / "project.json")
    (project.folder / "project.json").symlink_to(outside / "project.json")
    with pytest.raises(OutputError, match="is a symbolic link"):
        Project.open(project.folder)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"version": 2, "marks": [{"kind": "x", "label": 1}]}', b"\xff"]
)
def test_marks_that_were_damaged(project: Project, content: bytes) -> None:
    (project.folder / "marks" / "1.json").write_bytes(content)
    with pytest.raises(InputError, match=r"1\.json"):
        Project.open(project.folder)


def test_what_is_refused_leaves_the_folder_as_it_was(project: Project, tmp_path: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}

    before, state = content(), project.state
    (tmp_path / "no photo.jpg").write_bytes(b"nothing")
    for refused in (
        lambda: project.add(tmp_path / "no photo.jpg"),
        lambda: project.add(tmp_path / "nowhere.jpg"),
        lambda: project.mark("1", Stroke("disc", [(900, 5)])),
        lambda: project.mark("2", Stroke("disc", [(9, 5)])),
        lambda: project.set_classes([(0, "a", None), (0, "b", None)]),
        lambda: project.change(use="guess"),
        lambda: project.change(crf={"bilateral_rgb_std": 0}),
        lambda: project.remove("9"),
    ):
        with pytest.raises((InputError, ImageError)):
            refused()
        assert content() == before
        assert project.state == state
