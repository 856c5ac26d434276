"""``deeplab segment`` over many photos: started again, stopped, with doubtful pixels, from addresses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import models
from deeplab.label_maps import read_label_map
from deeplab.segment import Segmenter

Run = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, tiny_model: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with four photos in ``photos``; the tiny network is the only shipped model."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(4):
        Image.fromarray(np.roll(photo, 7 * number, axis=1)).save(f"photos/{number}.png")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "voc-largefov.onnx").symlink_to(tiny_model)
    monkeypatch.setattr(models, "_FOLDER", shelf)
    return tmp_path


def lines(file: str = "out/manifest.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


@pytest.mark.usefixtures("here")
def test_started_again_it_does_what_is_left(run: Run) -> None:
    Path("photos/2.png").rename("later.png")
    assert run("segment", "photos", "-o", "out").status == 0
    Path("later.png").rename("photos/2.png")
    Path("out/3_overlay.jpg").write_bytes(b"damaged")
    Path("photos/broken.jpg").write_text("no photo")
    for _ in range(2):
        status, out, err = run("segment", "photos", "-o", "out")
        assert status == 1
        assert "error: photos/broken.jpg is not an image" in err
    assert "out/3_overlay.jpg was changed by somebody" in err
    assert "3 of 5 photos are done already" in err
    assert out == ""
    Path("out/3_overlay.jpg").unlink()
    assert len(run("segment", "photos", "-o", "out").out.splitlines()) == 1
    assert [Path(line["file"]).name for line in lines()] == ["0.png", "1.png", "3.png", "2.png", "broken.jpg"]
    assert [line["error"] is None for line in lines()] == [True] * 4 + [False]
    assert len(run("segment", "photos", "-o", "out", "--force").out.splitlines()) == 4
    assert len(lines()) == 5


@pytest.mark.usefixtures("here")
def test_lines_come_in_the_photos_order_whatever_the_threads(run: Run) -> None:
    one = run("segment", "photos", "-o", "one", "--threads", "1")
    two = run("segment", "photos", "-o", "two", "--threads", "2")
    assert one.out.replace("one/", "two/") == two.out
    for key in ("outputs", "classes", "confidence"):
        assert [line[key] for line in lines("one/manifest.jsonl")] == [
            line[key] for line in lines("two/manifest.jsonl")
        ]


@pytest.mark.usefixtures("here")
def test_doubtful_pixels_are_void(run: Run) -> None:
    run("segment", "photos", "-o", "sure")
    threshold = lines("sure/manifest.jsonl")[0]["confidence"]
    assert run("segment", "photos", "-o", "sure", "--min-confidence", str(threshold)).status == 0  # another setting
    labels = read_label_map("sure/0.png")
    assert 0 < (labels == 255).mean() < 1
    line = lines("sure/manifest.jsonl")[0]
    assert sum(line["classes"].values()) == pytest.approx(1 - (labels == 255).mean())
    assert line["settings"] == {"crf": True, "min_confidence": threshold}
    assert "must lie in 0–1" in run("segment", "photos", "--min-confidence", "2").err


@pytest.mark.usefixtures("here")
def test_the_crfs_parameters_may_be_others(run: Run) -> None:
    segmenter = Segmenter.from_pretrained()
    own = segmenter.info.crf
    other = replace(own, params=replace(own.params, bilateral_weight=40.0, spatial_xy_std_px=9.0))
    assert run("segment", "photos/0.png", "-o", "own").status == 0
    given = ("--bilateral-weight", "40", "--spatial-xy-std-px", "9")
    assert run("segment", "photos", "-o", "other", *given).status == 0
    labels = read_label_map("other/0.png")
    np.testing.assert_array_equal(labels, segmenter.segment("photos/0.png", crf=other).labels)
    assert (labels != read_label_map("own/0.png")).any()
    assert lines("other/manifest.jsonl")[0]["settings"]["crf"] == asdict(other)
    assert "4 of 4 photos are done already" in run("segment", "photos", "-o", "other", *given).err
    assert len(run("segment", "photos", "-o", "other").out.splitlines()) == 4  # other settings: done again
    refused = run("segment", "photos/0.png", "-o", "third", "--bilateral-rgb-std", "0")
    assert (refused.status, "bilateral_rgb_std" in refused.err) == (1, True)
    assert "--no-crf leaves out" in run("segment", "photos/0.png", "-o", "third", "--no-crf", *given).err
    assert not Path("third").exists()


@pytest.mark.usefixtures("here")
def test_where_the_manifest_is(run: Run) -> None:
    assert run("segment", "photos/0.png", "-o", "out").status == 0
    assert not Path("out/manifest.jsonl").exists()
    assert run("segment", "photos/0.png", "-o", "out").status == 0  # its own result, made anew
    Path("out/0.png").write_bytes(b"mine")
    assert "out/0.png exists" in run("segment", "photos/0.png", "-o", "out").err
    assert run("segment", "photos/1.png", "photos/2.png", "-o", "out").status == 0
    assert run("segment", "photos/3.png", "-o", "out").status == 0  # one that is there is added to
    assert len(lines()) == 3
    assert run("segment", "photos", "-o", "other", "--manifest", "none").status == 0
    assert not Path("other/manifest.jsonl").exists()
    assert run("segment", "photos", "-o", "third", "--manifest", "list.jsonl").status == 0
    assert len(lines("list.jsonl")) == 4
    assert not Path("third/manifest.jsonl").exists()
    assert "4 of 4" in run("segment", "photos", "-o", "third", "--manifest", "list.jsonl").err
    Path("notes.txt").write_text("mine\n")
    assert "is no line of a manifest" in run("segment", "photos", "-o", "fourth", "--manifest", "notes.txt").err
    assert Path("notes.txt").read_text() == "mine\n"


@pytest.mark.usefixtures("here")
def test_an_address_is_a_folder_too(run: Run, here: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra ray")
    address = f"file://{here.as_posix()}/photos"
    status, out, err = run("segment", address, f"{address}/gone.jpg", "-o", "out")
    assert status == 1
    assert len(out.splitlines()) == 4
    assert f"error: {address}/gone.jpg: no such folder or photo" in err
    assert run("segment", "photos", "-o", "local").status == 0
    assert [line["outputs"] for line in lines()] == [line["outputs"] for line in lines("local/manifest.jsonl")]
    assert run("segment", address, "-o", "out").err == "4 of 4 photos are done already; --force does them again\n"


@pytest.mark.usefixtures("here")
def test_what_is_not_installed_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ray", "pyarrow", "pyarrow.fs"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "deeplab.batch.cluster", raising=False)
    assert "pip install '.[ray]'" in run("segment", "photos", "-o", "out", "--ray").err
    assert "pip install '.[ray]'" in run("segment", "s3://bucket/photos", "-o", "out").err


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.usefixtures("here")
def test_ctrl_c_does_not_wait_for_what_computes(tiny_model: Path) -> None:
    script = """
import os, sys, threading
from deeplab import cli
from deeplab.segment import Segmenter

def stuck(*_, **__):
    os.write(1, b"begun\\n")  # at once: another thread writes the same
    threading.Event().wait(3600)

Segmenter.segment = stuck
sys.argv = ["deeplab", "segment", "photos", "-o", "out", "--model", sys.argv[1]]
cli.main()
"""
    command = [sys.executable, "-c", script, str(tiny_model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [path.name for path in Path("out").iterdir()] in ([], ["manifest.jsonl"])
    if Path("out/manifest.jsonl").exists():
        assert lines() == []


@pytest.mark.usefixtures("here")
def test_what_is_assumed_of_deep_photos_is_said_once_and_written_down(
    run: Run, here: Path, photo: NDArray[np.uint8]
) -> None:
    grey = photo[:, :, 0].astype(np.uint16)
    for name, factor in (("a", 16), ("b", 16), ("c", 4)):
        Image.fromarray(grey * factor).save(f"photos/{name}.png")
    status, _, err = run("segment", "photos", "-o", "out")
    assert status == 0
    assert err.count("photos/a.png: its values are taken for 12 bits, 0–4095; --range") == 1
    assert "photos/b.png" not in err
    assert "2 photos: its values are taken for 12 bits" in err
    assert (
        "read by different ranges: 0–1023 (1, photos/c.png), 0–4095 (2, photos/a.png); --range 0,4095 reads all" in err
    )
    said = {Path(line["file"]).name: line.get("value_range") for line in lines()}
    assert [said[f"{name}.png"] for name in "0abc"] == [None, [0, 4095], [0, 4095], [0, 1023]]
    assert "value_range" not in lines()[0]["settings"]

    status, _, err = run("segment", "photos", "-o", "ranged", "--range", "0,4095", "--bands", "1")
    assert status == 1
    assert "different ranges" not in err
    assert "photos/0.png: its values have 8 bits, 0–255; range 0,4095 is for others" in err
    last = lines("ranged/manifest.jsonl")[-1]
    assert (last["settings"]["value_range"], last["settings"]["bands"]) == ([0, 4095], [1])
    for option, wrong in (
        ("--range", "0"),
        ("--range", "a,b"),
        ("--range", "9,1"),
        ("--bands", "x"),
        ("--bands", "1,2"),
    ):
        status, _, err = run("segment", "photos", "-o", "never", option, wrong)
        assert status == 1
        assert "expected" in err
    assert not Path("never").exists()
    assert run("segment", "photos/a.png", "-o", "signed", "--range", "-100,4095").status == 0
