"""The worker's computations for the page: each a function of the `JobContext`, sent as a `functools.partial` of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from deeplab.crf import CRFSettings, DenseCRF, Shortcuts, photo_kernels
from deeplab.images import shrunk
from deeplab.look import Look
from deeplab.segmentation import Segmentation
from deeplab.server import pictures
from deeplab.server.uploads import Upload, read_photo
from deeplab.server.worker import JobContext


@dataclass(frozen=True, eq=False)
class Opened:
    """A photo of the page, decoded and seen by the network.

    Attributes:
        look: the network's look at it, over the working copy.
        size: (H, W) of the photo itself.
        network: the working copy by the network alone; see `as_bytes`.
        notes: what was assumed of the photo, as in `deeplab.images.Reading`.
    """

    look: Look
    size: tuple[int, int]
    network: bytes
    notes: tuple[str, ...] = ()


def open_photo(context: JobContext, *, photo: Upload, model: str, side_px: int) -> Opened:
    """Decode a photo, show it to a network, and make a working copy of at most `side_px` a side.

    Raises:
        ImageError: the photo cannot be read or is too large.
        ModelError: the network fails.
    """
    reading = read_photo(photo)
    full = reading.pixels
    context.step()
    look = context.segmenters[model].look(full)
    context.step()
    size = full.shape[:2]
    look = look.at(shrunk(full, side_px / max(size)))
    return Opened(look, size, as_bytes(look.unrefined()), reading.notes)


def refine_photo(context: JobContext, *, photo: Opened, crf: CRFSettings, every_iteration: bool) -> list[bytes]:
    """Run the CRF on the working copy of a photo, its distances in pixels of what the network saw.

    Returns:
        `as_bytes` of the copy after the last iteration, or before the first and after each.

    Raises:
        InputError: as `deeplab.crf.refine` raises it.
    """
    look = photo.look
    field = DenseCRF.from_probabilities(
        look.probabilities(),
        photo_kernels(look.photo, crf.scaled(look.enlargement)),
        prune_below=Shortcuts().prune_below,
        threads=context.threads,
    )
    context.step()
    if not every_iteration:
        return [as_bytes(look.segmentation(field.infer(crf.iterations)))]
    found = []
    for belief in islice(field.iterate(), crf.iterations + 1):
        found.append(as_bytes(look.segmentation(belief)))
        context.step()
    return found


def draw_photo(
    context: JobContext, *, photo: Upload, look: Look, crf: CRFSettings, picture: str, wanted: Sequence[int]
) -> bytes:
    """Refine a photo at its full size, and return one of `pictures.PICTURES` of it.

    Args:
        context: the worker's networks and limits.
        photo: the photo.
        look: the network's look at it, over any copy.
        crf: the CRF's settings, its distances in pixels of what the network saw.
        picture: which picture.
        wanted: the labels that it shall hold; () for all.

    Raises:
        InputError: as `deeplab.crf.refine` raises it.
    """
    look = look.at(read_photo(photo).pixels)
    context.step()
    found = look.refined(crf)
    context.step()
    return pictures.PICTURES[picture].render(found, wanted)


def as_bytes(found: Segmentation) -> bytes:
    """Return the labels (H, W) uint8 and then their confidence (H, W) uint8, 255 for 1."""
    return found.labels.tobytes() + np.rint(found.confidence() * 255).astype(np.uint8).tobytes()
