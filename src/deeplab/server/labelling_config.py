"""Label Studio's labelling set-up: which photo, which labels, and what draws their regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.parsers import expat

from deeplab.errors import InputError
from deeplab.formats import Control
from deeplab.labels import LabelSet

_MOST_CHARACTERS = 1 << 20
_KINDS = {"BrushLabels": "brushlabels", "PolygonLabels": "polygonlabels"}  # the first that there is, counts

_Tag = tuple[str, Mapping[str, str], str]  # its name, its attributes, and the name of the tag around it


@dataclass(frozen=True)
class LabellingConfig:
    """What a labelling set-up asks for.

    Attributes:
        photo: under which key a task's data has the photo.
        control: what draws the regions.
        label_set: label 0 stands for all that has no label, the others are the control's labels.
        groups: for each label the model's labels that it is made of; none where the model knows nothing like it.
    """

    photo: str
    control: Control
    label_set: LabelSet
    groups: tuple[tuple[int, ...], ...]


def read_labelling_config(text: str, model: LabelSet) -> LabellingConfig:
    """Read a labelling set-up, XML.

    A label is the class of its name, small or large letters, or are those that its ``predicted_values`` lists.

    Args:
        text: the XML, without a document type.
        model: the labels of the model.

    Raises:
        InputError: it is no XML, or has no image, no brush or polygon labels, or no use for them.
    """
    tags = _tags(text)
    photos = {tag["name"]: tag.get("value", "") for kind, tag, _ in tags if kind == "Image" and "name" in tag}
    control = next(
        (
            (kind, tag["name"], tag["toName"])
            for kind in _KINDS
            for found, tag, _ in tags
            if found == kind and "name" in tag and tag.get("toName") in photos
        ),
        None,
    )
    if control is None:
        raise InputError(
            "the labelling set-up has no <BrushLabels> and no <PolygonLabels> with the toName of an <Image>; "
            "give it some: that is how masks are drawn"
        )
    kind, name, to_name = control
    photo = photos[to_name]
    if not photo.startswith("$") or len(photo) < 2:
        raise InputError(f'<Image name="{to_name}"> has the value {photo!r}; expected a name in tasks: $image')
    labels = [
        (tag.get("alias") or tag["value"], tag)
        for found, tag, around in tags
        if found == "Label" and around == name and tag.get("value")
    ]
    names = [label for label, _ in labels]
    rest = next(name for name in ("background", "all else", "(all else)") if name not in names)
    label_set = LabelSet("project", (rest, *names), background=0)
    groups = [_classes(tag, model) for _, tag in labels]
    taken = [label for group in groups for label in group]
    if twice := sorted({label for label in taken if taken.count(label) > 1}):
        raise InputError(f"two labels are the class {model.names[twice[0]]!r}; let predicted_values give it to one")
    others = tuple(label for label in range(len(model)) if label not in taken)
    return LabellingConfig(photo[1:], Control(name, to_name, _KINDS[kind]), label_set, (others, *groups))


def _classes(tag: Mapping[str, str], model: LabelSet) -> tuple[int, ...]:
    wanted = tag.get("predicted_values") or tag["value"]
    folded = {name.strip().casefold() for name in wanted.split(",")} | {wanted.strip().casefold()}
    return tuple(label for label, name in enumerate(model.names) if name.casefold() in folded)


def _tags(text: str) -> Sequence[_Tag]:
    if len(text) > _MOST_CHARACTERS:
        raise InputError(f"the labelling set-up has {len(text)} characters; expected at most {_MOST_CHARACTERS}")
    tags: list[_Tag] = []
    around: list[str] = []

    def begins(kind: str, attributes: dict[str, str]) -> None:
        tags.append((kind, attributes, around[-1] if around else ""))
        around.append(attributes.get("name", around[-1] if around else ""))

    def refused(*_: object) -> None:
        raise InputError("the labelling set-up has a document type, whose entities could be anything; leave it out")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begins
    parser.EndElementHandler = lambda _: around.pop()
    parser.StartDoctypeDeclHandler = refused
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise InputError(f"the labelling set-up is no XML ({error}); set up labelling in Label Studio first") from None
    return tags
