"""``deeplab refine``: files and folders in, files out, one line about what was understood and what changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import InputError
from deeplab.images import read_image
from deeplab.label_maps import read_label_map
from deeplab.labels import VOC

Run = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a photo, scores of 21 labels at a sixth of its size, and folders of both."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo).save("photo.png")
    logits = np.full((21, 10, 15), -4, np.float32)
    logits[[0, 8]] = 0
    logits[0, :6] = logits[8, 6:] = 0.8
    np.save("scores.npy", logits)
    for folder in ("photos", "scores"):
        Path(folder).mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(photo).save(f"photos/{name}.jpg")
    np.save("scores/a.npy", logits)
    Image.fromarray(logits.argmax(axis=0).astype(np.uint8)).save("scores/b.png")
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_scores_become_a_label_map(run: Run, here: Path) -> None:
    status, out, err = run(
        "refine", "photo.png", "--scores", "scores.npy", "-o", "out.png", "--bilateral-rgb-std", "30"
    )
    assert status == 0
    assert err.startswith(
        "scores.npy: (21, 10, 15) float32 → logits of 21 labels, channels first, 6x smaller than the photo (90x60): "
        "upsampled, centres aligned\n"
    )
    assert out.startswith("photo.png → out.png: ")
    assert "% of the pixels changed; " in out
    labels = read_label_map("out.png")
    truth = np.repeat([[0], [8]], 30, axis=0).repeat(90, axis=1)
    assert (labels == truth).mean() > 0.99
    assert files(here) == ["out.png", "photo.png", "scores.npy"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("planes", "tinted"), [(1, False), (2, False), (3, True)])
def test_without_names_label_0_is_a_background_beside_one_label_alone(run: Run, planes: int, tinted: bool) -> None:
    scores = np.full((planes, 60, 90), 0.05, np.float32)
    scores[0] = 0.05 if planes == 1 else 0.9  # label 0 everywhere
    np.save("mine.npy", scores[0] if planes == 1 else scores / scores.sum(axis=0))
    status, _, _ = run("refine", "photo.png", "--scores", "mine.npy", "--overlay", "-o", "out.png")
    assert status == 0
    assert (read_label_map("out.png") == 0).all()
    off = np.abs(read_image("out_overlay.jpg").astype(int) - read_image("photo.png")).mean()
    assert (off > 20) == tinted


@pytest.mark.usefixtures("here")
def test_everything_that_can_be_written(run: Run) -> None:
    options = ["--labels", "voc", "--overlay", "--save-probabilities", "p.npz", "-o", "out.npy", "--threads", "1"]
    status, out, _ = run("refine", "photo.png", "--scores", "scores.npy", *options)
    assert status == 0
    assert "photo.png → out.npy, out_overlay.jpg, p.npz: " in out
    assert "background" in out
    assert "cat" in out
    with Image.open("out_overlay.jpg") as overlay:
        assert overlay.size == (90, 60)
    with np.load("p.npz") as stored:
        assert stored["probabilities"].shape == (21, 60, 90)
        np.testing.assert_array_equal(stored["probabilities"].argmax(axis=0), np.load("out.npy"))
    again = run("refine", "photo.png", "--scores", "p.npz", "--key", "probabilities", "-o", "again.png")
    assert "probabilities of 21 labels, channels first, as large as the photo" in again.err


@pytest.mark.usefixtures("here")
def test_options_decide_and_reach_the_crf(run: Run) -> None:
    unchanged = run(
        "refine", "photo.png", "--scores", "scores.npy", "--iterations", "0", "-o", "a.png", "--align", "corners"
    )
    assert "0.0 % of the pixels changed" in unchanged.out
    assert "corners aligned" in unchanged.err
    weights = ["--bilateral-weight", "0", "--spatial-weight", "0", "--normalization", "none"]
    assert "0.0 % of" in run("refine", "photo.png", "--scores", "scores.npy", *weights, "-o", "b.png").out
    for options, message in (
        (["--kind", "label"], "did you mean 'labels'"), (["--axes", "LHWC"], "axes is"),
        (["--spatial-xy-std-px", "0"], "above 0"), (["--iterations", "-1"], "iterations"), (["--key", "a"], "key"),
        (["--labels", "missing.txt"], "missing.txt"), (["--labels", "camvid"], "camvid"),
        (["-o", "no/such.png"], "folder"), (["--normalization", "l2"], "l2"),
        (["--save-probabilities", "p.txt"], "npy"), (["-o", "labels.jpg"], "png"),
    ):  # fmt: skip
        status, out, err = run("refine", "photo.png", "--scores", "scores.npy", "-o", "c.png", *options)
        assert (status, out) == (1, "")
        assert err.startswith("error: ")
        assert message in err
        assert err.count("\n") == 1
        assert not Path("c.png").exists()


@pytest.mark.usefixtures("here")
def test_label_maps_their_void_and_names(run: Run) -> None:
    labels = np.repeat([[0], [1]], 30, axis=0).repeat(90, axis=1).astype(np.uint8)
    labels[28:33] = 7
    Image.fromarray(labels).save("map.png")
    Path("names.txt").write_text("sky\nground\n")
    Path("own.json").write_text(
        json.dumps({"name": "own", "names": ["sky", "ground"], "palette": [[0, 0, 255], [0, 255, 0]], "void": 7})
    )
    for options in (["--void", "7", "--labels", "names.txt"], ["--labels", "own.json"]):
        status, out, err = run("refine", "photo.png", "--scores", "map.png", "-o", "out.png", "--force", *options)
        assert status == 0
        assert "map.png: (60, 90) uint8 → label map of 2 labels (0, 1, 7 void), as large as the photo (90x60)\n" in err
        assert "8.3 % had no label; " in out
        assert "sky 5" in out
    with Image.open("out.png") as image:
        assert image.getpalette()[3:6] == [0, 255, 0]  # type: ignore[index]
    Image.fromarray(VOC.colours()[labels]).save("colours.png")
    assert "--labels" in run("refine", "photo.png", "--scores", "colours.png", "-o", "d.png").err
    assert run("refine", "photo.png", "--scores", "colours.png", "-o", "d.png", "--labels", "voc").status == 0


def test_nothing_is_replaced_unasked_and_inputs_never(run: Run, here: Path) -> None:
    before = {name: (here / name).read_bytes() for name in files(here)}
    for output, options in (
        ("photo.png", []),
        ("photo.png", ["--force"]),
        (".", ["--force"]),
        ("scores.npy", ["--force"]),
    ):
        status, _, err = run("refine", "photo.png", "--scores", "scores.npy", "-o", output, *options)
        assert status == 1
        assert "would replace a photo, scores or another result" in err
    probabilities = ["--save-probabilities", "scores.npy", "--force", "-o", "out.png"]
    assert run("refine", "photo.png", "--scores", "scores.npy", *probabilities).status == 1
    assert {name: (here / name).read_bytes() for name in files(here)} == before
    Path("out.png").write_text("mine")
    assert "--force" in run("refine", "photo.png", "--scores", "scores.npy", "-o", "out.png").err
    assert Path("out.png").read_text() == "mine"
    assert run("refine", "photo.png", "--scores", "scores.npy", "-o", "out.png", "--force").status == 0


def test_folders_are_paired_by_name_and_one_failure_stops_no_other(run: Run, here: Path) -> None:
    options = ["-o", "out", "--save-probabilities", "p", "--overlay"]
    status, out, err = run("refine", "photos", "--scores", "scores", *options)
    assert status == 1
    assert files(here / "out") == ["a.png", "a_overlay.jpg", "b.png", "b_overlay.jpg"]
    assert files(here / "p") == ["a.npy", "b.npy"]
    assert len(out.splitlines()) == 2
    assert "error: photos/c.jpg: no scores c.* in scores; expected one of .bmp, .gif, .npy" in err
    np.savez(here / "scores" / "b.npz", np.zeros(1))
    err = run("refine", "photos/b.jpg", "--scores", "scores", "-o", "other").err
    assert "several files of scores, b.npz, b.png in scores; keep one" in err
    assert "3 photos, but one file" in run("refine", "photos", "--scores", "scores.npy").err
    assert "missing.npy: no such file" in run("refine", "photo.png", "--scores", "missing.npy", "-o", "e.png").err
    assert "missing.jpg: no such file" in run("refine", "missing.jpg", "--scores", "scores.npy").err


@pytest.mark.usefixtures("here")
def test_many_labels_make_a_16_bit_map_and_no_overlay(run: Run) -> None:
    scores = np.random.default_rng(3).normal(size=(300, 10, 15)).astype(np.float16)
    np.save("many.npy", scores)
    status, _, _ = run("refine", "photo.png", "--scores", "many.npy", "-o", "many.png", "--iterations", "1")
    assert status == 0
    with Image.open("many.png") as image:
        assert image.mode.startswith("I")
    arguments = ["refine", "photo.png", "--scores", "many.npy", "-o", "o.png", "--iterations", "1", "--overlay"]
    assert "no colours for an overlay" in run(*arguments).err
    assert not Path("o_overlay.jpg").exists()


@pytest.mark.usefixtures("here")
def test_masks_of_cvat_are_understood_by_its_label_map(run: Run) -> None:
    labels = np.repeat([[0], [1]], 30, axis=0).repeat(90, axis=1)
    labels[28:33] = 2
    colours = np.array([[0, 0, 0], [250, 50, 83], [1, 2, 3]], np.uint8)
    Image.fromarray(colours[labels]).save("mask.png")
    Path("labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nrust:250,50,83::\nvoid:1,2,3::\n"
    )
    status, out, err = run("refine", "photo.png", "--scores", "mask.png", "--labels", "labelmap.txt", "-o", "out.png")
    assert status == 0
    assert "label map of 2 labels (0, 1, 255 void)" in err
    assert "rust 5" in out


@pytest.mark.usefixtures("here")
def test_what_was_understood_is_said_before_the_crf(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise InputError("the CRF")

    monkeypatch.setattr(sys.modules["deeplab.refinement.refine_scores"], "refine", stop)
    err = run("refine", "photo.png", "--scores", "scores.npy", "-o", "out.png").err
    assert err.splitlines()[0].startswith("scores.npy: (21, 10, 15) float32 → logits")
    assert err.splitlines()[1] == "error: the CRF"


def test_deep_photos_are_refined_by_a_range_that_is_seen_or_given(run: Run, here: Path) -> None:
    grey = np.asarray(Image.open("photo.png").convert("L"))
    Image.fromarray(grey).save("eight.png")
    Image.fromarray(grey.astype(np.uint16) << 4).save("deep.png")
    for name, options in (("eight", []), ("deep", []), ("deep", ["--range", "0,4080", "--bands", "1"])):
        output = f"{name}{len(options)}-out.npy"
        status, _, err = run("refine", f"{name}.png", "--scores", "scores.npy", "-o", output, *options)
        assert status == 0
        assert ("taken for 12 bits, 0–4095" in err) == (name == "deep" and not options)
    np.testing.assert_array_equal(np.load("deep4-out.npy"), np.load("eight0-out.npy"))
    assert (np.load("deep0-out.npy") == np.load("eight0-out.npy")).mean() > 0.99


@pytest.fixture
def walls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.bool_]:
    """A grey photo of two walls, a map that has their edge in the wrong place, and their depth in millimetres."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "scores", "depths"):
        Path(folder).mkdir()
    far = np.zeros((24, 32), bool)
    far[:, 16:] = True
    p = np.full((24, 32), 0.6, np.float32)
    p[:, :4], p[:, 4:12], p[:, 28:] = 0.1, 0.45, 0.9
    Image.fromarray(np.full((24, 32, 3), 120, np.uint8)).save("photos/a.png")
    np.save("scores/a.npy", p)
    millimetres = np.where(far, 4000, 2000).astype(np.uint16)
    millimetres[3:6, 3:6] = 0  # unknown
    Image.fromarray(millimetres).save("depths/a.png")
    return far


DEEP = ["refine", "photos/a.png", "--scores", "scores/a.npy", "-o", "out.npy", "--bilateral-rgb-std", "10", "--force"]


def test_depth_of_16_bits_moves_the_edge_to_where_it_is(run: Run, walls: NDArray[np.bool_]) -> None:
    assert run(*DEEP).status == 0
    alone = np.load("out.npy")
    for scale, std in (("0.001", "0.2"), ("1", "200")):  # metres and millimetres
        assert run(*DEEP, "--depth", "depths/a.png", "--depth-scale", scale, "--depth-std", std).status == 0
        assert ((np.load("out.npy") == 1) == walls).all()
    assert not ((alone == 1) == walls).all()


@pytest.mark.usefixtures("walls")
def test_depths_are_paired_by_name(run: Run) -> None:
    Image.open("photos/a.png").save("photos/b.png")
    np.save("scores/b.npy", np.load("scores/a.npy"))
    options = ["--scores", "scores", "--depth", "depths", "--depth-std", "200", "-o", "out"]
    status, out, err = run("refine", "photos", *options)
    assert status == 1
    assert "photos/a.png → out/a.png" in out
    assert "photos/b.png: no depths b.* in depths" in err
    status, _, err = run("refine", "photos/a.png", *options[:-2], "-o", "depths/a.png", "--force")
    assert status == 1
    assert "would replace a photo, scores or another result" in err


@pytest.mark.usefixtures("walls")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--depth", "depths/a.png"], "--depth and --depth-std go together"),
        (["--depth-std", "2"], "--depth and --depth-std go together"),
        (["--depth", "small.png", "--depth-std", "2"], "depth is 16x12 pixels, the photo 32x24: resize it"),
        (["--depth", "empty.png", "--depth-std", "2"], "empty.png: depth is unknown at all 768 pixels"),
        (["--depth", "photos/a.png", "--depth-std", "2"], "photos/a.png is colour-coded"),
        (["--depth", "none.png", "--depth-std", "2"], "none.png"),
        (["--depth", "depths/a.png", "--depth-std", "0"], "depth_std is 0.0; expected a number above 0"),
        (["--depth", "depths/a.png", "--depth-std", "2", "--depth-scale", "-1"], "depth_scale is -1.0"),
    ],
)
def test_depth_that_cannot_be_used(run: Run, options: list[str], message: str) -> None:
    Image.fromarray(np.ones((12, 16), np.uint16)).save("small.png")
    Image.fromarray(np.zeros((24, 32), np.uint16)).save("empty.png")
    status, _, err = run(*DEEP, *options)
    assert status != 0
    assert message in err
    assert not Path("out.npy").exists()
