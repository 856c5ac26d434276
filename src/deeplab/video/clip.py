"""Videos in: upright RGB frames with their times, one after the other, and the sound beside them."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import ImageError
from deeplab.files import is_file
from deeplab.video.pyav import pyav

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoFrame, VideoStream
    from av.container import InputContainer

_CONTAINERS = {
    "mov": (".mp4", ".m4v", ".mov", ".3gp"), "matroska": (".mkv", ".webm"), "avi": (".avi",), "ogg": (".ogv",),
    "mpegts": (".ts", ".mts", ".m2ts"), "mpeg": (".mpg", ".mpeg"), "asf": (".wmv",), "flv": (".flv",),
}  # fmt: skip

VIDEO_SUFFIXES = frozenset(suffix for suffixes in _CONTAINERS.values() for suffix in suffixes)
"""Lower-case file name endings of the containers `open_clip` reads."""

_FASTEST_RATE = Fraction(1000)  # what a header may claim, in frames per second
_TOLERANCE = Fraction(1, 20)  # of the duration that a header claims, which may be an estimate


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright.
        time: when it is shown, in units of the clip's `time_base`; above that of the frame before.
    """

    image: NDArray[np.uint8]
    time: int


class Clip:
    """An opened video.

    Attributes:
        path: the file.
        time_base: seconds in one unit of a frame's time.
        rate: frames per second, on average.
        expected: about how many frames will be shown; 0 where nothing says.
        pixel_aspect: the width of an upright pixel over its height, once a frame is read.
        audio: the streams of sound.
        packets: packets of sound, as they come between the frames; whoever uses them takes them out.
        damaged: how many packets and frames could not be decoded so far, or not whole.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        """Wrap an opened container and its video stream; `open_clip` does so."""
        self.path = path
        self._container, self._stream = container, stream
        self.time_base = stream.time_base or Fraction(1, 90_000)
        rate = stream.average_rate or stream.guessed_rate
        self.rate = rate if rate and 0 < rate <= _FASTEST_RATE else Fraction(25)
        self._promise = _promise(container, stream, self.rate)
        self._end_s = Fraction(0)
        self.expected = max(0, round((self._promise.end_s - self._promise.begin_s) * self.rate))
        self.pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
        self.audio: tuple[AudioStream, ...] = container.streams.audio
        self.packets: deque[Packet[Any]] = deque()
        self.damaged = 0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in the order they are shown; only once.

        Frames are turned as the video's display matrix says. A frame without a time, or not after the one before, is
        shown one frame's duration after it. Packets that cannot be decoded are left out, and counted with the frames
        that are not whole.

        Raises:
            ImageError: no frame can be decoded, or a frame has another size than those before.
        """
        size: tuple[int, int] | None = None
        time: int | None = None
        step = max(1, round(1 / self.rate / self.time_base))
        for number, frame in enumerate(self._decoded(), start=1):
            if size is None:
                size = frame.width, frame.height
                matrix = _display_matrix(frame)
                if matrix[0, 0] == 0:
                    self.pixel_aspect = 1 / self.pixel_aspect
            if (frame.width, frame.height) != size:
                raise ImageError(
                    f"{self.path}: frame {number} has {frame.width}x{frame.height} pixels, those before it "
                    f"{size[0]}x{size[1]}; cut the video where its size changes"
                )
            previous = time
            time = frame.pts if frame.pts is not None else (0 if previous is None else previous + step)
            if previous is not None and time <= previous:
                time = previous + step
            self._reached((time + (frame.duration or step)) * self.time_base)
            yield Frame(_upright(frame.to_ndarray(format="rgb24"), matrix), time)
        if size is None:
            raise ImageError(f"{self.path}: no frame of it can be decoded; copy or convert it again")

    @property
    def is_cut_off(self) -> bool:
        """Whether what was read ended well before the time that the file's header promises.

        Times are compared rather than numbers of frames: an edit list hides frames that are stored, and with a rate
        that varies a duration does not say how many there are.
        """
        missing_s = self._promise.end_s - self._end_s
        return missing_s > max(2 / self.rate, _TOLERANCE * (self._promise.end_s - self._promise.begin_s))

    def _reached(self, end_s: Fraction) -> None:
        self._end_s = max(self._end_s, end_s)

    def _decoded(self) -> Iterator[VideoFrame]:
        """Yield decoded frames; packets of sound are put aside."""
        av = pyav()
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:  # the file ends within a packet
                self.damaged += 1
                packet = None
            if packet is None:
                return
            if packet.stream is not self._stream:
                self._put_aside(packet)
                continue
            try:
                frames: list[Any] = packet.decode()
            except av.FFmpegError:
                self.damaged += 1
                continue
            self.damaged += sum(frame.is_corrupt for frame in frames)
            yield from frames

    def _put_aside(self, packet: Packet[Any]) -> None:
        """Keep a packet of sound; where the header speaks of the longest stream, note where any ends."""
        if self._promise.of_any_stream and packet.pts is not None and packet.time_base:
            self._reached((packet.pts + (packet.duration or 0)) * packet.time_base)
        if packet.stream in self.audio and packet.dts is not None:
            self.packets.append(packet)


class _Promise(NamedTuple):
    """When a video begins and ends by its file's header, in seconds.

    Attributes:
        begin_s: the time of the first frame.
        end_s: of the end of the last; as late as the beginning where nothing says.
        of_any_stream: whether it is the end of whichever stream is the longest.
    """

    begin_s: Fraction
    end_s: Fraction
    of_any_stream: bool = False


def _promise(container: InputContainer, stream: VideoStream, rate: Fraction) -> _Promise:
    begin_s = (stream.start_time or 0) * (stream.time_base or Fraction(0))
    if container.format.name == "avi" and stream.frames:  # of a cut-off one, FFmpeg tells the duration of the rest
        return _Promise(begin_s, begin_s + stream.frames / rate)
    if stream.duration and stream.time_base:
        return _Promise(begin_s, begin_s + stream.duration * stream.time_base)
    whole_s = Fraction(container.duration or 0, 1_000_000)
    starts_at_0 = container.format.name.startswith("matroska")  # there the duration is the end's time
    return _Promise(begin_s, max(begin_s, whole_s if starts_at_0 else begin_s + whole_s), of_any_stream=True)


def _display_matrix(frame: VideoFrame) -> NDArray[np.int64]:
    """Return how a stored place (x, y) maps to the shown one, (2, 2) of −1, 0, 1: shown = stored @ matrix.

    The identity where the frame says nothing, or is to be turned by other than quarter turns.
    """
    identity = np.eye(2, dtype=np.int64)
    side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return identity
    fixed_point = np.frombuffer(bytes(side_data), np.int32)[:9].reshape(3, 3)[:2, :2]
    turn = np.rint(fixed_point / 65536).astype(np.int64)
    return turn if np.array_equal(np.abs(turn) @ [1, 1], [1, 1]) and abs(round(np.linalg.det(turn))) == 1 else identity


def _upright(image: NDArray[Any], matrix: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Turn an image (H, W, 3) as `_display_matrix` says."""
    (x_to_x, x_to_y), (y_to_x, y_to_y) = matrix
    if x_to_x == 0:
        image, x_to_x, y_to_y = image.swapaxes(0, 1), y_to_x, x_to_y
    return np.ascontiguousarray(image[:: int(y_to_y), :: int(x_to_x)])


@contextmanager
def open_clip(path: str | os.PathLike[str]) -> Iterator[Clip]:
    """Open a video: MP4, MOV, Matroska, WebM, AVI, MPEG, WMV, FLV or Ogg, of any codec that PyAV has.

    Raises:
        ImageError: the file is missing, empty, no video, of a container not among these, or its frames have more pixels
            than Pillow allows an image; see also `Clip.frames`.
        InputError: PyAV is not installed.
    """
    av, path = pyav(), Path(path)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise ImageError(f"{path}: expected a video, {', '.join(sorted(VIDEO_SUFFIXES))}; convert it to one of these")
    if not is_file(path):
        raise ImageError(f"{path}: no such file; check the spelling")
    if path.stat().st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes); copy or download it again")
    # Playlists are no videos here: they would open other files and addresses.
    options = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg"}
    options["protocol_whitelist"] = "file"
    try:
        container = av.open(os.fspath(path), container_options=options, metadata_errors="replace")
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    except av.FFmpegError as error:
        raise ImageError(
            f"{path} is not a video, or it is cut off or damaged ({error.strerror}); copy it again"
        ) from None
    with container:
        covers = av.stream.Disposition.attached_pic
        stream = next((found for found in container.streams.video if not found.disposition & covers), None)
        if stream is None:
            kinds = ", ".join(sorted({found.type for found in container.streams})) or "nothing"
            raise ImageError(f"{path} holds no video (but {kinds}); give a file with pictures")
        if stream.codec_context is None:
            raise ImageError(f"{path}: this PyAV cannot decode its video; convert it to H.264")
        pixels = stream.codec_context.width * stream.codec_context.height
        if pixels > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise ImageError(
                f"{path}: frames of {pixels} pixels are too large; shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS"
            )
        stream.thread_type = "AUTO"
        yield Clip(path, container, stream)
