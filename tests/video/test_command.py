"""`deeplab segment` with videos."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeClip = Callable[..., Path]
Run = Callable[..., Any]

CAT = str(Path(__file__).parents[2] / "examples" / "cat.jpg")


def test_videos_and_photos_side_by_side(run: Run, make_clip: MakeClip, tiny_model: Path, tmp_path: Path) -> None:
    clip, out = make_clip(audio="aac"), tmp_path / "out"
    outcome = run(
        "segment", str(clip), CAT, "-o", str(out), "--model", str(tiny_model), "--no-crf", "--manifest", "none"
    )
    assert outcome.status == 0
    assert f"{clip} → {out / 'clip_overlay.mp4'}: " in outcome.out
    assert {path.name for path in out.iterdir()} == {"clip_overlay.mp4", "cat.png", "cat_overlay.jpg"}


def test_label_maps_with_every_option(run: Run, make_clip: MakeClip, tiny_model: Path, tmp_path: Path) -> None:
    arguments = ("--model", str(tiny_model), "--video", "labels", "--span", "4", "--every", "2", "--side", "32")
    outcome = run("segment", str(make_clip()), "-o", str(tmp_path / "out"), *arguments)
    assert outcome.status == 0
    assert len(list((tmp_path / "out" / "clip_labels").glob("clip_0000??.png"))) == 12


def test_the_crfs_parameters_reach_videos(run: Run, make_clip: MakeClip, tiny_model: Path, tmp_path: Path) -> None:
    clip = str(make_clip())
    for name, options in {"own": (), "other": ("--bilateral-weight", "40", "--spatial-xy-std-px", "9")}.items():
        arguments = ("-o", str(tmp_path / name), "--model", str(tiny_model), "--video", "labels", *options)
        assert run("segment", clip, *arguments).status == 0
    maps = [[path.read_bytes() for path in sorted((tmp_path / name).rglob("*.png"))] for name in ("own", "other")]
    assert len(maps[0]) == len(maps[1]) == 12
    assert maps[0] != maps[1]


def test_bad_videos_are_reported_and_the_others_go_on(
    run: Run, make_clip: MakeClip, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    good, same_name = make_clip(), make_clip("clip.mkv")
    arguments = ("-o", str(tmp_path / "out"), "--model", str(tiny_model), "--no-crf", "--force")
    outcome = run("segment", str(tmp_path / "bad.mp4"), str(good), str(same_name), *arguments)
    assert outcome.status == 1
    assert "bad.mp4 is not a video, or it is cut off" in outcome.err
    assert f"{same_name}: its result is that of {good} too" in outcome.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip_overlay.mp4"]


def test_without_pyav_there_is_advice(
    run: Run, make_clip: MakeClip, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip()
    monkeypatch.setitem(sys.modules, "av", None)
    outcome = run("segment", str(clip), "-o", str(tmp_path / "out"), "--model", str(tiny_model))
    assert outcome.status == 1
    assert "videos need PyAV: run pip install '.[video]'" in outcome.err
