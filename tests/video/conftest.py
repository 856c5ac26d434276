"""Small videos, made with PyAV."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 25
MakeClip = Callable[..., Path]


def scene(size: tuple[int, int], count: int) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) of a size (W, H): red at the top left, blue at the bottom right, a bar that moves."""
    width, height = size
    frames = np.full((count, height, width, 3), 90, np.uint8)
    frames[:, : height // 3, : width // 3] = (230, 20, 20)
    frames[:, -(height // 3) :, -(width // 3) :] = (20, 20, 230)
    for number, frame in enumerate(frames):
        frame[:, width // 3 + number % 8 : width // 3 + 4 + number % 8] = (20, 200, 20)
    return frames


def _turned(mp4: bytes, matrix: list[int]) -> bytes:
    """Put a display matrix (9 numbers) into the track header, ISO 14496-12: 44 bytes after the start of its name."""
    place = mp4.index(b"tkhd") + 44
    return mp4[:place] + struct.pack(">9i", *matrix) + mp4[place + 36 :]


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Return a function that writes a clip and returns its path."""
    av: Any = pytest.importorskip("av", reason="reading and writing videos needs PyAV: the extra `video`")

    def make(
        name: str = "clip.mp4",
        *,
        frames: NDArray[np.uint8] | None = None,
        size: tuple[int, int] = (64, 48),
        count: int = 12,
        codec: str = "libx264",
        pixels: str = "yuv420p",
        audio: str | None = None,
        audio_s: float | None = None,
        times_ms: list[int] | None = None,
        matrix: list[int] | None = None,
        pixel_aspect: Fraction | None = None,
    ) -> Path:
        path = tmp_path / name
        images = scene(size, count) if frames is None else frames
        with av.open(str(path), "w") as container:
            video: Any = container.add_stream(codec, rate=RATE)
            video.height, video.width = images.shape[1:3] if len(images) else size[::-1]
            video.pix_fmt = pixels
            if times_ms is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if pixel_aspect is not None:
                video.codec_context.sample_aspect_ratio = pixel_aspect
            sound: Any = None if audio is None else container.add_stream(audio, rate=48_000, layout="mono")
            for number, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                if times_ms is not None:
                    frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
                container.mux(video.encode(frame))
            if sound is not None:
                samples = round(48_000 * (audio_s or max(count, 1) / RATE))
                wave = np.random.default_rng(3).integers(-3000, 3000, (1, samples), np.int16)
                noise = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
                noise.rate = 48_000
                container.mux(sound.encode(noise))
                container.mux(sound.encode(None))
            if len(images):
                container.mux(video.encode(None))
        if matrix is not None:
            path.write_bytes(_turned(path.read_bytes(), matrix))
        return path

    return make
