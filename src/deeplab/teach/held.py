"""The CRF over a photo whose marks are held: pixels that speak and do not hear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import thread_count
from deeplab.crf import CRFSettings, DenseCRF, Shortcuts, photo_kernels
from deeplab.crf.terms import Kernel, make_term
from deeplab.look import Look
from deeplab.segmentation import Segmentation

_LEAST = np.float32(1e-6)  # a probability that marks can still talk a pixel out of

Draw = Callable[[tuple[int, int]], NDArray[np.uint8]]
"""Takes (H, W) and gives a photo's marks at that size as labels (H, W) uint8, void where nothing is marked."""


class HeldCRF:
    """Refines what was seen in photos with their marks held, and keeps the last photo's kernels and lattices.

    So whoever draws stroke after stroke on one photo waits for the inference alone.
    """

    def __init__(self, threads: int | None = None) -> None:
        """Use at most so many threads; None: as many as `deeplab.crf.refine` does."""
        self._threads = threads
        self._last: tuple[str, tuple[Kernel, Kernel]] | None = None

    def segment(self, look: Look, content: str, drawn: Draw, crf: CRFSettings | None, loudness: float) -> Segmentation:
        """Segment a photo by what was seen in it and by its marks, which hold in the result.

        Args:
            look: what was seen.
            content: what tells the photo's pixels from other photos'.
            drawn: the photo's marks.
            crf: how the CRF runs, its distances in pixels of what the network saw; None: not at all.
            loudness: how much louder marks speak to the pixels about them than other pixels do: their share of all that
                a pixel hears through the bilateral kernel counts so many times as evidence, in nats. 0: not at all.

        Raises:
            InputError, MemoryError: as `deeplab.crf.refine` raises them.
        """
        result = look.unrefined() if crf is None else self._refined(look, content, drawn, crf, loudness)
        hold(result, drawn(look.photo.shape[:2]))
        return result

    def _refined(self, look: Look, content: str, drawn: Draw, crf: CRFSettings, loudness: float) -> Segmentation:
        small = look.for_crf()
        settings, size = crf.scaled(small.enlargement), small.photo.shape[:2]
        kernels = self._kernels(small.photo, f"{content} {size} {settings}", settings)
        probabilities, labels = small.probabilities(), drawn(size)
        fixed = labels != look.info.label_set.void
        if fixed.any():
            if loudness:
                self._speak_up(probabilities, labels, fixed, kernels[0], loudness)
            probabilities[:, fixed] = labels[fixed] == np.arange(len(probabilities))[:, None]
        inference = DenseCRF.from_probabilities(
            probabilities,
            kernels,
            fixed=fixed if fixed.any() else None,
            prune_below=Shortcuts().prune_below,
            threads=self._threads,
        )
        return look.segmentation(inference.infer(settings.iterations))

    def _kernels(self, photo: NDArray[np.uint8], key: str, crf: CRFSettings) -> tuple[Kernel, Kernel]:
        if self._last is None or self._last[0] != key:
            self._last = None  # its memory goes before the next lattice comes
            self._last = key, photo_kernels(photo, crf)
        return self._last[1]

    def _speak_up(
        self,
        probabilities: NDArray[np.float32],
        labels: NDArray[np.uint8],
        fixed: NDArray[np.bool_],
        bilateral: Kernel,
        loudness: float,
    ) -> None:
        """Give the labels of marks more of the probability (L, H, W) of pixels near them and of their colour."""
        found = np.unique(labels[fixed])
        marked = (labels.ravel() == found[:, None]).astype(np.float32)
        term = make_term(bilateral, marked.shape, "lattice", thread_count(self._threads))
        share = term.normalized(marked).reshape(len(found), *labels.shape)
        heard = np.float32(loudness) * np.minimum(share, 1)
        loudest = heard.max(axis=0)
        np.maximum(probabilities, _LEAST, out=probabilities)
        own = probabilities[found] * np.exp(heard - loudest)
        probabilities *= np.exp(-loudest)
        probabilities[found] = own
        probabilities /= probabilities.sum(axis=0)


def hold(result: Segmentation, drawn: NDArray[np.uint8]) -> None:
    """Give a result's pixels the labels that were marked (H, W) uint8, void where nothing was."""
    held = drawn != result.label_set.void
    result.labels[held] = drawn[held]
    result.confidence()[held] = 1
