"""Encoding: frames at the times of the original, its sound copied beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import OutputError
from deeplab.files import atomic_file
from deeplab.video.clip import Clip
from deeplab.video.pyav import pyav

if TYPE_CHECKING:
    from av import AudioStream, VideoStream


class Encoder(NamedTuple):
    """A way to encode video.

    Attributes:
        name: FFmpeg's name of it.
        title: its name in words.
        options: its own options.
        finest: the largest denominator of a time base that it takes.
    """

    name: str
    title: str
    options: dict[str, str]
    finest: int


ENCODERS = (
    Encoder("libx264", "H.264", {"crf": "20", "preset": "fast"}, 2**31 - 1),
    Encoder("mpeg4", "MPEG-4", {"qmin": "3", "qmax": "3"}, 65535),
)
"""Those used, the first that PyAV's build has."""

_OF_MP4 = (".mp4", ".m4v", ".mov", ".3gp")
_BT709, _LIMITED = 1, 1  # as FFmpeg numbers colour spaces and ranges (ITU-T H.273)
_MUXERS = {".mp4": "mp4", ".mkv": "matroska"}


def encoder() -> Encoder:
    """Return the first of `ENCODERS` that PyAV's build has.

    Raises:
        OutputError: it has none.
    """
    available = pyav().codecs_available
    for candidate in ENCODERS:
        if candidate.name in available:
            return candidate
    names = " nor ".join(candidate.name for candidate in ENCODERS)
    raise OutputError(f"this PyAV has neither {names} and writes no video; write label maps, or install another PyAV")


def suffix_for(clip: Clip) -> str:
    """Return ``.mp4`` for a video of that family whose sound an MP4 can hold, else ``.mkv``, which holds nearly any."""
    holds_sound = all(can_hold(stream, ".mp4") for stream in clip.audio)
    return ".mp4" if clip.path.suffix.lower() in _OF_MP4 and holds_sound else ".mkv"


def can_hold(stream: AudioStream, suffix: str) -> bool:
    """Tell whether a container, ``.mp4`` or ``.mkv``, can hold a stream of sound as it is."""
    with pyav().open(BytesIO(), "w", format=_MUXERS[suffix]) as container:
        return codec_of(stream) in container.supported_codecs


def codec_of(stream: AudioStream) -> str:
    """Return FFmpeg's name of a stream's codec."""
    return stream.codec_context.name if stream.codec_context else "an unknown codec"


@contextmanager
def encoded_video(
    path: Path, clip: Clip, *, overwrite: bool = False
) -> Iterator[Callable[[NDArray[np.uint8], int], None]]:
    """Yield what writes a frame, (H, W, 3) uint8 RGB, at a time in the clip's units; the clip's sound goes with it.

    The video takes its name only when the block ends well. It is H.264 where PyAV's build has libx264, else MPEG-4. Its
    colours are BT.709 at half the resolution (4:2:0), so frames of odd sides are widened to even ones by repeating
    their last row or column. Sound is copied as it is, without the streams that the container cannot hold.

    Args:
        path: where to write, ending as `suffix_for` says.
        clip: an opened video that is being read; its `packets` are taken.
        overwrite: replace an existing file.

    Raises:
        OutputError: the file exists, or cannot be written; nothing is left behind.
    """
    av, chosen = pyav(), encoder()
    with (
        atomic_file(path, overwrite=overwrite) as file,
        _explained(path),
        av.open(file, "w", format=_MUXERS[path.suffix]) as container,
    ):
        video = container.add_stream(chosen.name, rate=clip.rate.limit_denominator(1001), options=chosen.options)
        time_base = clip.time_base
        if time_base.denominator > chosen.finest:
            time_base = Fraction(1, chosen.finest)
        streams = {
            stream.index: container.add_stream_from_template(stream)
            for stream in clip.audio
            if can_hold(stream, path.suffix)
        }

        def copy_sound() -> None:
            while clip.packets:
                packet = clip.packets.popleft()
                if packet.stream.index in streams:
                    packet.stream = streams[packet.stream.index]
                    container.mux(packet)

        def write(image: NDArray[np.uint8], time: int) -> None:
            if not video.codec_context.is_open:
                _set_up(video, image, time_base, clip.pixel_aspect)
            frame = av.VideoFrame.from_ndarray(_even(image), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            frame.pts, frame.time_base = round(time * clip.time_base / time_base), time_base
            container.mux(video.encode(frame))
            copy_sound()

        yield write
        container.mux(video.encode(None))
        copy_sound()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what FFmpeg complains about while writing into an OutputError."""
    av = pyav()
    try:
        yield
    except av.FFmpegError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; write label maps instead") from error


def _set_up(video: VideoStream, image: NDArray[np.uint8], time_base: Fraction, pixel_aspect: Fraction) -> None:
    """Tell the encoder what comes, before the first frame."""
    context = video.codec_context
    context.height, context.width = _even(image).shape[:2]
    context.pix_fmt = "yuv420p"
    context.time_base = time_base
    context.sample_aspect_ratio = pixel_aspect
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last row or column of an image (H, W, 3) with odd sides."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else image
