"""What a checkpoint says of itself: one JSON object in its metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from deeplab.crf import CRFSettings
from deeplab.documents import parse_json
from deeplab.errors import ModelError
from deeplab.labels import LabelSet
from deeplab.network.build import Network
from deeplab.network.variants import OPTIONS, Variant
from deeplab.preprocessing import Preprocessing


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself, beside its tensors. An InputError is raised where the CRF is for other labels.

    Attributes:
        variant: the network.
        label_set: what its scores mean, in order.
        preprocessing: what its input must look like.
        initialisation: where the weights started from, in words and rules.
        recipe: the training recipe as a dictionary; empty for imported weights.
        progress: stage, iteration and validation figures.
        crf: how the CRF runs that was trained with the network, or that its model file has; None: there is none.
    """

    variant: Variant
    label_set: LabelSet
    preprocessing: Preprocessing
    initialisation: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    crf: CRFSettings | None = None

    def __post_init__(self) -> None:
        if self.crf is not None:
            self.crf.params.check_labels(len(self.label_set))

    def to_json(self) -> str:
        """The header as one JSON object."""
        return json.dumps(
            {
                "format": 2,
                "network": self.variant.to_dict(),
                "label_set": self.label_set.to_dict(),
                "preprocessing": self.preprocessing.to_dict(),
                "initialisation": self.initialisation,
                "recipe": self.recipe,
                "progress": self.progress,
                **({} if self.crf is None else {"crf": self.crf.to_dict()}),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Header:
        """Read what `to_json` wrote, today or before networks described themselves.

        Raises:
            DeepLabError, or one of MALFORMED: it is something else.
        """
        content = parse_json(text)
        if "network" not in content:
            known = {option: content[option] for option in OPTIONS if option in content}
            content["network"] = {"name": content["variant"], **known}
        return cls(
            variant=Variant.from_dict(content["network"]),
            label_set=LabelSet.from_dict(content["label_set"]),
            preprocessing=Preprocessing.from_dict(content["preprocessing"]),
            initialisation=content["initialisation"],
            recipe=content["recipe"],
            progress=content["progress"],
            crf=CRFSettings.from_dict(content["crf"]) if "crf" in content else None,
        )


def check_header(model: Network, header: Header) -> None:
    """Check that a header describes a network.

    Raises:
        ModelError: variants or numbers of labels differ.
    """
    if header.variant != model.variant or len(header.label_set) != model.classes:
        raise ModelError(
            f"a header of {header.variant.title} with {len(header.label_set)} labels does not describe "
            f"{model.variant.title} with {model.classes}; give the header that came with the network"
        )
