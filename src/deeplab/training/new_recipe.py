"""A recipe for data of one's own: from what the data holds and how fast the machine is to YAML that says why."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import numpy as np

from deeplab.checks import thread_count
from deeplab.errors import InputError
from deeplab.preprocessing import MAX_SIDE_PX
from deeplab.training.own_data import OwnData
from deeplab.training.recipe import LONGEST_NAME

WEIGHTS = "voc-largefov"
"""The shipped model that own classes start from."""

BATCH, PART = 10, 5
CROP_PX, LEAST_CROP_PX = 321, 65
FROZEN = ("conv1_", "conv2_", "conv3_")

# In crops that go through the whole network and back, as measured on two cores: the trunk alone, fc6 to fc8 alone, and
# a photo validated.
TRUNK, HEAD, VALIDATED = 0.4, 0.3, 0.8

WARM_UP_SHARE, VALIDATION_SHARE = 0.4, 0.1  # of the hours, at most
VALIDATIONS = 4
LEAST_ITERATIONS = 10
PASSES, WARM_UP_PASSES = 100, 30  # more would learn the photos by heart
FEATURES_GB = 2.0
CORE_SECONDS = 1.0  # of one core for a crop of 321 px: docs/training.md, "Where data or weights are scarce"


class Speed(NamedTuple):
    """How fast a machine trains.

    Attributes:
        crops_per_second: crops of 321 px through the whole network and back.
        precision: what it computes in.
        source: how that is known, in words.
    """

    crops_per_second: float
    precision: str
    source: str


class Plan(NamedTuple):
    """How the time is spent: iterations of `BATCH` crops, and photos validated each time.

    Attributes:
        warm_up: of fc6 to fc8 alone; 0 for none.
        main: end to end.
        validated: photos of each of `VALIDATIONS` validations; 0 where none is held out.
        hours: what all that takes.
    """

    warm_up: int
    main: int
    validated: int
    hours: float


def estimated_speed(threads: int | None = None) -> Speed:
    """What a processor would do by the figures in docs/training.md, where PyTorch is not there to measure it."""
    cores = thread_count(threads)
    return Speed(cores / CORE_SECONDS, "bf16", f"estimated for {cores} cores, as PyTorch is not there to measure it")


def crop_side(data: OwnData) -> int:
    """The side of training crops, 8n + 1: what the shipped network learnt on, or less where photos are smaller."""
    longest = [min(max(size), MAX_SIDE_PX) for size in data.learnt.sizes]
    most = float(np.quantile(longest, 0.9)) if longest else CROP_PX
    return int(min(CROP_PX, max(LEAST_CROP_PX, 8 * math.ceil((most - 1) / 8) + 1)))


def check_hours(hours: float) -> None:
    """Check that a training may take so many hours.

    Raises:
        InputError: it may not.
    """
    if not 0 < hours < 10_000:
        raise InputError(f"--hours is {hours:g}; expected a number above 0 and below 10,000, e.g. 0.5")


def make_plan(data: OwnData, speed: Speed, hours: float) -> Plan:
    """Choose iterations that take so many hours at a speed, or fewer where photos are few.

    Raises:
        InputError: the hours are too few for anything.
    """
    rate = speed.crops_per_second * (CROP_PX / crop_side(data)) ** 2
    budget = 3600 * hours * rate
    validated = min(data.held_out, max(1, int(VALIDATION_SHARE * budget / VALIDATIONS / VALIDATED)))
    left = budget - VALIDATIONS * VALIDATED * validated
    features = TRUNK * data.photos
    warm_up = 0
    if features <= WARM_UP_SHARE / 2 * left and data.photos * _feature_bytes(data) <= FEATURES_GB * 1e9:
        crops = min((WARM_UP_SHARE * left - features) / HEAD, WARM_UP_PASSES * data.photos)
        warm_up = max(1, int(crops / BATCH))
        left -= features + HEAD * BATCH * warm_up
    main = int(min(left, PASSES * data.photos) / BATCH)
    if main < LEAST_ITERATIONS:
        least = LEAST_ITERATIONS * BATCH / rate / 3600 / (1 - WARM_UP_SHARE - VALIDATION_SHARE)
        if left <= PASSES * data.photos:
            raise InputError(
                f"--hours {hours:g} is too little at {speed.crops_per_second:.2g} crops of {CROP_PX} px a second, "
                f"{speed.source}; give {math.ceil(100 * least) / 100:g} or more"
            )
        main = LEAST_ITERATIONS
    spent = VALIDATIONS * VALIDATED * validated + (features + HEAD * BATCH * warm_up if warm_up else 0) + BATCH * main
    return Plan(warm_up, main, validated, spent / rate / 3600)


def _feature_bytes(data: OwnData) -> int:
    return 2 * 512 * ((crop_side(data) + 7) // 8) ** 2


def class_weights(data: OwnData) -> list[int] | None:
    """2 for classes whose frequency is below a third of the median, 1 for others; None where all are alike."""
    shown = data.pixels[data.pixels > 0]
    weights = [2 if 0 < pixels < np.median(shown) / 3 else 1 for pixels in data.pixels]
    return weights if 2 in weights else None


def write_recipe(data: OwnData, speed: Speed, hours: float) -> str:
    """Write a recipe as YAML with comments, for ``--data`` the data set's own folder.

    Raises:
        InputError: the hours are too few for anything.
    """
    plan, crop_px, weights = make_plan(data, speed, hours), crop_side(data), class_weights(data)
    names, never = data.label_set.names, [n for n, p in zip(data.label_set.names, data.pixels, strict=True) if not p]
    sides = [max(size) for size in data.learnt.sizes]
    lines = [
        f"# {_shown(data.root.resolve().name)}: {data.photos:,} photos to learn from, {data.held_out:,} held out, "
        f"{len(names)} classes ({_some(names)}).",
        f"# Some {duration_in_words(plan.hours)} at {speed.crops_per_second:.2g} crops of {CROP_PX} px a second, "
        f"{speed.source}.",
        f"#   deeplab train THIS-FILE --data {_shown(data.root)} --weights {WEIGHTS}",
        f"name: {json.dumps(_run_name(data), ensure_ascii=False)}",
        "# The shipped network knows VOC's classes: its layers are kept, but for the last, which learns yours.",
        "variant: largefov",
        "start: other_labels",
        *_data_lines(data, plan),
        *_size_lines(crop_px, sides),
    ]
    if weights is not None:
        rare = [name for name, weight in zip(names, weights, strict=True) if weight == 2]
        lines += [
            f"# Rare, so they count twice in the loss: {_some(rare)}.",
            f"class_weights: {json.dumps(weights)}",
        ]
    if never:
        lines.append(f"# No photo to learn from shows {_some(never)}: never found therefore.")
    if data.spoilt:
        lines += [
            f"# {data.spoilt:,} of the photos cannot be used; `deeplab check-data` names them. They are left out.",
            "skip_bad_photos: true",
        ]
    lines += _stage_lines(data, plan, speed)
    return "\n".join(lines) + "\n"


def _data_lines(data: OwnData, plan: Plan) -> list[str]:
    reader = data.report.reader
    lines = [
        f"# Paths are below --data. The folder has layout {reader!r}.",
        "data:",
        f"  - {{reader: {reader}, path: ., split: {json.dumps(data.train)}}}",
    ]
    if not data.validation:
        return [*lines, "# Nothing is held out, so nothing tells how good it gets: add photos, or a split 'val'."]
    if data.validation.startswith("test"):
        lines.append("# There is no 'val', so the test set chooses the best network, and its scores come out too good.")
    some = f", photos: {plan.validated}, evenly: true" if plan.validated < data.held_out else ""
    lines += [
        f"# Scored {VALIDATIONS} times, without the CRF; the best network is kept as best.safetensors.",
        f"validation: {{reader: {reader}, path: ., split: {json.dumps(data.validation)}{some}}}",
        f"validate_every: {max(1, math.ceil(plan.main / VALIDATIONS))}",
    ]
    if any(finding.kind == "leak" for finding in data.report.findings):
        lines.insert(
            -2, "# Some photos are in both under two names (`deeplab check-data`), so scores come out too good."
        )
    return lines


def _size_lines(crop_px: int, sides: list[int]) -> list[str]:
    lines = [
        f"# Crops of {crop_px} px: "
        + ("what the shipped network learnt on." if crop_px == CROP_PX else "no larger than the photos.")
    ]
    if max(sides) > MAX_SIDE_PX:
        lines.insert(
            0,
            f"# Photos of up to {max(sides):,} px are seen at {MAX_SIDE_PX}; for small things say max_side_px: 1025, "
            "and wait longer.",
        )
    return [*lines, f"crop_px: {crop_px}"]


def _stage_lines(data: OwnData, plan: Plan, speed: Speed) -> list[str]:
    lines = []
    if plan.warm_up:
        lines += [
            f"# First fc6 to fc8 alone, on stored features of one crop of each photo, which costs {HEAD:g} of a step "
            "end to end.",
            "warm_up:",
            "  crops_per_photo: 1",
            *(f"  {line}" for line in _solver_lines(plan.warm_up, 0.0001, 5)),
        ]
    crops = plan.main * BATCH
    passes = f"{crops:,} crops, {crops / data.photos:.3g} for each photo"
    limit = "; more would learn them by heart" if crops + BATCH > PASSES * data.photos else ""
    return [
        *lines,
        f"# Then end to end, {passes}{limit}. conv1 to conv3 know edges and textures, and stay as they are.",
        *_solver_lines(plan.main, 0.00004, 5 if plan.warm_up else 10, f"  frozen: [{', '.join(FROZEN)}]"),
        f"precision: {speed.precision}  # the faster one here" if speed.precision != "bf16" else "precision: bf16",
    ]


def _solver_lines(iterations: int, rate: float, classifier_rate: int, *more: str) -> list[str]:
    return [
        "solver:",
        "  method: adamw",
        "  schedule: poly",
        f"  iterations: {iterations}",
        f"  batch: {BATCH}",
        f"  micro_batch: {PART}  # crops in memory at a time, some 0.1 GB each",
        f"  learning_rate: {rate:.5f}",
        f"  classifier_rate: {classifier_rate}",
        "  bias_rate: 1",
        *more,
    ]


def duration_in_words(hours: float) -> str:
    """Return hours as people say them: ``40 minutes``, ``1.5 hours``."""
    minutes = round(60 * hours)
    return f"{max(minutes, 1)} minute{'' if minutes <= 1 else 's'}" if minutes < 90 else f"{hours:.3g} hours"


def _run_name(data: OwnData) -> str:
    name = data.root.resolve().name
    return name[:LONGEST_NAME] if name.isprintable() and name not in ("", "state", "best") else "own"


def _some(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(_shown, names[:8])) + (f" … and {len(names) - 8} more" if len(names) > 8 else "")


def _shown(name: object) -> str:
    """A name in a comment: on one line, whatever it is."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())[:80]
