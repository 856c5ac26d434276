"""What a model file shall say of itself beyond its weights: the CRF that suits it and its card, from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from deeplab.crf import CRFSettings
from deeplab.errors import InputError
from deeplab.yaml_documents import read_yaml


class CardFile(NamedTuple):
    """The content of a card file.

    Attributes:
        crf: from ``params`` (the fields of `deeplab.crf.CRFParams`), ``iterations`` and ``normalization``; what is left
            out keeps its default. None: the file says nothing of it.
        card: data, recipe, scores, deviations, licences: free-form.
    """

    crf: CRFSettings | None
    card: dict[str, Any]


def load_card(path: Path) -> CardFile:
    """Read a card file.

    Raises:
        InputError: `read_yaml` refuses the file, or it holds other keys than ``crf`` and ``card``, both mappings, or
            a CRF setting is unknown or out of range.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not set(content) <= {"crf", "card"}:
        raise InputError(f"{path} must hold the keys crf and card alone")
    if not all(isinstance(value, dict) for value in content.values()):
        raise InputError(f"{path}: crf and card must both be mappings of keys to values")
    try:
        crf = CRFSettings.from_dict(content["crf"]) if "crf" in content else None
        return CardFile(crf, content.get("card", {}))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
