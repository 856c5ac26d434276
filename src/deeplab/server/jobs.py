"""What the worker computes for the server: each a function of the `Workshop`, sent as a `functools.partial` of it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.crf import CRFSettings, DenseCRF, Shortcuts
from deeplab.crf.kernels import appearance_kernel, smoothness_kernel
from deeplab.crf.memory import check_memory
from deeplab.errors import DeepLabError, ImageError, InputError
from deeplab.images import read_image
from deeplab.refinement import load_scores, refine_scores, understand
from deeplab.refinement.score_files import write_labels
from deeplab.scores import label_probabilities
from deeplab.segment import Segmentation, Segmenter, shrink_for_network
from deeplab.server import pictures
from deeplab.server.worker import Workshop

__all__ = [
    "Done",
    "Opened",
    "TooManyPixelsError",
    "Upload",
    "open_photo",
    "planes",
    "refine_photo",
    "refine_upload",
    "segment_upload",
]

_MOST_UNPACKED_BYTES = 2 << 30

_ADVICE = "; shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS"  # which is no client's to raise


class TooManyPixelsError(ImageError):
    """A photo is larger than the server takes."""


class Upload(NamedTuple):
    """A file that a client sent: its cleaned name, and its bytes."""

    name: str
    data: bytes


class Done(NamedTuple):
    """The answer to a program's request, a file or what becomes JSON, and the pixels of its photo."""

    content: bytes | dict[str, Any]
    pixels: int


@dataclass(frozen=True, eq=False)
class Opened:
    """A photo of the page, decoded and seen by the network.

    Attributes:
        image: (H, W, 3) uint8 upright RGB, the working copy.
        full_size: (H, W) of the photo itself.
        scores: (L, h, w) float32, the network's.
        network_size: (H, W) of what the network saw.
        stride: pixels of that from one score to the next.
        network: the two `planes` of the network alone.
    """

    image: NDArray[np.uint8]
    full_size: tuple[int, int]
    scores: NDArray[np.float32]
    network_size: tuple[int, int]
    stride: int
    network: bytes

    def probabilities(self) -> NDArray[np.float32]:
        """Return the network's probabilities (L, H, W) at the working copy's size."""
        height, width = self.image.shape[:2]
        return label_probabilities(self.scores, (height, width), self.network_size, self.stride)


def open_photo(workshop: Workshop, *, photo: Upload, model: str, side_px: int) -> Opened:
    """Decode a photo, shrink it to at most `side_px` a side, and show it to a network.

    Raises:
        ImageError: the photo cannot be read or is too large.
        ModelError: the network fails.
    """
    full = _read(photo)
    image = _shrunk(full, side_px)
    workshop.step()
    network = workshop.networks[model]
    seen = shrink_for_network(image)
    scores = network.scores(seen)
    workshop.step()
    stride, full_size, network_size = network.info.output_stride, full.shape[:2], seen.shape[:2]
    opened = Opened(image, full_size, scores, network_size, stride, b"")
    return Opened(image, full_size, scores, network_size, stride, planes(opened.probabilities()))


def refine_photo(workshop: Workshop, *, photo: Opened, crf: CRFSettings, every_iteration: bool) -> list[bytes]:
    """Run the CRF on the scores of a photo, its distances in pixels of the working copy.

    Returns:
        the `planes` after the last iteration, or before the first and after each.

    Raises:
        InputError: as `deeplab.crf.refine` raises it.
    """
    params, (height, width) = crf.params, photo.image.shape[:2]
    appearance = appearance_kernel(
        photo.image,
        xy_std_px=params.bilateral_xy_std_px,
        rgb_std=params.bilateral_rgb_std,
        weight=params.bilateral_weight,
        normalization=crf.normalization,
    )
    smoothness = smoothness_kernel(
        height, width, xy_std_px=params.spatial_xy_std_px, weight=params.spatial_weight, normalization=crf.normalization
    )
    field = DenseCRF.from_probabilities(
        photo.probabilities(), [appearance, smoothness], prune_below=Shortcuts().prune_below, threads=workshop.threads
    )
    workshop.step()
    if not every_iteration:
        return [planes(field.infer(crf.iterations))]
    beliefs = []
    for belief in islice(field.iterate(), crf.iterations + 1):
        beliefs.append(planes(belief))
        workshop.step()
    return beliefs


def planes(belief: NDArray[np.float32]) -> bytes:
    """Return the labels (H, W) uint8 and then their confidence (H, W) uint8, 255 for 1, of beliefs (L, H, W)."""
    labels = belief.argmax(axis=0).astype(np.uint8)
    confidence = np.rint(belief.max(axis=0) * 255).astype(np.uint8)
    return bytes(labels.tobytes() + confidence.tobytes())


def segment_upload(
    workshop: Workshop,
    *,
    photo: Upload,
    model: str,
    crf: bool,
    form: str,
    min_confidence: float,
    classes: tuple[str, ...],
) -> Done:
    """Segment a photo; the answer is a file, one of `pictures.PICTURES` or "npz", or a description ("json").

    Raises:
        ImageError: the photo cannot be read or is too large.
        InputError: there is no such class.
        ModelError: the network fails.
    """
    network = workshop.networks[model]
    wanted = pictures.named_labels(classes, network.info.label_set)
    image = _read(photo)
    workshop.step()
    result = Segmenter(network, threads=workshop.threads).segment(image, crf=crf).with_min_confidence(min_confidence)
    workshop.step()
    labels, label_set = result.labels, result.label_set
    if form in pictures.PICTURES:
        return Done(pictures.PICTURES[form].render(image, labels, label_set, wanted), labels.size)
    if form == "npz":
        labels = pictures.only(labels, wanted, label_set)
        names = np.array(label_set.names)
        return Done(_npz(labels=labels, confidence=result.confidence(), names=names), labels.size)
    return Done(_described(photo.name, model, result), labels.size)


def _described(name: str, model: str, result: Segmentation) -> dict[str, Any]:
    height, width = result.labels.shape
    shares, confidence, label_set = result.shares(), result.confidence(), result.label_set
    return {
        "name": name,
        "width": width,
        "height": height,
        "model": model,
        "classes": [
            {
                "index": (index := label_set.names.index(class_name)),
                "name": class_name,
                "share": round(share, 6),
                "confidence": round(float(confidence[result.labels == index].mean()), 4),
            }
            for class_name, share in shares.items()
        ],
        "void": round(max(0.0, 1 - sum(shares.values())), 6),
    }


def refine_upload(
    workshop: Workshop,
    *,
    photo: Upload,
    scores: Upload,
    key: str | None,
    options: Mapping[str, Any],
    confidence: float,
    crf: CRFSettings,
    form: str,
) -> Done:
    """Refine another model's scores by a photo; the answer is the label map as PNG, or an .npz with confidence.

    Args:
        workshop: what there is to work with.
        photo: the photo.
        scores: .npy, .npz or a label map, as `deeplab.refinement.load_scores` reads it, which unpickles nothing.
        key: which array of an .npz of several.
        options: those of `deeplab.refinement.understand`.
        confidence: how far a label map is trusted.
        crf: the CRF's parameters, in pixels of the photo.
        form: "mask" or "npz".

    Raises:
        ImageError: the photo or label map cannot be read or is too large.
        InputError: the scores cannot be read or understood, or do not fit the photo, or an option is unusable.
        MemoryError: the result would not fit.
    """
    image = _read(photo)
    workshop.step()
    with _as_file(scores, Path(scores.name).suffix.lower()) as path:
        _check_unpacked(path)
        given = load_scores(path, key=key)
        _check_result(given, image, options)
        result = refine_scores(image, given, crf, confidence=confidence, threads=workshop.threads, **options)
        workshop.step()
        if form == "npz":
            archive = _npz(
                labels=result.labels,
                confidence=result.probabilities.max(axis=0),
                before=result.before,
                understood=np.array(str(result.understanding)),
            )
            return Done(archive, result.labels.size)
        written = path.with_name("labels.png")
        write_labels(written, result.labels, None)
        return Done(written.read_bytes(), result.labels.size)


def _check_unpacked(path: Path) -> None:
    """Raise where a compressed file would unpack to more than is reasonable."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _MOST_UNPACKED_BYTES:
            raise InputError(
                f"{path} unpacks to {unpacked / 1e9:.1f} GB; expected at most {_MOST_UNPACKED_BYTES / 1e9:.1f} GB: "
                "save scores as float16, or as small as the model gives them"
            )


def _check_result(scores: NDArray[Any], image: NDArray[np.uint8], options: Mapping[str, Any]) -> None:
    """Raise MemoryError where the probabilities at the photo's size, before and after, would not fit."""
    height, width = image.shape[:2]
    labels = len(understand(scores, (height, width), **options).labels)
    check_memory(8 * labels * height * width, f"refining {labels} labels of {width}x{height} pixels", "shrink both")


def _npz(**arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the stubs' keyword allow_pickle
    return file.getvalue()


def _read(photo: Upload) -> NDArray[np.uint8]:
    with _as_file(photo, "") as path:
        return read_image(path)


def _shrunk(photo: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    height, width = photo.shape[:2]
    factor = side_px / max(height, width)
    if factor >= 1:
        return photo
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.array(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


@contextmanager
def _as_file(upload: Upload, suffix: str) -> Iterator[Path]:
    """Yield an upload as a file of a name of our own; errors speak of it by the client's."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(upload.data)
        try:
            yield path
        except DeepLabError as error:
            message = str(error).replace(str(path), upload.name)
            if message.endswith(_ADVICE):
                raise TooManyPixelsError(f"{message.removesuffix(_ADVICE)}; shrink it") from None
            raise type(error)(message) from None
