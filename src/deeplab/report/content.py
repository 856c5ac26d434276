"""A report's content: figures in 0–1, times in seconds or milliseconds as their names tell, pictures by their paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

__all__ = [
    "CRF", "Accuracy", "ByPhoto", "Comparison", "Data", "Estimate", "Evaluation", "Example", "Figure", "Gain", "Labels",
    "Machine", "MapStep", "MeanField", "Model", "Network", "Outcome", "Published", "Recipe", "Report", "Search",
    "Speed", "read",
]  # fmt: skip

_T = TypeVar("_T")

Estimate = tuple[float | None, float | None, float | None]
"""A figure and the ends of its 95 % interval; None where there is none."""


@dataclass(frozen=True)
class Labels:
    """Names and colours (R, G, B) of labels; there may be more colours than names."""

    names: tuple[str, ...]
    palette: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Data:
    """Which photos were worked on; `available_photos` is how many the test split has."""

    search_split: str
    search_photos: int
    test_split: str
    test_photos: int
    available_photos: int
    trimap_around: str


@dataclass(frozen=True)
class Figure:
    """A figure with its interval, the published one, and how far ours is ahead."""

    value: float | None
    low: float | None
    high: float | None
    published: float | None
    difference: float | None


@dataclass(frozen=True)
class Accuracy:
    """A row of table 1: one network and way of labelling, its figures by measure."""

    network: str
    title: str
    way: str
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Comparison:
    """How far one network's mean IoU is ahead of another's on the same photos."""

    network: str
    over: str
    way: str
    mean_iou: Estimate


@dataclass(frozen=True)
class Model:
    """A network's file, where it came from, and its card."""

    name: str
    file: str
    bytes: int
    sha256: str
    origin: str
    card: dict[str, Any]


@dataclass(frozen=True)
class Speed:
    """Medians over some photos, one at a time, and how many photos a second training took."""

    network_ms: float
    crf_ms: float
    photos: int
    threads: int
    sizes: tuple[str, ...]
    training_images_per_second: float | None
    published_training_images_per_second: float | None


@dataclass(frozen=True)
class Recipe:
    """A training recipe's file and its text."""

    file: str
    text: str


@dataclass(frozen=True)
class CRF:
    """`deeplab.crf.CRFSettings`, in numbers."""

    params: dict[str, float]
    iterations: int
    normalization: str


@dataclass(frozen=True)
class Search:
    """What the search for the CRF's parameters found, its objective there, and what it took."""

    photos: tuple[str, ...]
    crf: CRF
    best: Estimate
    gain: Estimate
    trials: tuple[dict[str, Any], ...]
    runs: int
    seconds: float
    threads: int
    heat_map: str


@dataclass(frozen=True)
class Outcome:
    """A way of labelling: its mean IoU, intervals by measure, IoU by class, confusion, and figures in bands 1 … px."""

    mean_iou: float | None
    intervals: dict[str, tuple[float | None, float | None]]
    iou: dict[str, float | None]
    confusion: tuple[tuple[int, ...], ...]
    trimap: dict[str, tuple[Estimate, ...]]


@dataclass(frozen=True)
class Gain:
    """What the CRF adds, over all and by class."""

    mean_iou: Estimate
    pixel_accuracy: Estimate
    iou: dict[str, Estimate]


@dataclass(frozen=True)
class ByPhoto:
    """Each photo's own mean IoU, by way of labelling."""

    names: tuple[str, ...]
    mean_iou: dict[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Evaluation:
    """A network's figures, by way of labelling, and what the CRF adds to them."""

    results: dict[str, Outcome]
    gain: Gain
    trimap_gain: dict[str, tuple[Estimate, ...]]
    by_photo: ByPhoto


@dataclass(frozen=True)
class Example:
    """A photo before and after the CRF: its mean IoU there, width and height in px, and pictures by what they show."""

    name: str
    kind: str
    mean_iou: tuple[float | None, ...]
    size: tuple[int, ...]
    images: dict[str, str]


@dataclass(frozen=True)
class MapStep:
    """The pictures of a class's score and belief after so many updates."""

    updates: int
    score: str
    belief: str


@dataclass(frozen=True)
class MeanField:
    """A class's maps in one photo as mean field runs."""

    name: str
    label: str
    steps: tuple[MapStep, ...]


@dataclass(frozen=True)
class Network:
    """All that is said of one network; `seconds` by step."""

    name: str
    title: str
    model: Model
    parameters: int
    field_of_view_px: int | None
    speed: Speed
    recipe: Recipe | None
    deviations: tuple[str, ...]
    search: Search
    evaluation: Evaluation
    gallery: tuple[Example, ...]
    mean_field: MeanField
    seconds: dict[str, float]


@dataclass(frozen=True)
class Published:
    """What a publication says of one network, in percent by measure."""

    title: str
    way: str
    percent: dict[str, float]
    source: str


@dataclass(frozen=True)
class Machine:
    """What it ran on."""

    processor: str
    cores: int
    system: str
    memory_gb: int | None = None


@dataclass(frozen=True)
class Report:
    """All of it."""

    benchmark: str
    title: str
    quick: bool
    made: str
    label_set: Labels
    changes: Labels
    data: Data
    seed: int
    crf_search: str
    resamples: int
    deviations: tuple[str, ...]
    table1: tuple[Accuracy, ...]
    compared: tuple[Comparison, ...]
    networks: tuple[Network, ...]
    published: tuple[Published, ...]
    machine: Machine
    versions: dict[str, str]
    format: int = 1


def read(kind: type[_T], values: Any) -> _T:
    """Return JSON values as one of these classes; what the class has no place for is left out.

    Raises:
        KeyError: something is missing.
    """
    result: _T = _read(kind, values)
    return result


def _read(kind: Any, values: Any) -> Any:
    parts = get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        types = get_type_hints(kind)
        names = [field.name for field in fields(kind) if field.name in values or field.default is MISSING]
        return kind(**{name: _read(types[name], values[name]) for name in names})
    if get_origin(kind) is tuple:
        return tuple(_read(parts[0], item) for item in values)
    if get_origin(kind) is dict:
        return {key: _read(parts[1], item) for key, item in values.items()}
    if type(None) in parts and isinstance(values, Mapping):
        return _read(parts[0], values)
    return values
