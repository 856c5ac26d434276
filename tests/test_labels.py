from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.errors import InputError
from deeplab.labels import CAMVID, LABEL_SETS, VOC, LabelSet


def test_voc_colours_are_those_of_the_development_kit() -> None:
    assert len(VOC) == 21
    assert len(VOC.palette) == 256
    assert VOC.palette[VOC.names.index("aeroplane")] == (128, 0, 0)
    assert VOC.palette[VOC.names.index("cat")] == (64, 0, 0)
    assert VOC.palette[VOC.names.index("person")] == (192, 128, 128)
    assert VOC.palette[VOC.names.index("tvmonitor")] == (0, 64, 128)
    assert VOC.palette[255] == (224, 224, 192)
    assert len(set(VOC.palette)) == 256


def test_camvid_has_eleven_classes_and_black_void() -> None:
    assert len(CAMVID) == 11
    assert CAMVID.void == 11
    assert CAMVID.palette[CAMVID.void] == (0, 0, 0)
    assert len(set(CAMVID.palette)) == 12


def test_background_is_known_by_name_unless_said() -> None:
    assert VOC.background == 0
    assert CAMVID.background is None
    assert LabelSet("own", ("cat", "__Background__")).background == 1
    assert LabelSet("own", ("BG", "cat")).background == 0
    assert LabelSet("own", ("soil", "leaf"), background=0).background == 0
    assert LabelSet("own", ("background", "leaf"), background=None).background is None


def test_sets_of_older_versions_know_their_background_by_name() -> None:
    for label_set in (VOC, CAMVID, LabelSet("own", ("bg", "cat")), LabelSet("own", ("soil", "leaf"))):
        fields = label_set.to_dict()
        del fields["background"]
        assert LabelSet.from_dict(fields) == label_set
    said = LabelSet("own", ("background", "leaf"), background=None)
    assert LabelSet.from_dict(json.loads(json.dumps(said.to_dict()))) == said


def test_photos_are_not_tinted_in_black_but_by_the_background() -> None:
    own = LabelSet("own", ("soil", "leaf"))
    assert own.tints()[:3].tolist() == [[0, 128, 0], [128, 0, 0], [0, 128, 0]]  # the first colour that is free
    assert own.palette[0] == (0, 0, 0)
    assert (VOC.tints() == VOC.colours()).all()
    assert (CAMVID.tints() == CAMVID.colours()).all()


@pytest.mark.parametrize("label_set", LABEL_SETS.values(), ids=LABEL_SETS)
def test_colours_start_with_the_palette(label_set: LabelSet) -> None:
    colours = label_set.colours()
    assert colours.shape == (256, 3)
    assert [tuple(row) for row in colours[: len(label_set.palette)].tolist()] == list(label_set.palette)


@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30, unique=True),
    st.integers(0, 255),
    st.integers(min_value=30, max_value=255),
)
def test_dict_round_trip_through_json(names: list[str], blue: int, void: int) -> None:
    label_set = LabelSet("own", tuple(names), tuple((i, 2 * i, blue) for i in range(len(names))), void)
    assert LabelSet.from_dict(json.loads(json.dumps(label_set.to_dict()))) == label_set


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": 3}, "needs a name, got 3"),
        ({"names": "abc"}, "names is of type str; give a list or tuple"),
        ({"names": None}, "names is of type NoneType"),
        ({"names": {"cat", "dog"}}, "names is of type set"),
        ({"palette": None}, "palette is of type NoneType"),
        ({"names": ()}, "1 to 255"),
        ({"names": (["cat"], "dog")}, "1 to 255"),
        ({"names": ("cat", "")}, "1 to 255"),
        ({"names": ("cat", "cat")}, "'cat' comes twice"),
        ({"names": ("cat", 3)}, "1 to 255"),
        ({"palette": ((0, 0, 0),)}, "2 to 256 colours, got 1"),
        ({"palette": ((0, 0, 0), (0, 0, 256))}, "colour 1"),
        ({"palette": ((0, 0, 0), (0.5, 0, 0))}, "colour 1"),
        ({"palette": ((0, 0, 0), (0, 0))}, "colour 1"),
        ({"palette": (3, 4)}, "colour 0 is 3; expected three integers"),
        ({"palette": ("red", "tan")}, "colour 0 is 'red'"),
        ({"palette": ((0, 0, 0), (0, 0, True))}, "colour 1"),
        ({"names": ("cat",), "void": True}, "in 1–255, got True"),
        ({"void": 1}, "in 2–255, got 1"),
        ({"void": 256}, "in 2–255, got 256"),
        ({"background": 2}, "background must be one of the 2 classes, 0–1, or None, got 2"),
        ({"background": -1}, "or None, got -1"),
        ({"background": False}, "or None, got False"),
    ],
)
def test_bad_fields_are_named(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"name": "own", "names": ("background", "cat"), "void": 255}
    with pytest.raises(InputError, match=message):
        LabelSet(**(fields | change))


def test_lists_become_tuples() -> None:
    listed = LabelSet("own", ["background", "cat"], [[0, 0, 0], (9, 9, 9)])  # type: ignore[arg-type]
    assert listed == LabelSet("own", ("background", "cat"), ((0, 0, 0), (9, 9, 9)))
    assert hash(listed) is not None
    assert listed.colours()[1].tolist() == [9, 9, 9]


@pytest.mark.parametrize("missing", ["name", "names", "palette", "void"])
def test_missing_field_is_named(missing: str) -> None:
    fields = VOC.to_dict()
    del fields[missing]
    with pytest.raises(InputError, match=f"'{missing}' is missing"):
        LabelSet.from_dict(fields)


@pytest.mark.parametrize("fields", [None, [], VOC.to_dict() | {"names": 3}, VOC.to_dict() | {"palette": [1] * 21}])
def test_from_dict_refuses_other_types(fields: Any) -> None:
    with pytest.raises(InputError, match=r"expected a mapping|give a list or tuple|expected three integers"):
        LabelSet.from_dict(fields)
