"""Recipes: everything a training run depends on, checked key by key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from deeplab.checks import MOST, check_count
from deeplab.crf import CRFSettings
from deeplab.data.augment import Augment
from deeplab.errors import InputError, quoted
from deeplab.network.variants import Variant, find_variant
from deeplab.training.schema import build
from deeplab.training.source import Source
from deeplab.training.weak.settings import ESTIMATED, STROKES, WeakLabels

MOST_STEPS = 1_000_000_000
LARGEST_CROP_PX = 8193
LONGEST_NAME = 100
RESERVED = ("", "..", "state", "best")


@dataclass(frozen=True)
class Solver:
    """How weights move. The defaults are the authors' settings (section 5 of the paper and their solver files).

    Attributes:
        iterations: number of updates.
        batch: photos an update; `micro_batch` of them are in memory at a time, in each process.
        method: ``"caffe_sgd"`` (momentum with the rate inside the history) or ``"adamw"``.
        schedule: ``"step"`` (times `gamma` every `step_iterations`) or ``"poly"`` ((1 - t/T) ** `power`).
        classifier_rate, bias_rate: learning-rate multipliers of the last layers and of biases. Biases never decay.
        layer_rates: multipliers of layers by the beginnings of their names, in place of `classifier_rate`.
        frozen: beginnings of the names of layers that stay as they are, e.g. ``conv1``.
        loss: ``"mean"`` over the batch's valid positions (the authors' code) or their ``"sum"`` (the paper's text).
        every_cell: 1 scores every cell of a crop; 2 every second of every second row, which ones by chance for each
            part of a batch: fc6 to fc8 then cost a quarter, and neighbouring cells say much the same. Without MSc.
        average: the network becomes the exponential moving average of its weights, each update's with the share
            1 − `average`: 0.99 reaches over some hundred updates. 0: it is as the last update left it.
    """

    iterations: int = 6000
    batch: int = 20
    micro_batch: int = 5
    method: Literal["caffe_sgd", "adamw"] = "caffe_sgd"
    learning_rate: float = 0.001
    schedule: Literal["step", "poly"] = "step"
    step_iterations: int = 2000
    gamma: float = 0.1
    power: float = 0.9
    momentum: float = 0.9
    weight_decay: float = 0.0005
    classifier_rate: float = 10.0
    bias_rate: float = 2.0
    layer_rates: dict[str, float] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    loss: Literal["mean", "sum"] = "mean"
    every_cell: int = 1
    average: float = 0.0

    def __post_init__(self) -> None:
        for name in ("iterations", "batch", "micro_batch", "step_iterations", "every_cell"):
            check_count(getattr(self, name), 1, name, most=MOST_STEPS if "iterations" in name else MOST)
        numbers = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        numbers |= {f"layer_rates.{layer}": rate for layer, rate in self.layer_rates.items()}
        for name, value in numbers.items():
            if isinstance(value, float) and not 0 <= value < math.inf:
                raise InputError(f"{name} must be a finite number, 0 or more, got {value}")
        if self.average >= 1:
            raise InputError(f"average must be below 1, e.g. 0.99, or 0 for none, got {self.average}")
        if self.batch % self.micro_batch:
            raise InputError(f"batch must be a multiple of micro_batch, got {self.batch} and {self.micro_batch}")


@dataclass(frozen=True)
class WarmUp:
    """Training of fc6 to fc8 alone on stored trunk features, before the network proper: a deviation from the paper.

    It stands in for the ImageNet weights of fc6 and fc7 where a source has none.

    Attributes:
        solver: how the head's weights move.
        crops_per_photo: how many random crops of each photo go through the trunk.
    """

    solver: Solver
    crops_per_photo: int = 1

    def __post_init__(self) -> None:
        check_count(self.crops_per_photo, 1, "crops_per_photo")


@dataclass(frozen=True)
class JointCRF:
    """Training of the CRF with the network, in the main stage (Zheng et al. 2015, section 5).

    It starts from the CRF of the weights' model file, whose parameters were searched.

    Attributes:
        iterations: mean field updates in training.
        test_iterations: in validation, and in the model file.
        learn: what of the CRF does: ``weights`` of each label, ``compatibility`` of each pair of labels, ``stds``.
            With none of them the network learns to work with the CRF as it is.
        rate: learning-rate multiplier of these; `Solver.layer_rates` may have others, for ``crf.compatibility``, say.
        params: parameters of `deeplab.crf.CRFParams` to start from in place of the model file's, by name.
    """

    iterations: int = 5
    test_iterations: int = 10
    learn: tuple[Literal["weights", "compatibility", "stds"], ...] = ("weights", "compatibility", "stds")
    rate: float = 100.0
    params: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        CRFSettings(iterations=self.iterations).changed(self.params)
        CRFSettings(iterations=self.test_iterations)
        if not 0 <= self.rate < math.inf:
            raise InputError(f"crf.rate must be a finite number, 0 or more, got {self.rate}")


@dataclass(frozen=True)
class Recipe:
    """A training run, whole.

    Attributes:
        name: of the run and of the model it makes; it becomes a file's name.
        variant: a name in `deeplab.network.variants.VARIANTS`, or ``"fcn8s"``.
        data: the training photos, all alike in their label set.
        solver: the main stage.
        warm_up: the stage before it, or None.
        crf: train the CRF with the network in the main stage; None: the network alone.
        weak: numbers of the methods for weak labels, where sources have them.
        start: what weights the run begins with: ``"imagenet"``, published ones of VGG-16; ``"checkpoint"``, a network
            of `deeplab train` over the same labels, the same variant or the base of an MSc one; ``"other_labels"``,
            such a network over other labels, its classifiers fresh; ``"trunk"``, conv1 to conv5 of any network of
            `deeplab train`, all else fresh.
        validation: photos scored without CRF while training, or None.
        validate_every: iterations between validations; 0 for the end of a stage only.
        validate_at: further iterations of each stage to validate after; 0 is before the first.
        pooling: ``"caffe"``, the authors' configuration of the variant, or ``"paper"``, plain VGG pools.
        channels: which channels of a source's wider fc6 and fc7 are kept: ``"even"``, every (wide / narrow)-th, or
            ``"random"``, drawn with `seed`. The paper does not say which ones its authors kept.
        fc_channels: channels of fc6 and fc7; 0 for the variant's own, anything else is a deviation.
        strided_msc: MSc branches stay strided at test, as the paper describes; else dense there, as its authors ran it.
        input_zoom: the network's image is so many times larger than the photo, which `crop_px` is measured on: 1 in the
            paper, or 2 or 4 for things thinner than 8 pixels.
        max_side_px: the longest side of a photo as the network sees it, in training and in use: larger photos are
            shrunk to it before crops are cut. 0: as the weights that the run starts from, 513 for ImageNet's.
        photo_scale: part of that size at which the network is shown every photo, 0.1–1: its cost falls with the square.
            0: as the weights that the run starts from.
        crop_px: side of the training crops, 8n + 1 (306 for the base network); 4n + 1 where `input_zoom` is 2.
        augment: variation of photos beyond the paper's, none by default.
        sampling: ``"shuffled"`` passes over all photos, or ``"class_balanced"``: a class is drawn, then a photo of it.
        class_weights: of the loss: ``"even"``, ``"median_frequency"``, or a number for each class in order.
        shared_photos: photos may be in both `data` and `validation`, whose figures then say little.
        skip_bad_photos: leave out photos and masks that cannot be read, each named, instead of stopping.
        precision: ``"bf16"`` or ``"fp16"`` (autocast; weights stay float32) or ``"fp32"``.
        seed: of initialisation, channels drawn, order, crops and dropout.
    """

    name: str
    variant: str
    data: tuple[Source, ...]
    solver: Solver
    warm_up: WarmUp | None = None
    crf: JointCRF | None = None
    weak: WeakLabels = field(default_factory=WeakLabels)
    start: Literal["imagenet", "checkpoint", "other_labels", "trunk"] = "imagenet"
    validation: Source | None = None
    validate_every: int = 0
    validate_at: tuple[int, ...] = ()
    pooling: Literal["caffe", "paper"] = "caffe"
    channels: Literal["even", "random"] = "even"
    fc_channels: int = 0
    strided_msc: bool = False
    input_zoom: int = 1
    max_side_px: int = 0
    photo_scale: float = 0.0
    crop_px: int = 321
    augment: Augment = field(default_factory=Augment)
    sampling: Literal["shuffled", "class_balanced"] = "shuffled"
    class_weights: Literal["even", "median_frequency"] | tuple[float, ...] = "even"
    shared_photos: bool = False
    skip_bad_photos: bool = False
    precision: Literal["bf16", "fp16", "fp32"] = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        if Path(self.name).name != self.name or self.name in RESERVED or not self.name.isprintable():
            raise InputError(
                f"name must be a file's name without a folder, not 'state' or 'best', got {quoted(self.name)}"
            )
        if len(self.name) > LONGEST_NAME:
            raise InputError(f"name has {len(self.name)} letters; expected at most {LONGEST_NAME}: it names files")
        check_count(self.seed, 0, "seed", most=2**63 - 1)
        if self.validate_every < 0 or min(self.validate_at, default=0) < 0:
            raise InputError(
                f"validate_every must be 0 (the end of a stage only) or more, and validate_at likewise, "
                f"got {self.validate_every} and {list(self.validate_at)}"
            )
        if not self.data:
            raise InputError("a recipe needs at least one source of data")
        check_count(self.fc_channels, 0, "fc_channels (0: the variant's own)", most=65_536)
        check_count(self.max_side_px, 0, "max_side_px (0: that of the weights in training)")
        if self.photo_scale and not 0.1 <= self.photo_scale <= 1:
            raise InputError(
                f"photo_scale must be 0 (that of the weights in training) or 0.1–1, got {self.photo_scale}"
            )
        network = self.network
        if self.strided_msc and not network.msc:
            raise InputError(f"strided_msc is for MSc networks; {network.title} has none: leave it out")
        if network.skips and self.warm_up is not None:
            raise InputError(f"warm_up trains on features of stride 8, which {network.title} lacks: leave it out")
        if self.class_weights not in ("even", "median_frequency") and not _are_weights(self.class_weights):
            raise InputError(f"class_weights must be finite, 0 or more, and not all 0, got {list(self.class_weights)}")
        self._check_cells(network)
        self._check_crf(network)
        self._check_weak(network)
        stride = 8 // network.input_zoom
        cells = math.ceil(self.crop_px / stride)
        fits = network.skips or network.score_map_size(self.crop_px, training=True) == cells
        check_count(self.crop_px, 9, "crop_px", most=LARGEST_CROP_PX)
        if not fits:
            raise InputError(
                f"crop_px {self.crop_px} does not fit the score map of {network.title}; "
                f"give {stride}n + 1, such as {stride * max(cells - 1, 1) + 1}"
            )

    def _check_cells(self, network: Variant) -> None:
        for solver in (self.solver, *([self.warm_up.solver] if self.warm_up else [])):
            step = solver.every_cell
            if step > 1 and (network.msc or network.skips):
                raise InputError(f"every_cell is for single-scale networks, which {network.title} is not: leave it out")
            if network.fc6_dilation % step or network.fc6_padding % step:
                raise InputError(
                    f"every_cell {step} divides not both hole ({network.fc6_dilation}) and padding "
                    f"({network.fc6_padding}) of {network.title}'s fc6; give 2, or leave it out"
                )

    def _check_crf(self, network: Variant) -> None:
        if self.crf is None:
            return
        if self.start != "checkpoint":
            raise InputError(
                f"crf trains a trained network together with the CRF, from start: checkpoint, got {self.start}: train "
                "the network first"
            )
        stride = network.label_stride
        if network.skips or self.solver.every_cell > 1 or (self.crop_px - 1) % stride:
            raise InputError(
                "crf needs scores at the corners of every crop: no FCN-8s, every_cell 1, and a crop_px of "
                f"{stride}n + 1; got {network.title}, {self.solver.every_cell} and {self.crop_px}"
            )

    def _check_weak(self, network: Variant) -> None:
        ways = {source.way for source in self.data}
        if self.validation is not None and self.validation.labels != "masks":
            raise InputError(f"validation needs masks, got labels: {self.validation.labels}")
        shares = [source.share for source in self.data]
        if any(shares) and (not all(shares) or sum(shares) != self.solver.batch):
            raise InputError(f"give every source a share, {self.solver.batch} in all like solver.batch; got {shares}")
        if any(shares) and self.sampling != "shuffled":
            raise InputError(f"shares go with sampling: shuffled, got {self.sampling}: leave one of them out")
        if ways & {STROKES, *ESTIMATED} and self.crf is not None:
            raise InputError("crf trains on masks and on boxes made masks; leave it out where labels are weaker")
        if ways & set(ESTIMATED) and (self.goes_by_counts or self.warm_up is not None or self.skip_bad_photos):
            raise InputError(
                f"labels by {', '.join(sorted(ways & set(ESTIMATED)))} are estimated photo by photo in the main stage: "
                "leave out warm_up, class_balanced, median_frequency, copy_paste and skip_bad_photos"
            )
        aligned = not network.skips and self.solver.every_cell == 1 and (self.crop_px - 1) % network.label_stride == 0
        if STROKES in ways and self.weak.crf_loss and not aligned:
            raise InputError(
                "the CRF loss on strokes needs scores at the corners of every crop: no FCN-8s, every_cell 1, and a "
                f"crop_px of {network.label_stride}n + 1; or weak: {{crf_loss: 0}}"
            )
        if STROKES in ways and (self.skip_bad_photos or self.augment.copy_paste):
            raise InputError(
                "strokes go photo by photo and are no whole things: leave out skip_bad_photos and copy_paste"
            )

    @property
    def network(self) -> Variant:
        """The network to train."""
        variant = find_variant(self.variant)
        if self.pooling == "paper":
            variant = variant.with_paper_pooling()
        channels = self.fc_channels or variant.fc_channels
        return replace(variant, strided_msc=self.strided_msc, input_zoom=self.input_zoom, fc_channels=channels)

    @property
    def goes_by_counts(self) -> bool:
        """Whether training depends on how often each class occurs."""
        pasted = self.augment.copy_paste > 0
        return pasted or self.sampling == "class_balanced" or self.class_weights == "median_frequency"

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values, for checkpoints and model cards."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Recipe:
        """Build a recipe from what `to_dict` gave; keys that older versions lacked get their defaults.

        Raises:
            InputError: a key is unknown or missing, or a value has the wrong type or is out of range.
        """
        recipe: Recipe = build(cls, content, "recipe")
        return recipe


def _are_weights(weights: Any) -> bool:
    return all(0 <= weight < math.inf for weight in weights) and any(weights)
