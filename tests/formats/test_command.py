"""``deeplab convert`` and the names that label maps carry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab.errors import ImageError
from deeplab.formats import FORMATS, Labelled, read_labelled
from deeplab.label_maps import read_label_map, read_label_set, write_label_map
from deeplab.labels import CAMVID, VOC, LabelSet

Run = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, cat: Labelled, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with label maps as ``deeplab segment`` leaves them."""
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    for name in ("cat", "dog"):
        write_label_map(f"out/{name}.png", cat.labels, VOC)
        Path(f"out/{name}_overlay.jpg").touch()
    Path("out/manifest.jsonl").touch()
    return tmp_path


@pytest.mark.parametrize("label_set", [VOC, CAMVID, LabelSet("own", ("Straße", "b"), ((1, 2, 3), (4, 5, 6)), void=7)])
def test_a_label_map_says_its_names(tmp_path: Path, label_set: LabelSet) -> None:
    write_label_map(tmp_path / "a.png", np.zeros((2, 2), np.uint8), label_set)
    found = read_label_set(tmp_path / "a.png")
    assert found is not None
    assert (found.name, found.names, found.void) == (label_set.name, label_set.names, label_set.void)
    np.testing.assert_array_equal(found.colours(), label_set.colours())
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "b.png")
    assert read_label_set(tmp_path / "b.png") is None


def test_damaged_names_are_an_error(tmp_path: Path) -> None:
    write_label_map(tmp_path / "a.png", np.zeros((2, 2), np.uint8), VOC)
    with Image.open(tmp_path / "a.png") as image:
        from PIL.PngImagePlugin import PngInfo

        for said in ("{", "[]", '{"name": "x"}', '{"name": "x", "names": [], "void": 255}'):
            about = PngInfo()
            about.add_itxt("deeplab labels", said)
            image.save(tmp_path / "b.png", pnginfo=about)
            with pytest.raises(ImageError, match="what it says of its labels is damaged"):
                read_label_set(tmp_path / "b.png")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("to", sorted(FORMATS))
def test_every_format(run: Run, to: str) -> None:
    target = f"result{FORMATS[to].suffix}"
    status, out, err = run("convert", "out", "--to", to, "-o", target)
    assert (status, out, err) == (0, f"2 label maps → {target}\n", "")
    again = run("convert", "out", "--to", to, "-o", target)
    assert again.status == 1
    assert "--force" in again.err
    assert run("convert", "out/*.png", "--to", to, "-o", target, "--force", "--instances", "connected").status == 0


def test_photos_give_their_names(run: Run, here: Path) -> None:
    (here / "photos").mkdir()
    for name in ("cat.webp", "dog.JPG", "other.jpg"):
        (here / "photos" / name).touch()
    options = ["--photos", "photos", "--photo-prefix", "s3://b/"]
    assert run("convert", "out", "--to", "coco", "-o", "a.json", *options).status == 0
    images = json.loads((here / "a.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["s3://b/cat.webp", "s3://b/dog.JPG"]
    (here / "photos" / "dog.JPG").unlink()
    assert "no photo dog.* in photos" in run("convert", "out", "--to", "coco", "-o", "b.json", *options).err
    assert not (here / "b.json").exists()


def test_names_of_other_numbers_are_refused(run: Run, here: Path) -> None:
    """Masks as they are stored would be written with each class's neighbour's name."""
    Image.fromarray(np.array([[0, 1, 2, 255]], np.uint8)).save(here / "grey.png")
    for content, status in (("void: 0\nwall: 1\nfloor: 2\n", 1), ("soil\nwall: 1, 7\nfloor\n", 0)):
        (here / "names.txt").write_text(content)
        outcome = run("convert", "grey.png", "--to", "coco", "-o", "a.json", "--names", "names.txt")
        assert outcome.status == status
        assert ("names.txt says that masks store other numbers than 0–1" in outcome.err) == bool(status)


def test_label_maps_of_other_programs_need_names(run: Run, here: Path, cat: Labelled) -> None:
    Image.fromarray(cat.labels).save(here / "grey.png")
    assert "say it with --names" in run("convert", "grey.png", "--to", "coco", "-o", "a.json").err
    assert run("convert", "grey.png", "--to", "coco", "-o", "a.json", "--names", "voc").status == 0
    categories = json.loads((here / "a.json").read_text())["categories"]
    assert categories[7]["name"] == "cat"
    np.testing.assert_array_equal(read_labelled(here / "grey.png", VOC).labels, read_label_map("out/cat.png"))


@pytest.mark.usefixtures("here")
def test_bad_input_is_one_line(run: Run, here: Path, cat: Labelled) -> None:
    (here / "none").mkdir()
    (here / "names.txt").write_text("background\naeroplane\n")
    (here / "more").mkdir()
    write_label_map("more/cat.png", np.zeros((2, 2), np.uint8), VOC)
    write_label_map("own.png", np.zeros((2, 2), np.uint8), replace(VOC, name="own"))
    Image.new("RGB", (2, 2)).save("colours.png")
    for arguments, message in (
        (["none"], "no label maps there"), (["*.gif"], "no label maps there"), (["missing.png"], "no such file"),
        (["colours.png"], "not colours"), (["out", "--names", "names.txt"], "holds label 8"),
        (["out", "more"], "two label maps are called cat"), (["out", "own.png"], "has label set 'own'"),
        (["out", "--instances", "all"], "connected"), (["out", "-o", "x.txt"], "ends in .json"),
        (["out", "--tolerance-px", "-1", "--to", "coco-polygons"], "must be 0 or"), (["out", "--to", "coca"], "coco"),
        (["out", "-o", "no/x.json"], "no folder"),
    ):  # fmt: skip
        status, out, err = run("convert", "--to", "coco", "-o", "x.json", *arguments)
        assert (status, out) == (1, "")
        assert err.startswith("error: ")
        assert message in err
        assert err.count("\n") == 1
        assert not (here / "x.json").exists()
