"""The teacher: classes of one's own, from a few strokes or boxes on a few photos."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings
from deeplab.errors import InputError
from deeplab.files import atomic_file, check_output, sha256_of
from deeplab.images import Photo, read_image
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.models import TAUGHT, ModelInfo, find_model
from deeplab.segmentation import Segmentation
from deeplab.teach.classifier import fit
from deeplab.teach.features import FeatureNetwork, Features, FeatureStore
from deeplab.teach.held import HeldCRF
from deeplab.teach.marks import Box, Mark, Mask, Stroke, checked, draw, labels_of
from deeplab.teach.onnx_file import STRIDE
from deeplab.teach.places import Places, places_of, thinned

_MOST_PLACES = 2048  # that the classifier is fitted to
_MOST_STEPS = 1000  # that can be undone
_IMPOSSIBLE = np.float32(-1e4)  # a score; softmax makes zero of it

_MOST_FITS = 16  # that are kept, for undoing and redoing

_State: TypeAlias = Mapping[str, tuple[Mark, ...]]
_Classifier: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]  # weight (L, D) and bias (L,)


class _Known(NamedTuple):
    """A photo that was given: a hash of its file or pixels, its size, and what the network saw of it, (H, W)."""

    content: str
    size: tuple[int, int]
    seen: tuple[int, int]


class Teacher:
    """Learns classes from marks on photos, and segments any photo by them.

    >>> teacher = Teacher(["background", "cup", "spoon"])
    >>> teacher.mark("examples/coffee.jpg", [Box("cup", 165, 10, 420, 310), Stroke("spoon", [(352, 270), (375, 290)])])
    >>> list(teacher.segment("examples/coffee.jpg").shares())
    ['background', 'cup', 'spoon']
    >>> teacher.save("cups.onnx")

    A photo is a path, a PIL image or an array, as `deeplab.images.read_image` takes it; an image or array is known by
    its pixels. Its features come from a model's trunk; they are computed when it is first given, and kept on disk, so
    that further marks take a fraction of a second. In the photo itself marks hold: the CRF may not change them. Not for
    several threads at once.

    Attributes:
        label_set: the classes.
    """

    def __init__(
        self,
        classes: Sequence[str] | LabelSet,
        model: str | os.PathLike[str] | None = None,
        *,
        cache: str | os.PathLike[str] | None = None,
        crf: CRFSettings = CRFSettings(),  # noqa: B008 (frozen)
        threads: int | None = None,
    ) -> None:
        """Load the trunk.

        Args:
            classes: their names, two or more; with one called ``background``, boxes do without strokes around them.
            model: whose trunk gives the features: a shipped model's name or an int8 model file; None: `DEFAULT_MODEL`.
            cache: a folder that keeps photos' features, at most 7 MB for each, for other teachers too; None: one that
                goes with the teacher.
            crf: how the CRF runs, its distances in pixels of what the network sees.
            threads: at most this many; None: as many as the environment variable DEEPLAB_THREADS says, or one per core.

        Raises:
            InputError: the classes are fewer than two, or no names.
            ModelError: there is no such model, or it has no int8 trunk.
            OutputError: the folder for the features cannot be made.
        """
        self.label_set = _label_set(classes)
        self._network = FeatureNetwork(find_model(model), threads=threads)
        self._store = FeatureStore(self._network, cache)
        self._crf, self._threads = crf, threads
        self._state: _State = {}
        self._past: list[_State] = []
        self._future: list[_State] = []
        self._known: dict[str, _Known] = {}
        self._sums: dict[
            str, NDArray[np.float32]
        ] = {}  # by content: of the features and of their squares, mean of cells
        self._places: dict[tuple[str, tuple[Mark, ...]], Places] = {}
        self._fits: dict[tuple[Any, ...], _Classifier] = {}  # by marks, the latest at the end
        self._last: tuple[str, NDArray[np.uint8]] | None = None  # a photo's content and pixels
        self._held = HeldCRF(threads)

    def mark(self, photo: Photo, marks: Stroke | Box | Sequence[Stroke | Box] | NDArray[np.integer[Any]]) -> None:
        """Add marks to a photo. Where they contradict earlier ones, the later stroke or mask counts.

        Args:
            photo: the photo.
            marks: strokes and boxes in pixels of the photo, or a mask (H, W) of labels, void (255) where unknown.

        Raises:
            ImageError, InputError: the photo or a mark is unusable, or the photo's file was replaced since it was
                marked; then nothing is added.
        """
        name, known = self._get(photo)
        given = checked(marks, known.size, self.label_set)
        if given:
            self._step(name, (*self._state.get(name, ()), *given))

    def replace(self, photo: Photo, marks: Stroke | Box | Sequence[Mark] | NDArray[np.integer[Any]]) -> None:
        """Put marks in the place of all that a photo has; an empty list removes them. Errors as of `mark`."""
        name, known = self._get(photo, anew=True)
        self._step(name, checked(marks, known.size, self.label_set))

    def marks(self, photo: Photo) -> tuple[Mark, ...]:
        """Return a photo's marks, the earliest first, their labels as numbers."""
        return self._state.get(self._get(photo)[0], ())

    def rename(self, classes: Sequence[str] | LabelSet) -> None:
        """Give the classes other names or colours, or further ones after them; marks keep their numbers.

        Raises:
            InputError: they are fewer than before, or no names.
        """
        label_set = _label_set(classes)
        if len(label_set) < len(self.label_set):
            raise InputError(
                f"there are {len(label_set)} names for {len(self.label_set)} classes; expected one for each, or more"
            )
        self.label_set = label_set
        self._fits, self._places = {}, {}

    def undo(self) -> bool:
        """Take back the last `mark` or `replace`, whichever photo it was on; False where there is none."""
        return self._travel(self._past, self._future)

    def redo(self) -> bool:
        """Do again what `undo` took back last; False where there is nothing."""
        return self._travel(self._future, self._past)

    def segment(
        self, photo: Photo, crf: bool | CRFSettings = True, *, at: NDArray[np.uint8] | None = None
    ) -> Segmentation:
        """Segment a photo, marked or not, by the classes as they are taught so far.

        Its own marks hold in it. Where it has boxes, other classes than those marked in it are left out.

        Args:
            photo: the photo.
            crf: whether to refine by the CRF as the teacher has it; or how else.
            at: the photo at another size, (H, W, 3) uint8 RGB, to segment by what is seen in `photo`; None: the photo.

        Returns:
            labels, confidence and probabilities of the photo's size, or that of `at`.

        Raises:
            ImageError, InputError: the photo is unusable, or fewer than two classes are marked yet.
            ModelError: the network fails.
            MemoryError: the photo does not fit in memory.
        """
        name, known = self._get(photo)
        look, marks = self._look(photo, name, known), self._state.get(name, ())
        settings = self._crf if crf is True else crf or None
        return self._held.segment(
            look if at is None else look.at(at),
            known.content,
            lambda size: draw(marks, known.size, self.label_set, size),
            settings,
            loudness=0,
        )

    def look(self, photo: Photo) -> Look:
        """Return what the classifier, as it is taught so far, sees in a photo, before the CRF and without marks.

        Errors as of `segment`.
        """
        return self._look(photo, *self._get(photo))

    def _look(self, photo: Photo, name: str, known: _Known) -> Look:
        weight, bias = self._fitted()
        cells = self._features(known).cells
        scores = np.ascontiguousarray((cells.reshape(-1, cells.shape[2]) @ weight.T + bias).T)
        marks = self._state.get(name, ())
        if any(isinstance(mark, Box) for mark in marks):
            others = set(range(len(self.label_set))) - labels_of(marks, self.label_set)
            scores[sorted(others)] = _IMPOSSIBLE
        pixels = self._pixels(photo, known.content)
        return Look(pixels, scores.reshape(-1, *cells.shape[:2]), known.seen, self._info("taught"), self._threads)

    def save(self, path: str | os.PathLike[str], *, name: str | None = None, overwrite: bool = False) -> None:
        """Write a model file, which `deeplab.Segmenter` and all commands take; its card says what it was taught on.

        Args:
            path: the file, ``….onnx``.
            name: what the model calls itself; None: the file's name.
            overwrite: replace an existing file.

        Raises:
            InputError: the name does not end in ``.onnx``, or fewer than two classes are marked yet.
            ModelError: the trunk's file was replaced.
            OutputError: the file exists, or cannot be written.
        """
        path = Path(path)
        if path.suffix != ".onnx":
            raise InputError(f"{path} is no name of a model file; expected one that ends in .onnx")
        check_output(path, overwrite=overwrite)
        content = self._network.taught(*self._fitted(), self._info(name or path.stem).to_json())
        with atomic_file(path, overwrite=overwrite) as file:
            file.write(content)

    def _get(self, photo: Photo, *, anew: bool = False) -> tuple[str, _Known]:
        """Return a photo's name and what is known of it, computing its features where they are new.

        With `anew` a file that was replaced since it was marked is taken as it is now.
        """
        if isinstance(photo, str | os.PathLike):
            name, content = str(Path(photo).resolve()), sha256_of(photo)
        else:
            pixels = read_image(photo)
            content = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
            name, self._last = content, (content, pixels)
        known = self._known.get(name)
        if known is not None and known.content == content:
            return name, known
        if known is not None and self._state.get(name) and not anew:
            raise InputError(
                f"{photo} was replaced since it was marked; mark it anew: Teacher.replace(photo, marks) takes it as "
                "it is now"
            )
        pixels = self._pixels(photo, content)
        features = self._store.add(content, pixels)
        cells = features.cells.reshape(-1, features.cells.shape[2]).astype(np.float32)
        self._sums[content] = np.stack([cells.mean(axis=0), (cells**2).mean(axis=0)])
        self._known[name] = _Known(content, pixels.shape[:2], features.seen)
        return name, self._known[name]

    def _pixels(self, photo: Photo, content: str) -> NDArray[np.uint8]:
        """Return a photo's pixels; the last one's are kept, for whoever draws stroke after stroke."""
        if self._last is None or self._last[0] != content:
            self._last = content, read_image(photo)
        return self._last[1]

    def _features(self, known: _Known) -> Features:
        return self._store.of(known.content, known.seen)

    def _step(self, name: str, marks: tuple[Mark, ...]) -> None:
        self._past = [*self._past[-_MOST_STEPS + 1 :], self._state]
        self._future = []
        self._state = {**self._state, name: marks}

    def _travel(self, source: list[_State], target: list[_State]) -> bool:
        if not source:
            return False
        target.append(self._state)
        self._state = source.pop()
        return True

    def _fitted(self) -> _Classifier:
        """Return the classifier, fitted anew where marks have changed; what was fitted last is where that begins."""
        key = tuple(sorted((name, marks) for name, marks in self._state.items() if marks))
        if key not in self._fits:
            last = next(reversed(self._fits.values()), None)
            self._fits[key] = self._fit(last)
            if len(self._fits) > _MOST_FITS:
                del self._fits[next(iter(self._fits))]
        return self._fits[key]

    def _fit(self, start: _Classifier | None) -> _Classifier:
        names = [name for name, marks in self._state.items() if marks]
        places = {name: self._marked(name) for name in names}
        groups = [label for found in places.values() for label in np.unique(found.labels).tolist()]
        if len(set(groups)) < 2:
            marked = f"all marks are of {self.label_set.names[groups[0]]!r}" if groups else "nothing is marked yet"
            raise InputError(f"{marked}; mark something of another class, too, such as what lies around it")
        most = max(1, _MOST_PLACES // len(groups))
        rows, chosen = [], []
        for name, found in places.items():
            some = thinned(found.labels, most)
            rows.append(self._features(self._known[name]).at(found.y[some], found.x[some]))
            chosen.append(found.labels[some])
        mean, square = np.mean([self._sums[self._known[name].content] for name in names], axis=0)
        std = np.sqrt(np.maximum(square - mean**2, 0)) + np.float32(0.05)  # a twentieth of a step: no noise is blown up
        return fit(np.concatenate(rows), np.concatenate(chosen), len(self.label_set), mean, std, start)

    def _marked(self, name: str) -> Places:
        """Return where a photo is marked: for each cell and label one pixel, that nearest to the cell's middle."""
        key = name, self._state[name]
        if key not in self._places:
            self._places = {k: v for k, v in self._places.items() if k[0] != name}
            known = self._known[name]
            drawn = draw(key[1], known.size, self.label_set, known.seen)
            self._places[key] = places_of(drawn, self.label_set.void)
        return self._places[key]

    def _info(self, name: str) -> ModelInfo:
        trunk = self._network.info
        given = [(marks, labels_of(marks, self.label_set)) for marks in self._state.values() if marks]
        counts = {
            kind: sum(isinstance(mark, cls) for marks, _ in given for mark in marks)
            for kind, cls in (("strokes", Stroke), ("boxes", Box), ("masks", Mask))
        }
        photos = {
            label: sum(number in labels for _, labels in given) for number, label in enumerate(self.label_set.names)
        }
        card = {
            "title": f"{len(self.label_set)} classes, taught by marks on {len(given)} photos",
            "taught on": {"photos": len(given), **counts, "photos with marks of": photos},
            "trunk": {"model": trunk.name, "sha256": self._network.sha256, "layers": "conv1 to conv5"},
            "classifier": "linear, of the roots of conv1_2, conv2_2, conv3_3, conv4_3 and conv5_3",
            **{key: trunk.card[key] for key in ("licence",) if key in trunk.card},
        }
        variant = trunk.variant.removeprefix(TAUGHT)
        return replace(
            trunk,
            name=name,
            variant=TAUGHT + variant,
            label_set=self.label_set,
            output_stride=STRIDE,
            crf=self._crf,
            card=card,
        )


def _label_set(classes: Sequence[str] | LabelSet) -> LabelSet:
    label_set = classes if isinstance(classes, LabelSet) else LabelSet("taught", classes)  # type: ignore[arg-type]
    if len(label_set) < 2:
        raise InputError(f"there is one class, {label_set.names[0]!r}; expected two or more, such as background and it")
    return label_set
