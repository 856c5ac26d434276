"""CRF parameters tried on photos with stored scores: several photos at a time, and nothing twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_count
from deeplab.crf import CRFParams, CRFSettings, DenseCRF, Shortcuts, photo_kernels
from deeplab.crf_search.journal import Journal
from deeplab.data.samples import Sample, load_mask
from deeplab.evaluation.confusion import Confusion
from deeplab.evaluation.evaluate import check_samples, load_scored
from deeplab.evaluation.stored_scores import StoredScores
from deeplab.evaluation.trimap import boundary_distance
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.progress import Show, duration, silent

# Settings of one photo that are tried in one go: enough that loading the photo does not count, few enough that little
# is lost when the search is stopped.
_AT_A_TIME = 48


@dataclass(frozen=True)
class Band:
    """The pixels near object boundaries; see `deeplab.evaluation.trimap`.

    Attributes:
        around: "void" or "classes".
        width_px: how far from the boundary they lie at most.
    """

    around: str = "void"
    width_px: int = 10


class Trials:
    """CRF parameters tried on photos, what they gave, and how long it took.

    Args:
        samples: the photos and their true labels.
        scores: the network's scores of these photos.
        folder: where the journal of what was measured lies, ``trials.jsonl``.
        crf: how the CRF runs; its parameters are what varies.
        band: also count the pixels near boundaries.
        threads: photos in work at a time. The results do not depend on it.
        show: takes progress in CRF runs, 0 of each stage at first, with their rate and the time left.
        force: begin anew where the journal is another search's.

    Attributes:
        runs: how many times the CRF has run in this process.
        seconds: how long that took, by the clock.
        processor_seconds: how much of the processors that took, loading and counting included.

    Raises:
        DataError: there are no photos, scores or masks are missing, damaged, or of other labels, or the journal is
            damaged.
        OutputError: the journal is another search's, or cannot be written.
        InputError: `threads` is below 1.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        scores: StoredScores,
        folder: Path,
        *,
        crf: CRFSettings,
        band: Band | None = None,
        threads: int = 1,
        show: Show = silent,
        force: bool = False,
    ) -> None:
        check_samples(samples, scores.info.label_set)
        check_count(threads, 1, "threads")
        self.samples = tuple(samples)
        self.scores = scores
        self.crf = crf
        self.band = band
        self.threads = threads
        self.runs, self.seconds, self.processor_seconds = 0, 0.0, 0.0
        self._show = show
        self._identities = {sample.name: _identity(sample, scores) for sample in samples}
        owner = {
            "format": 2,
            "model_sha256": scores.model_sha256,
            "labels": list(self.label_set.names),
            "iterations": crf.iterations,
            "normalization": crf.normalization,
            "band": None if band is None else [band.around, band.width_px],
        }
        shape = (1 if band is None else 2, 3, len(self.label_set))
        self._journal = Journal(folder / "trials.jsonl", owner, shape, force=force)

    @property
    def label_set(self) -> LabelSet:
        """The classes."""
        return self.samples[0].label_set

    def measure(self, stage: str, tried: Sequence[CRFParams], photos: int | None = None) -> None:
        """Try CRF parameters on the first `photos` photos (None: all), unless that is in the journal already.

        Raises:
            ImageError: a photo cannot be read.
            DataError: scores or masks are missing or damaged.
            OutputError: the journal cannot be written.
        """
        begun = time.monotonic()
        work = [
            (sample, missing[start : start + _AT_A_TIME])
            for sample in self.samples[:photos]
            if (missing := self._missing(sample, tried))
            for start in range(0, len(missing), _AT_A_TIME)
        ]
        total, done = sum(_runs(part) for _, part in work), 0
        if not work:
            return
        self._show(stage, 0, total, "")
        pool = ThreadPoolExecutor(self.threads)
        try:
            running = {pool.submit(self._try, *job): job for job in work}
            for finished in as_completed(running):
                sample, part = running.pop(finished)
                tallies, seconds = finished.result()
                self._journal.add(self._identities[sample.name], part, tallies)
                self.processor_seconds += seconds
                done += _runs(part)
                self._show(stage, done, total, _pace(done, total, time.monotonic() - begun))
        finally:
            pool.shutdown(cancel_futures=True)
        self.runs += total
        self.seconds += time.monotonic() - begun

    def tallies(self, params: CRFParams | None, photos: int | None = None) -> NDArray[np.int64]:
        """Return what was measured, (photos, regions, 3, L); see `deeplab.evaluation.figures`.

        Region 0 is the whole photo, region 1 the band if there is one. None stands for the network alone.
        """
        return np.stack([self._journal[self._identities[sample.name], params] for sample in self.samples[:photos]])

    def photos_of(self, params: CRFParams) -> int:
        """Return how many photos, from the first, the parameters were tried on."""
        tried = [(self._identities[sample.name], params) in self._journal for sample in self.samples]
        return [*tried, False].index(False)

    def _missing(self, sample: Sample, tried: Sequence[CRFParams]) -> list[CRFParams | None]:
        """List what was not tried yet on a photo, runs that share a lattice side by side."""
        identity = self._identities[sample.name]
        ordered = sorted(set(tried), key=lambda p: (repr(_lattice(p)), np.mean(p.bilateral_weight)))
        return [params for params in (None, *ordered) if (identity, params) not in self._journal]

    def _try(self, sample: Sample, tried: Sequence[CRFParams | None]) -> tuple[NDArray[np.int64], float]:
        """Label a photo under each of the parameters and count, (settings, regions, 3, L); also the time it took."""
        begun = time.thread_time()
        look, truth = load_scored(sample, self.scores, threads=1)
        truths = [truth]
        if self.band is not None:
            distance = boundary_distance(truth, self.label_set, self.band.around, reach=self.band.width_px)
            truths.append(np.where(distance <= self.band.width_px, truth, np.uint8(self.label_set.void)))

        labelled = _labels(look, [p for p in tried if p is not None], self.crf)
        if tried[0] is None:
            labelled = chain([look.labels()], labelled)
        tallies = [[Confusion.of(known, found, self.label_set).tally for known in truths] for found in labelled]
        return np.array(tallies), time.thread_time() - begun


def _labels(look: Look, tried: Sequence[CRFParams], crf: CRFSettings) -> Iterator[NDArray[np.uint8]]:
    """Yield a photo's labels (H, W) by what `Look.refined` makes of it under each of the parameters.

    Those that differ in weights alone, side by side in `tried`, share the photo's lattice.
    """
    small = look.for_crf()
    probabilities = small.probabilities()
    for _, alike in groupby(tried, key=_lattice):
        first, *others = alike
        bilateral, spatial = photo_kernels(small.photo, replace(crf, params=first).scaled(small.enlargement))
        for params in (first, *others):
            kernels = [
                bilateral.changed(**params.weighing("bilateral")._asdict()),
                spatial.changed(**params.weighing("spatial")._asdict()),
            ]
            field = DenseCRF.from_probabilities(probabilities, kernels, prune_below=Shortcuts().prune_below, threads=1)
            yield look.segmentation(field.infer(crf.iterations)).labels


def _pace(done: int, total: int, seconds: float) -> str:
    rate = done / max(seconds, 1e-3)
    return f"{rate:.1f} CRF runs a second, {duration((total - done) / max(rate, 1e-3))} left"


def _runs(tried: Sequence[CRFParams | None]) -> int:
    return sum(params is not None for params in tried)


def _lattice(params: CRFParams) -> tuple[float, float | tuple[float, ...], float]:
    """What the lattices of a photo depend on."""
    return params.bilateral_xy_std_px, params.bilateral_rgb_std, params.spatial_xy_std_px


def _identity(sample: Sample, scores: StoredScores) -> str:
    """Tell photos apart by what is measured of them: the photo's file and its labels."""
    digest = hashlib.sha256(scores.load(sample.name).photo_sha256.encode())
    digest.update(load_mask(sample).tobytes())
    return f"{sample.name} {digest.hexdigest()[:16]}"
