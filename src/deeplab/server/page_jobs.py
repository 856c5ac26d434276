"""What the worker computes for the page: each a function of the `Workshop`, sent as a `functools.partial` of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings, DenseCRF, Shortcuts, photo_kernels
from deeplab.images import shrunk
from deeplab.planes import Planes, refined
from deeplab.server import pictures
from deeplab.server.uploads import Upload, read_photo
from deeplab.server.worker import Workshop

__all__ = ["Opened", "draw_photo", "open_photo", "planes", "refine_photo"]


@dataclass(frozen=True, eq=False)
class Opened:
    """A photo of the page, decoded and seen by the network.

    Attributes:
        image: (H, W, 3) uint8 upright RGB, the working copy.
        scores: the network's, of the photo itself.
        network: the two `planes` of the network alone, of the working copy.
    """

    image: NDArray[np.uint8]
    scores: Planes
    network: bytes

    @property
    def grown(self) -> float:
        """How many times larger the working copy is than what the network saw."""
        return float(max(self.image.shape[:2]) / max(self.scores.seen))


def open_photo(workshop: Workshop, *, photo: Upload, model: str, side_px: int) -> Opened:
    """Decode a photo, show it to a network, and make a working copy of at most `side_px` a side.

    Raises:
        ImageError: the photo cannot be read or is too large.
        ModelError: the network fails.
    """
    full = read_photo(photo)
    network = workshop.networks[model]
    image, seen = shrunk(full, side_px / max(full.shape[:2])), network.info.preprocessing.shrink(full)
    workshop.step()
    scores = Planes(network.scores(seen), full.shape[:2], seen.shape[:2], network.info.output_stride, are_scores=True)
    workshop.step()
    return Opened(image, scores, planes(replace(scores, size=image.shape[:2]).probabilities()))


def refine_photo(workshop: Workshop, *, photo: Opened, crf: CRFSettings, every_iteration: bool) -> list[bytes]:
    """Run the CRF on the working copy of a photo, its distances in pixels of what the network saw.

    Returns:
        the `planes` after the last iteration, or before the first and after each.

    Raises:
        InputError: as `deeplab.crf.refine` raises it.
    """
    field = DenseCRF.from_probabilities(
        replace(photo.scores, size=photo.image.shape[:2]).probabilities(),
        photo_kernels(photo.image, crf.scaled(photo.grown)),
        prune_below=Shortcuts().prune_below,
        threads=workshop.threads,
    )
    workshop.step()
    if not every_iteration:
        return [planes(field.infer(crf.iterations))]
    beliefs = []
    for belief in islice(field.iterate(), crf.iterations + 1):
        beliefs.append(planes(belief))
        workshop.step()
    return beliefs


def draw_photo(
    workshop: Workshop,
    *,
    photo: Upload,
    scores: Planes,
    model: str,
    crf: CRFSettings,
    picture: str,
    wanted: Sequence[int],
) -> bytes:
    """Refine a photo at its full size, and return one of `pictures.PICTURES` of it.

    Args:
        workshop: what there is to work with.
        photo: the photo.
        scores: the network's.
        model: the network's name.
        crf: the CRF's settings, its distances in pixels of what the network saw.
        picture: which picture.
        wanted: the labels that it shall hold; () for all.

    Raises:
        InputError: as `deeplab.crf.refine` raises it.
    """
    image = read_photo(photo)
    workshop.step()
    labels, _ = refined(scores, image, crf, threads=workshop.threads).likeliest()
    workshop.step()
    return pictures.PICTURES[picture].render(image, labels, workshop.networks[model].info.label_set, wanted)


def planes(belief: NDArray[np.float32]) -> bytes:
    """Return the labels (H, W) uint8 and then their confidence (H, W) uint8, 255 for 1, of beliefs (L, H, W)."""
    labels = belief.argmax(axis=0).astype(np.uint8)
    confidence = np.rint(belief.max(axis=0) * 255).astype(np.uint8)
    return bytes(labels.tobytes() + confidence.tobytes())
