"""Checks whether a model file is whole, and computes here what it computed where it was made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from deeplab.crf import _native
from deeplab.crf.unary import softmax_in_place
from deeplab.errors import ModelError
from deeplab.files import sha256_of
from deeplab.images import read_image
from deeplab.models import CHECK_PHOTOS, find_model, shipped_models, shipped_record
from deeplab.runtime import ScoreNetwork

TOLERANCE = 0.02
"""How far a label's mean probability over a photo may lie from the recorded one, 0–1.

Other processors and versions of the runtime round otherwise; voc-largefov and its float32 original, whose arithmetic
differs far more, are at most 0.0051 apart.
"""

_LEAST_RECORDED = 0.0005  # a mean probability below this is left out of the record


class Check(NamedTuple):
    """One thing that was looked at: what was found, in a line, and whether it is as it should be."""

    passed: bool
    line: str


def verify_model(name_or_path: str | os.PathLike[str] | None = None, *, threads: int | None = None) -> Iterator[Check]:
    """Check a model file step by step: its hash, whether it loads, and its scores of the photos in the package.

    Hash and scores are compared with those recorded of the shipped models. Another model's file has nothing to be
    compared with: its hash is given, it must load, and its scores must be finite.

    Args:
        name_or_path: as `deeplab.models.find_model` takes it.
        threads: at most this many; None: as for `ScoreNetwork`.

    Yields:
        The checks, each as soon as it is made. After a failed load there are no more.

    Raises:
        InputError: `threads` is below 1.
        ModelError: there is no such model.
    """
    path = find_model(name_or_path)
    digest, records = sha256_of(path, ModelError), shipped_record()
    name = next((name for name, record in records.items() if record["sha256"] == digest), None)
    yield _check_file(path, digest, name)
    try:
        network = ScoreNetwork(path, threads=threads)
    except ModelError as error:
        yield Check(False, str(error))
        return
    info = network.info
    yield Check(
        True,
        f"{info.name}: {info.variant}, {len(info.label_set)} labels, on ONNX Runtime {version('onnxruntime')}; "
        f"the CRF uses {_native.instruction_set()} instructions",
    )
    expected = records[name]["mean_probabilities"] if name else {}
    for photo in CHECK_PHOTOS:
        yield _check_photo(network, photo, expected.get(photo.stem))


def record_model(name_or_path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what `verify_model` compares with: a model file's hash and its labels' mean probabilities of each photo.

    Raises:
        ModelError: there is no such model, or it does not load.
    """
    path = find_model(name_or_path)
    network = ScoreNetwork(path)
    probabilities = {
        photo.stem: {
            label: round(share, 4)
            for label, share in _mean_probabilities(network, photo).items()
            if share >= _LEAST_RECORDED
        }
        for photo in CHECK_PHOTOS
    }
    return {network.info.name: {"sha256": sha256_of(path, ModelError), "mean_probabilities": probabilities}}


def _check_file(path: Path, digest: str, name: str | None) -> Check:
    line = f"{path}: {path.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}"
    if name:
        return Check(True, f"{line}, that of the shipped {name}")
    if path == shipped_models().get(path.stem):
        return Check(False, f"{line}, which is not that of the shipped {path.stem}; install deeplab-crf again")
    return Check(True, f"{line}, no shipped model's")


def _check_photo(network: ScoreNetwork, photo: Path, expected: Mapping[str, float] | None) -> Check:
    found = _mean_probabilities(network, photo)
    largest = sorted(found.items(), key=lambda item: -item[1])[:2]
    line = f"{photo.stem}: " + ", ".join(f"{label} {share:.3f}" for label, share in largest)
    if not all(0 <= share <= 1 for share in found.values()):
        return Check(False, f"{line}: the scores are not finite; export the model again")
    if expected is None:
        return Check(True, line)
    label, distance = max(
        ((label, abs(share - expected.get(label, 0))) for label, share in found.items()), key=lambda item: item[1]
    )
    if distance <= TOLERANCE:
        return Check(True, f"{line}; at most {distance:.4f} from the record")
    return Check(
        False,
        f"{line}; {label} is {distance:.4f} from the recorded {expected.get(label, 0):.4f}, more than {TOLERANCE}: "
        "this processor or ONNX Runtime computes the model wrongly; update onnxruntime",
    )


def _mean_probabilities(network: ScoreNetwork, photo: Path) -> dict[str, float]:
    """Return each label's probability by the network, averaged over the photo's scores."""
    means = softmax_in_place(network.scores(read_image(photo))).mean(axis=(1, 2))
    return {name: float(mean) for name, mean in zip(network.info.label_set.names, means, strict=True)}
