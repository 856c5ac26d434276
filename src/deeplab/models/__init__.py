"""Model files: which ones are shipped, and what each says about itself.

A model file is an ONNX network that carries its labels, preprocessing, CRF parameters and model card in its metadata,
under the key ``"deeplab"``, as one JSON object. Loading it runs no code from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplab.checks import check_count, did_you_mean
from deeplab.crf import CRFSettings
from deeplab.documents import parse_json, read_json
from deeplab.errors import MALFORMED, InputError, ModelError, quoted
from deeplab.files import is_file, is_folder
from deeplab.labels import LabelSet
from deeplab.preprocessing import Preprocessing

__all__ = [
    "CHECK_PHOTOS",
    "DEFAULT_MODEL",
    "METADATA_KEY",
    "MODEL_FILE",
    "TAUGHT",
    "ModelInfo",
    "find_model",
    "read_model",
    "shipped_models",
    "shipped_record",
]

DEFAULT_MODEL = "voc-largefov"
METADATA_KEY = "deeplab"
MODEL_FILE = "model.onnx"
"""What a model file is called in a folder of its own."""

TAUGHT = "taught "
"""What the variant of a model begins with that `deeplab.teach` made; its trunk's variant follows."""

_FORMAT = 1
_COARSEST_STRIDE = 1024  # photos are padded to as much at least
_FOLDER = Path(__file__).parent

CHECK_PHOTOS = tuple(sorted((_FOLDER / "photos").glob("*.jpg")))
"""Small copies of the example photos, for `deeplab.verify`."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself.

    Attributes:
        name: the model's name, e.g. ``"voc-largefov"``.
        variant: the network's name in ``deeplab.network.variants``, e.g. ``"largefov"``; ``"taught largefov"`` where
            there is a classifier of its trunk's features in the place of the rest.
        label_set: the classes of its L score maps.
        preprocessing: what its input expects.
        output_stride: pixels from one score to the next, 1–1024.
        network: the variant's options, as `deeplab.network.variants.Variant.to_dict` gives them; empty where the file
            does not say, as those of older versions.
        crf: how the CRF runs that suits it, its standard deviations in pixels of photos up to 513 px.
        card: the model card: training data, recipe, scores, licences; free-form JSON values.

    Raises:
        InputError: the name or variant is no text, the output stride is out of range, or the CRF is one for another
            number of labels.
    """

    name: str
    variant: str
    label_set: LabelSet
    preprocessing: Preprocessing
    output_stride: int = 8
    network: Mapping[str, Any] = field(default_factory=dict)
    crf: CRFSettings = field(default_factory=CRFSettings)
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, value in (("name", self.name), ("variant", self.variant)):
            if not isinstance(value, str):
                raise InputError(f"{key} is {value!r}; expected text")
        check_count(self.output_stride, 1, "output_stride", most=_COARSEST_STRIDE)
        self.crf.params.check_labels(len(self.label_set))

    @property
    def taught(self) -> bool:
        """Whether the model is a trunk and a classifier of its features, as `deeplab.teach` makes it."""
        return self.variant.startswith(TAUGHT)

    def to_dict(self) -> dict[str, Any]:
        """Return the model file's metadata as plain JSON values."""
        return {
            "format": _FORMAT,
            "name": self.name,
            "variant": self.variant,
            "network": dict(self.network),
            "label_set": self.label_set.to_dict(),
            "preprocessing": self.preprocessing.to_dict(),
            "output_stride": self.output_stride,
            "crf": self.crf.to_dict(),
            "card": dict(self.card),
        }

    def to_json(self) -> str:
        """Return the JSON text for the model file's metadata; `from_json` is the way back."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelInfo:
        """Read a model file's metadata.

        Raises:
            ModelError: the text is no JSON object of the known format, or a field is missing or wrong.
        """
        try:
            fields = parse_json(text)
            if fields["format"] != _FORMAT:
                raise ModelError(
                    f"its metadata has format {quoted(fields['format'])}, this version reads {_FORMAT}; "
                    "update deeplab-crf"
                )
            return cls(
                name=fields["name"],
                variant=fields["variant"],
                label_set=LabelSet.from_dict(fields["label_set"]),
                preprocessing=Preprocessing.from_dict(fields["preprocessing"]),
                output_stride=fields["output_stride"],
                network=dict(fields.get("network", {})),
                crf=CRFSettings.from_dict(
                    {key: fields["crf"][key] for key in ("params", "iterations", "normalization")}
                ),
                card=dict(fields["card"]),
            )
        except KeyError as error:
            raise ModelError(f"its metadata lacks {quoted(error.args[0])}; export it again") from None
        except MALFORMED as error:
            raise ModelError(f"its metadata is damaged ({error}); export it again") from None


def shipped_models() -> dict[str, Path]:
    """Return the model files inside the package, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.onnx"))}


def shipped_record() -> dict[str, Any]:
    """Return the SHA-256 of each shipped model's file and the scores it gives, by name, for `deeplab.verify`."""
    record: dict[str, Any] = read_json(_FOLDER / "shipped.json")
    return record


def find_model(name_or_path: str | os.PathLike[str] | None = None) -> Path:
    """Return the model file that a name or path stands for.

    Args:
        name_or_path: a shipped model's name, the path of an ONNX file, or of a folder with one ONNX file in it or with
            one named ``model.onnx``; None is `DEFAULT_MODEL`. What ends in ``.onnx``, holds a slash or is a file or
            folder here is a path.

    Raises:
        ModelError: no such file, or no such name (the message lists the names and the nearest one), or the folder holds
            no model, or several.
    """
    asked = os.fspath(DEFAULT_MODEL if name_or_path is None else name_or_path)
    path, models = Path(asked), shipped_models()
    if is_folder(path):
        return _model_in(path)
    if is_file(path):
        return path
    if path.suffix == ".onnx" or len(path.parts) > 1:
        raise ModelError(f"{asked}: no such model file; check the path, or give one of {', '.join(models) or '(none)'}")
    if asked in models:
        return models[asked]
    hint = did_you_mean(asked, models)
    raise ModelError(
        f"unknown model {asked!r}: {hint}{' ' if hint else ''}shipped are {', '.join(models) or 'none'}; a path to an "
        ".onnx file works too"
    )


def read_model(path: Path) -> bytes:
    """Return a model file's bytes.

    Raises:
        ModelError: there is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file; check the path") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from None


def _model_in(folder: Path) -> Path:
    """Return the one model file of a folder."""
    if is_file(folder / MODEL_FILE):
        return folder / MODEL_FILE
    files = [path for path in sorted(folder.glob("*.onnx")) if is_file(path)]
    if len(files) != 1:
        found = ", ".join(path.name for path in files[:5]) or "none"
        raise ModelError(f"{folder}: expected {MODEL_FILE} or one .onnx file in it, found {found}; give a file")
    return files[0]
