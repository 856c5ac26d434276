from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab import Segmenter
from deeplab.errors import DeepLabError, InputError, OutputError
from deeplab.images import overlay_image, shrunk
from deeplab.label_maps import read_label_map
from deeplab.video import encoding
from deeplab.video.clip import Clip, Frame, open_clip
from deeplab.video.segment_video import segment_video
from deeplab.video.temporal_crf import refine_frames

MakeClip = Callable[..., Path]


@pytest.fixture(scope="module")
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model, threads=1)


def frames_of(path: Path) -> tuple[list[Frame], list[Fraction]]:
    with open_clip(path) as clip:
        frames = list(clip.frames())
        return frames, [frame.time * clip.time_base for frame in frames]


def sound_of(path: Path) -> list[tuple[bytes, float]]:
    """The packets of sound with their times in seconds."""
    with open_clip(path) as clip:
        list(clip.frames())
        return [(bytes(packet), float(packet.pts * packet.time_base)) for packet in clip.packets]


def label_maps(folder: Path, name: str = "clip") -> list[NDArray[np.uint8]]:
    return [read_label_map(path) for path in sorted((folder / f"{name}_labels").glob(f"{name}_*.png"))]


def test_label_maps_of_single_frames_are_those_of_photos(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path
) -> None:
    clip = make_clip()
    result = segment_video(clip, tmp_path / "out", segmenter, kind="labels", span=1)
    assert result.output == tmp_path / "out" / "clip_labels"
    assert (result.frames, result.notes) == (12, ())
    names = sorted(path.name for path in result.output.iterdir())
    assert names == [f"clip_{number:06d}.png" for number in range(1, 13)]
    maps = label_maps(tmp_path / "out")
    for frame, labels in zip(frames_of(clip)[0], maps, strict=True):
        np.testing.assert_array_equal(labels, segmenter(frame.image).labels)
    found = np.bincount(np.concatenate(maps).ravel(), minlength=21) / np.size(maps)
    assert list(result.shares.values()) == pytest.approx(sorted(found[found > 0], reverse=True))


def test_the_crf_may_be_another_than_the_models(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    clip, own = make_clip(), segmenter.info.crf
    other = replace(own, params=replace(own.params, bilateral_weight=40.0, spatial_xy_std_px=9.0))
    segment_video(clip, tmp_path / "alone", segmenter, kind="labels", span=1, crf=other)
    for frame, labels in zip(frames_of(clip)[0], label_maps(tmp_path / "alone"), strict=True):
        np.testing.assert_array_equal(labels, segmenter.segment(frame.image, crf=other).labels)
    for name, crf in {"own": own, "models": True, "other": other}.items():
        segment_video(clip, tmp_path / name, segmenter, kind="labels", span=4, crf=crf)
    together = {name: np.stack(label_maps(tmp_path / name)) for name in ("own", "models", "other")}
    np.testing.assert_array_equal(together["own"], together["models"])
    assert (together["other"] != together["own"]).any()


def test_without_crf_they_are_the_networks(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    clip = make_clip()
    segment_video(clip, tmp_path, segmenter, kind="labels", crf=False)
    for frame, labels in zip(frames_of(clip)[0], label_maps(tmp_path), strict=True):
        np.testing.assert_array_equal(labels, segmenter.segment(frame.image, crf=False).labels)


def test_a_span_as_long_as_the_clip_is_one_crf(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    clip = make_clip(count=5)
    segment_video(clip, tmp_path, segmenter, kind="labels", span=10)
    images = np.stack([frame.image for frame in frames_of(clip)[0]])
    probabilities = [segmenter.segment(image, crf=False).probabilities for image in images]
    expected = refine_frames(images, np.stack(probabilities, axis=1), segmenter.info.crf, t_std_frames=4)
    np.testing.assert_array_equal(label_maps(tmp_path), expected.argmax(0))


def test_overlay_has_the_frames_times_and_sound_of_the_original(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path
) -> None:
    clip = make_clip(audio="aac", times_ms=[0, 40, 50, 180, 181, 500], count=6, pixel_aspect=Fraction(4, 3))
    result = segment_video(clip, tmp_path / "out", segmenter)
    assert result.output == tmp_path / "out" / "clip_overlay.mp4"
    segment_video(clip, tmp_path / "out", segmenter, kind="labels")
    (before, times), (after, times_after) = frames_of(clip), frames_of(result.output)
    assert [round(float(time * 1000)) for time in times_after] == [round(float(time * 1000)) for time in times]
    labels = label_maps(tmp_path / "out")
    for frame, overlay, label_map in zip(before, after, labels, strict=True):
        expected = overlay_image(frame.image, label_map, segmenter.info.label_set).astype(int)
        assert np.abs(expected - overlay.image).mean() < 12  # encoded at half the colours' resolution
    sound, copy = sound_of(clip), sound_of(result.output)
    assert len(sound) > 5
    assert [content for content, _ in copy] == [content for content, _ in sound]
    assert [time for _, time in copy] == pytest.approx([time for _, time in sound], abs=1e-3)
    with open_clip(result.output) as opened:
        assert opened.pixel_aspect == Fraction(4, 3)
    assert [path.name for path in (tmp_path / "out").glob(".*")] == []


def test_a_turned_video_comes_out_upright(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    clip = make_clip(matrix=[0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30])
    result = segment_video(clip, tmp_path, segmenter, crf=False)
    (frame, *_), (overlay, *_) = frames_of(clip)[0], frames_of(result.output)[0]
    assert overlay.image.shape == frame.image.shape == (64, 48, 3)


@pytest.mark.parametrize("size", [(63, 47), (2, 2), (1, 1), (3, 90)])
def test_odd_sizes(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path, size: tuple[int, int]) -> None:
    random = np.random.default_rng(6)
    frames = random.integers(0, 256, (4, *size[::-1], 3), dtype=np.uint8)
    clip = make_clip("clip.mkv", frames=frames, codec="ffv1", pixels="bgr0")
    np.testing.assert_array_equal([frame.image for frame in frames_of(clip)[0]], frames)  # lossless
    overlay = segment_video(clip, tmp_path, segmenter).output
    width, height = (side + side % 2 for side in size)
    assert {frame.image.shape for frame in frames_of(overlay)[0]} == {(height, width, 3)}
    segment_video(clip, tmp_path, segmenter, kind="labels")
    assert {labels.shape for labels in label_maps(tmp_path)} == {size[::-1]}


def test_large_frames_are_segmented_smaller(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    frame = np.zeros((120, 160, 3), np.uint8)
    frame[:, 80:] = 255
    clip = make_clip("clip.mkv", frames=np.stack([frame] * 3), codec="ffv1", pixels="bgr0")
    segment_video(clip, tmp_path, segmenter, kind="labels", span=1, side_px=40)
    small = segmenter(shrunk(frame, 0.25)).labels
    for labels in label_maps(tmp_path):
        assert labels.shape == (120, 160)
        assert np.mean(labels == small.repeat(4, axis=0).repeat(4, axis=1)) > 0.9


def test_the_network_runs_on_every_nth_frame(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[NDArray[np.uint8]] = []
    score = segmenter.network.scores

    def scored(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.append(image)
        return score(image)

    monkeypatch.setattr(segmenter.network, "scores", scored)
    clip = make_clip(count=10)
    assert segment_video(clip, tmp_path, segmenter, kind="labels", every=4).frames == 10
    frames = frames_of(clip)[0]
    np.testing.assert_array_equal(asked, [frames[number].image for number in (0, 4, 8, 9)])


def test_frames_are_streamed(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the clip, no more frames are in memory than a window and a half, and those that wait for scores."""
    alive: list[weakref.ref[Any]] = []
    most = 0
    decode = Clip.frames

    def watched(self: Clip) -> Iterator[Frame]:
        nonlocal most
        for frame in decode(self):
            alive.append(weakref.ref(frame.image))
            most = max(most, sum(image() is not None for image in alive))
            yield frame

    monkeypatch.setattr(Clip, "frames", watched)
    clip = make_clip(count=60, size=(32, 24))
    assert segment_video(clip, tmp_path, segmenter, span=8, every=3).frames == 60
    assert 8 <= most <= 12 + 3 + 1


@pytest.mark.parametrize(
    ("name", "audio", "output", "kept"),
    [
        ("clip.mov", "pcm_s16le", "clip_overlay.mp4", True),
        ("clip.mkv", "aac", "clip_overlay.mkv", True),
        ("clip.avi", "mp2", "clip_overlay.mkv", True),
        ("clip.avi", "adpcm_ms", "clip_overlay.mkv", False),
    ],
)
def test_sound_is_kept_where_the_container_can_hold_it(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path, name: str, audio: str, output: str, kept: bool
) -> None:
    clip = make_clip(name, audio=audio)
    result = segment_video(clip, tmp_path, segmenter, crf=False)
    assert result.output.name == output
    assert result.notes == (() if kept else (f"sound left out: .mkv holds no {audio}",))
    content, copy = ([content for content, _ in sound_of(path)] for path in (clip, result.output))
    assert content
    assert copy == (content if kept else [])


def test_without_libx264_it_is_mpeg4(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    clip = make_clip("clip.ts", times_ms=[0, 40, 90, 120, 160, 200], count=6)  # in units of 1/90000 s
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    result = segment_video(clip, tmp_path, segmenter, crf=False)
    assert result.notes == ("encoded as MPEG-4: this PyAV lacks libx264",)
    (_, before), (_, after) = frames_of(clip), frames_of(result.output)
    assert [float(t - after[0]) for t in after] == pytest.approx([float(t - before[0]) for t in before], abs=2e-3)
    monkeypatch.setattr(av, "codecs_available", {"aac"})
    with pytest.raises(OutputError, match="neither libx264 nor mpeg4"):
        segment_video(clip, tmp_path, segmenter, overwrite=True)
    assert encoding.ENCODERS[0].name == "libx264"


def test_progress_names_the_speed_and_what_is_left(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    shown: list[tuple[str, int, int, str]] = []
    segment_video(make_clip(), tmp_path, segmenter, crf=False, show=lambda *state: shown.append(state))
    assert [state[:3] for state in shown] == [
        (
            "segmenting clip.mp4",
            done,
            12,
        )
        for done in (*range(1, 13), 12)
    ]
    assert all("frames/s, 0:00:" in facts for *_, facts in shown[:11])


def test_existing_results_are_replaced_only_if_asked(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    long, short = make_clip(count=6), make_clip("other.mp4", count=3)
    for kind in ("overlay", "labels"):
        segment_video(long, tmp_path, segmenter, kind=kind, crf=False)
        with pytest.raises(OutputError, match="--force"):
            segment_video(long, tmp_path, segmenter, kind=kind, crf=False)
    beside = tmp_path / "clip_labels" / "notes.png"
    beside.write_bytes(b"mine")
    short.replace(long)
    for kind in ("overlay", "labels"):
        segment_video(long, tmp_path, segmenter, kind=kind, crf=False, overwrite=True)
    assert len(frames_of(tmp_path / "clip_overlay.mp4")[0]) == len(label_maps(tmp_path)) == 3
    assert beside.read_bytes() == b"mine"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError, OSError(28, "No space left on device")])
def test_interrupted_nothing_is_left_half_written(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Any
) -> None:
    clip, score, calls = make_clip(count=20, audio="aac"), segmenter.network.scores, 0

    def scored(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        if calls % 15 == 0:
            raise failure
        return score(image)

    monkeypatch.setattr(segmenter.network, "scores", scored)
    for kind in ("overlay", "labels"):
        with pytest.raises((KeyboardInterrupt, MemoryError, OSError, OutputError)):
            segment_video(clip, tmp_path / "out", segmenter, kind=kind)
        assert not list((tmp_path / "out").glob("*.mp4"))
        assert not list((tmp_path / "out").rglob(".*"))
    assert {labels.shape for labels in label_maps(tmp_path / "out")} == {(48, 64)}  # those before are whole


def test_a_cut_off_clip_is_said_to_be(make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
    clip = make_clip("clip.mkv", frames=noise)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    result = segment_video(clip, tmp_path, segmenter, crf=False)
    assert 5 < result.frames < 30
    assert result.notes == (
        f"{result.frames} frames of about 30 were read: the file is damaged or cut off; copy it again",
    )
    assert len(frames_of(result.output)[0]) == result.frames


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "gif"}, "kind"),
        ({"span": 0}, "span"),
        ({"span": 2.5}, "span"),
        ({"every": 0}, "every"),
        ({"side_px": 0}, "side_px"),
    ],
)
def test_bad_options(
    make_clip: MakeClip, segmenter: Segmenter, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        segment_video(make_clip(), tmp_path, segmenter, **options)


def test_nothing_is_made_for_what_is_no_video(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    with pytest.raises(DeepLabError):
        segment_video(tmp_path / "clip.mp4", tmp_path / "out", segmenter)
    assert not (tmp_path / "out").exists()
