from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.errors import ImageError, InputError
from deeplab.video.clip import Frame, open_clip

MakeClip = Callable[..., Path]

ONE = 1 << 16  # in the fixed point of display matrices


def frames_of(path: Path) -> list[Frame]:
    with open_clip(path) as clip:
        return list(clip.frames())


def test_frames_and_what_the_file_says_of_them(make_clip: MakeClip) -> None:
    with open_clip(make_clip(audio="aac", pixel_aspect=Fraction(4, 3))) as clip:
        frames = list(clip.frames())
        assert (clip.rate, clip.expected, clip.pixel_aspect, clip.damaged) == (25, 12, Fraction(4, 3), 0)
        assert [stream.codec_context.name for stream in clip.audio] == ["aac"]
        assert len(clip.packets) > 10
    assert [frame.time * clip.time_base for frame in frames] == [Fraction(number, 25) for number in range(12)]
    for frame in frames:
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        np.testing.assert_allclose(frame.image[5, 5], (230, 20, 20), atol=12)
        np.testing.assert_allclose(frame.image[-5, -5], (20, 20, 230), atol=12)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".ts"])
def test_containers(make_clip: MakeClip, suffix: str) -> None:
    assert len(frames_of(make_clip(f"clip{suffix}"))) == 12


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_times_of_a_variable_frame_rate(make_clip: MakeClip, name: str) -> None:
    times_ms = [0, 40, 50, 180, 181, 500]
    with open_clip(make_clip(name, count=6, times_ms=times_ms)) as clip:
        assert [round(float(frame.time * clip.time_base * 1000)) for frame in clip.frames()] == times_ms


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_turned_as_pyav_says(make_clip: MakeClip, degrees: int) -> None:
    cos, sin = round(np.cos(np.radians(degrees))), round(np.sin(np.radians(degrees)))
    path = make_clip(matrix=[cos * ONE, -sin * ONE, 0, sin * ONE, cos * ONE, 0, 0, 0, 1 << 30])
    import av

    with av.open(str(path)) as container:
        stored = next(container.decode(video=0))
        assert stored.rotation % 360 == degrees % 360
    expected = np.rot90(stored.to_ndarray(format="rgb24"), degrees // 90)
    np.testing.assert_array_equal(frames_of(path)[0].image, expected)


@pytest.mark.parametrize(
    ("matrix", "mirrored"),
    [
        ([-ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30], np.fliplr),
        ([ONE, 0, 0, 0, -ONE, 0, 0, 0, 1 << 30], np.flipud),
        ([0, ONE, 0, ONE, 0, 0, 0, 0, 1 << 30], lambda image: image.swapaxes(0, 1)),
        ([ONE // 2, ONE // 2, 0, -ONE // 2, ONE // 2, 0, 0, 0, 1 << 30], lambda image: image),
    ],
)
def test_mirrored(make_clip: MakeClip, matrix: list[int], mirrored: Callable[[Any], Any]) -> None:
    plain, turned = (frames_of(path)[0].image for path in (make_clip("plain.mp4"), make_clip(matrix=matrix)))
    # Two encodings of the same frames may differ a little: FFmpeg rounds colours as the memory happens to be aligned.
    np.testing.assert_allclose(turned.astype(int), mirrored(plain).astype(int), atol=16)


def test_a_quarter_turn_swaps_the_sides_of_pixels_too(make_clip: MakeClip) -> None:
    matrix = [0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30]
    with open_clip(make_clip(matrix=matrix, pixel_aspect=Fraction(4, 3))) as clip:
        assert next(clip.frames()).image.shape == (64, 48, 3)
        assert clip.pixel_aspect == Fraction(3, 4)


def copied(source: Path, name: str, *, trim_s: float = 0, last_s: float | None = None, **options: str) -> Path:
    """Copy a clip's packets, none encoded again: those before `trim_s` stay in an MP4, hidden by its edit list."""
    import av

    target = source.with_name(name)
    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as copy:
        streams = {stream: copy.add_stream_from_template(stream) for stream in given.streams}
        packets = [packet for packet in given.demux() if packet.dts is not None]
        for packet in packets:
            shift = round(trim_s / packet.stream.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if packet is packets[-1] and last_s is not None:
                packet.duration = round(last_s / packet.time_base)
            packet.stream = streams[packet.stream]
            copy.mux(packet)
    return target


@pytest.mark.parametrize("name", ["trimmed.mp4", "trimmed.mov"])
@pytest.mark.parametrize("audio", [None, "aac"])
def test_a_clip_trimmed_without_encoding_is_as_long_as_it_is_shown(
    make_clip: MakeClip, name: str, audio: str | None
) -> None:
    path = copied(make_clip(count=50, audio=audio), name, trim_s=0.8, avoid_negative_ts="disabled")
    import av

    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 50  # stored
    with open_clip(path) as clip:
        assert len(list(clip.frames())) == clip.expected == 30
        assert not clip.damaged
        assert not clip.is_cut_off


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mp4", {}),
        ("clip.ts", {}),
        ("clip.mkv", {"times_ms": list(range(2000, 2480, 40))}),  # begins late
        ("clip.mp4", {"times_ms": list(range(2000, 2480, 40))}),
        ("clip.mkv", {"times_ms": [0, 10, 20, 30, 40, 50, 60, 2000, 2010, 2020, 2030, 2040]}),
        ("clip.mkv", {"audio": "aac", "audio_s": 2.0}),  # sound goes on after the last frame
        ("clip.ts", {"audio": "aac", "audio_s": 2.0}),
        ("clip.mp4", {"audio": "aac", "audio_s": 2.0}),
        ("clip.avi", {"codec": "mpeg4", "audio": "mp2", "audio_s": 2.0}),
        ("clip.mkv", {"audio": "aac", "audio_s": 0.1}),
    ],
)
def test_a_whole_clip_is_not_cut_off(make_clip: MakeClip, name: str, options: dict[str, Any]) -> None:
    with open_clip(make_clip(name, **options)) as clip:
        assert len(list(clip.frames())) == 12
        assert not clip.is_cut_off


@pytest.mark.parametrize("name", ["long.mp4", "long.mov"])
def test_a_last_frame_that_stays_is_not_missing_frames(make_clip: MakeClip, name: str) -> None:
    with open_clip(copied(make_clip(), name, last_s=5)) as clip:
        assert len(list(clip.frames())) == 12
        assert not clip.is_cut_off


@pytest.mark.parametrize(
    ("name", "trim_s", "codec"),
    [
        ("cut.mp4", 0, "libx264"),
        ("cut.mp4", 0.4, "libx264"),
        ("cut.mkv", 0, "libx264"),
        ("cut.avi", 0, "mpeg4"),
        ("cut.flv", 0, "libx264"),
    ],
)
def test_a_clip_that_lacks_its_last_third_is_cut_off(make_clip: MakeClip, name: str, trim_s: float, codec: str) -> None:
    import av

    options = {"movflags": "faststart", "avoid_negative_ts": "disabled"} if name == "cut.mp4" else {}
    whole = copied(make_clip(count=30, codec=codec), name, trim_s=trim_s, **options)
    with av.open(str(whole)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.pos is not None and packet.pos >= 0]
    whole.write_bytes(whole.read_bytes()[: places[20]])  # between two packets, so that none is broken
    with open_clip(whole) as clip:
        assert 0 < len(list(clip.frames())) <= 20
        assert clip.is_cut_off


def test_a_cut_off_file_gives_what_is_there(make_clip: MakeClip) -> None:
    noise: NDArray[np.uint8] = np.random.default_rng(2).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    path = make_clip("clip.mkv", frames=noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_clip(path) as clip:
        assert 5 < len(list(clip.frames())) < 40
        assert clip.expected == 40


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_damage_in_the_middle_is_counted(make_clip: MakeClip, name: str) -> None:
    noise: NDArray[np.uint8] = np.random.default_rng(2).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    path = make_clip(name, frames=noise)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    with open_clip(path) as clip:
        assert 10 < len(list(clip.frames())) < 40
        assert clip.damaged


def test_a_size_that_changes_is_named(make_clip: MakeClip, tmp_path: Path) -> None:
    parts = [make_clip("a.ts", size=(64, 48)), make_clip("b.ts", size=(80, 60))]
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(ImageError, match="frame 13 has 80x60 pixels, those before it 64x48"):
        frames_of(tmp_path / "both.ts")


def test_frames_too_large_are_refused_before_they_are_decoded(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip("clip.avi", codec="rawvideo", pixels="bgr24")
    content = bytearray(path.read_bytes())
    header = content.index(b"strf") + 12  # a bitmap's: its size, then width and height
    content[header : header + 8] = (16_000).to_bytes(4, "little") + (16_000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ImageError, match="256000000 pixels are too large"), open_clip(path):
        pass


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("clip.mp4", b"", "empty"),
        ("clip.mp4", b"not a video at all" * 100, "not a video, or it is cut off"),
        ("clip.mp4", b"#EXTM3U\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n", "not a video"),
        ("clip.mkv", b"ffconcat version 1.0\nfile other.mkv\n", "not a video"),
        ("clip.gif", b"GIF89a", "expected a video, .*mp4.*; convert it"),
        ("clip", b"", "expected a video"),
    ],
)
def test_files_that_are_no_videos(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    pytest.importorskip("av", reason="reading videos needs PyAV: the extra `video`")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message):
        frames_of(tmp_path / name)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_what_a_file_says_of_itself_need_not_be_utf_8(make_clip: MakeClip, suffix: str) -> None:
    path = make_clip(f"clip{suffix}")
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", b"L\xe4vf"))
    assert len(frames_of(path)) == 12


def test_a_file_cut_off_before_its_index(make_clip: MakeClip) -> None:
    path = make_clip()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ImageError, match="not a video, or it is cut off"):
        frames_of(path)


def test_no_such_file(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="reading videos needs PyAV: the extra `video`")
    with pytest.raises(ImageError, match="no such file"):
        frames_of(tmp_path / "missing.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ImageError, match="no such file"):
        frames_of(tmp_path / "folder.mp4")


def test_sound_without_pictures(make_clip: MakeClip, tmp_path: Path) -> None:
    no_frames = make_clip("clip.mkv", frames=np.zeros((0, 48, 64, 3), np.uint8), audio="aac")
    with pytest.raises(ImageError, match="no frame of it can be decoded"):
        frames_of(no_frames)
    import av

    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="mono")
        frame.rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ImageError, match=r"holds no video \(but audio\)"):
        frames_of(tmp_path / "sound.mp4")


def test_without_pyav_the_advice_is_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"pip install '\.\[video\]'"):
        frames_of(tmp_path / "clip.mp4")
