"""A model's card as a Markdown page: the one beside its file, or else what the file says about itself."""

from __future__ import annotations

import json
from pathlib import Path

from deeplab.crf import CRFSettings
from deeplab.documents import read_text
from deeplab.files import is_file
from deeplab.models import MODEL_FILE, ModelInfo


def card_of(path: Path, info: ModelInfo) -> str:
    """Return the card of a model file as Markdown.

    That is ``NAME.md`` beside ``NAME.onnx``, or ``README.md`` beside ``model.onnx``; where there is none, a page made
    of the file's metadata.
    """
    beside = path.with_name("README.md") if path.name == MODEL_FILE else path.with_suffix(".md")
    if is_file(beside):
        return read_text(beside)
    preprocessing = info.preprocessing
    rows = {
        "variant": info.variant,
        "labels": ", ".join(info.label_set.names),
        "input": f"{preprocessing.channels}, 0–255, minus {preprocessing.mean}, divided by {preprocessing.std}",
        "output stride": f"{info.output_stride} px",
        "CRF": _crf(info.crf),
        **{key: value if isinstance(value, str) else _code(value) for key, value in info.card.items()},
    }
    table = "\n".join(f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items())
    return f"# {info.name}\n\n| | |\n| --- | --- |\n{table}\n"


def _crf(crf: CRFSettings) -> str:
    numbers = ", ".join(f"{name} {value:g}" for name, value in crf.params.numbers().items())
    learnt = " (means: they were learnt label by label)" if crf.params.labels else ""
    return f"{numbers}{learnt}, {crf.iterations} iterations, normalization {crf.normalization!r}"


def _code(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
