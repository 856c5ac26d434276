from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.data.names import read_names
from deeplab.data.readers import read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import DataError
from deeplab.labels import CAMVID, VOC, LabelSet

ANIMALS = {"background": 0, "cat": 1, "dog": 2, "cow": 3}


def names(
    folder: Path, content: str, by_name: bool = False, values: Mapping[str, int] = ANIMALS
) -> tuple[LabelSet, bytes]:
    path = folder / "classes.txt"
    path.write_text(content, encoding="utf-8")
    return read_names(path, values, by_name=by_name)


def test_names_alone_are_the_stored_values_in_order(tmp_path: Path) -> None:
    label_set, relabel = names(tmp_path, "\ufeff# my classes\r\nsoil\r\nleaf\r\nrust spot\r\n\r\n")
    assert label_set == LabelSet("own", ("soil", "leaf", "rust spot"))
    assert list(relabel[:3]) == [0, 1, 2]
    assert relabel[255] == 255
    assert set(relabel[3:255]) == {254}  # neither a label nor void


def test_values_void_and_the_rest(tmp_path: Path) -> None:
    label_set, relabel = names(tmp_path, "void: 0, 254\nroad: 1\nvehicle: 2, 7\nother: *\n")
    assert label_set.names == ("road", "vehicle", "other")
    assert [relabel[value] for value in (0, 254, 1, 2, 7, 3, 255)] == [255, 255, 0, 1, 1, 2, 2]


def test_the_layouts_own_names_may_be_given(tmp_path: Path) -> None:
    _, relabel = names(tmp_path, "background: background, cow\npet: cat, dog\n")
    assert list(relabel[:5]) == [0, 1, 1, 0, 254]


def test_where_classes_have_names_a_class_alone_is_the_one_of_that_name(tmp_path: Path) -> None:
    label_set, relabel = names(tmp_path, "background: *\ndog\nvoid: cat\n", by_name=True)
    assert label_set.names == ("background", "dog")
    assert list(relabel[:4]) == [0, 255, 1, 0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("background: *\ncow\ndog\n", [0, 0, 2, 1]),  # cow is 3 there, not 1
        ("dog\nbackground: *\n", [1, 1, 0, 1]),
        ("background\nscratch\ndent\n", [0, 1, 2, 254]),  # names of their own keep their numbers
        ("numbers = own\nbackground\ndog\nrust\n", [0, 1, 2, 254]),  # said outright
        ("background\ncat: 2\ndent: 1\nnumbers = own\n", [0, 2, 1, 254]),
        ("background: *\ncat: 1, 3\n", [0, 1, 0, 1]),  # its own number and another's
        ("background: 2, *\ncat\n", [0, 1, 0, 0]),
        ("background\ncat\nscratch\n", [0, 1, 2, 254]),  # name and number agree
    ],
)
def test_a_name_that_the_layout_knows_means_that_class(tmp_path: Path, content: str, expected: list[int]) -> None:
    assert list(names(tmp_path, content)[1][:4]) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "background: *\ndog\nrust\n",
            "'rust' is neither .* 'dog' is one, so names alone mean classes: say 'numbers = own'",
        ),
        ("pet: cat, dog\nrest\n", "'rest' is neither .* 'cat' is one, so names alone mean classes"),
        (
            "background: *\ncat: 3\n",
            "gives 'cat' the number 3, which is 'cow' .* 'cat' is 1; write 'cat' alone, or add",
        ),
        ("background: *\ndog: 9, 1\n", "gives 'dog' the number 9, which is no class .* 'dog' is 2"),
        ("numbers = mine\ncat\n", "says 'numbers = mine'; expected 'numbers = own'"),
        ("background: *\nkat\ncow\n", "did you mean 'cat'.*'cow' is one"),
    ],
)
def test_names_and_numbers_that_disagree_are_errors(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"classes\.txt.*{message}"):
        names(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "background"),
    [
        ("soil\nleaf\nrust\n", None),
        ("_Background_\nleaf\n", 0),
        ("leaf\nbg: *\n", 1),
        ("background = soil\nleaf\nsoil\n", 1),
        ("background\nleaf\nbackground = none\n", None),
    ],
)
def test_a_names_file_says_which_class_is_the_background(tmp_path: Path, content: str, background: int | None) -> None:
    label_set, relabel = names(tmp_path, content)
    assert label_set.background == background
    assert len(label_set) == len(content.splitlines()) - ("=" in content)
    assert "=" in content or "*" in content or relabel[1] == 1


def test_vocs_names_without_a_background_are_not_vocs_set(tmp_path: Path) -> None:
    label_set, _ = names(tmp_path, "\n".join(VOC.names) + "\nbackground = none\n", values={})
    assert label_set == replace(VOC, name="own", background=None)


@pytest.mark.parametrize("label_set", [VOC, CAMVID])
def test_the_classes_of_a_built_in_set_give_that_set(tmp_path: Path, label_set: LabelSet) -> None:
    found, relabel = names(tmp_path, "\n".join(label_set.names), values={})
    assert found is label_set
    assert relabel[255] == label_set.void


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat: 1\ndog: 1\n", "gives '1' to both 'cat' and 'dog'"),
        ("void: 0\nroad\n", "gives '0' to both 'void' and 'road'"),
        ("pet: cat, dgo\n", "'dgo' is neither a stored value, 0–255, nor a class .* did you mean 'dog'"),
        ("pet: 256\n", "'256' is neither"),
        ("pet: -1\n", "'-1' is neither"),
        ("pet: 1,\n", "'' is neither"),
        ("0: zebra\n", "'zebra' is neither .* the classes there are background, cat, dog, cow"),
        ("cat\ncat\n", "comes twice; give one class name a line"),
        ("void: 0\n", "expected 1 to 255"),
        ("background = mud\nsoil\n", "'mud' is the background; expected one of its classes, or 'none'"),
        ("", "expected 1 to 255"),
    ],
)
def test_bad_names_files_are_errors(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"classes\.txt.*{message}"):
        names(tmp_path, content)


def test_other_files_are_no_names_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nothing\.txt"):
        read_names(tmp_path / "nothing.txt", {}, by_name=False)
    (tmp_path / "x.txt").write_bytes("Zürich".encode("latin-1"))
    with pytest.raises(DataError, match=r"x\.txt is no UTF-8 text"):
        read_names(tmp_path / "x.txt", {}, by_name=False)


@given(owners=st.lists(st.sampled_from(["void", "a", "b", "c", None]), min_size=256, max_size=256))
def test_every_value_becomes_the_label_of_the_line_that_names_it(
    tmp_path_factory: pytest.TempPathFactory, owners: list[str | None]
) -> None:
    owners[:4] = ["a", "b", "c", "void"]
    given = {
        name: ", ".join(str(v) for v, owner in enumerate(owners) if owner == name) for name in ("a", "b", "c", "void")
    }
    content = "".join(f"{name}: {values}\n" for name, values in given.items())
    label_set, relabel = names(tmp_path_factory.mktemp("names"), content)
    expected = {"a": 0, "b": 1, "c": 2, "void": 255, None: 254}
    assert list(relabel) == [expected[owner] for owner in owners]
    assert len(label_set) == 3


def test_a_names_file_beside_the_data_or_elsewhere_maps_masks(write: Any, tmp_path: Path) -> None:
    root = tmp_path / "set"
    write.pair(root / "images" / "x.jpg", root / "masks" / "x.png", [0, 1, 1, 2, 2, 2, 9, 9])
    write.text(root / "classes.txt", "road: 1\ncar: 2\nvoid: 0, 9\n")
    (sample,) = read_samples("folder", root, "all")
    assert load_mask(sample)[0].tolist() == [255, 0, 0, 1, 1, 1, 255, 255]
    other = write.text(tmp_path / "other.txt", "thing: 1, 2\nrest: *\n")
    (sample,) = read_samples("folder", root, "all", names=other)
    assert load_mask(sample)[0].tolist() == [1, 0, 0, 0, 0, 0, 1, 1]
    write.text(other, "road: 1\nvoid: 0\n")
    (sample,) = read_samples("folder", root, "all", names=other)
    with pytest.raises(DataError, match=r"x\.png holds label 2, but masks of 'own' hold labels 0–0"):
        load_mask(sample)


def test_a_names_file_maps_the_classes_of_a_known_layout(write: Any, tmp_path: Path) -> None:
    write.pair(
        tmp_path / "JPEGImages" / "x.jpg", tmp_path / "SegmentationClass" / "x.png", [0, 7, 7, 14, 6, 15, 255, 255]
    )
    write.text(tmp_path / "ImageSets" / "Segmentation" / "val.txt", "x\n")
    write.text(tmp_path / "classes.txt", "background: *\nvehicle: car, bus, motorbike\n")
    (sample,) = read_samples("voc", tmp_path, "val")
    assert load_mask(sample)[0].tolist() == [0, 1, 1, 1, 1, 0, 255, 255]


def test_a_bare_class_of_vocs_or_camvids_is_that_class(write: Any, tmp_path: Path) -> None:
    stored = [0, 1, 2, 8, 12, 8, 255, 255]  # background, aeroplane, bicycle, cat, dog, cat, void
    write.pair(tmp_path / "JPEGImages" / "x.jpg", tmp_path / "SegmentationClass" / "x.png", stored)
    write.text(tmp_path / "ImageSets" / "Segmentation" / "val.txt", "x\n")
    names = write.text(tmp_path / "names.txt", "background: *\ncat\ndog\n")
    (sample,) = read_samples("voc", tmp_path, "val", names=names)
    assert load_mask(sample)[0].tolist() == [0, 0, 0, 1, 2, 1, 255, 255]
    write.pair(tmp_path / "val" / "x.png", tmp_path / "valannot" / "x.png", [0, 1, 3, 8, 8, 8, 11, 11])
    names = write.text(tmp_path / "names.txt", "other: *\nroad\ncar\nvoid: 11\n")
    (sample,) = read_samples("camvid", tmp_path, "val", names=names)
    assert load_mask(sample)[0].tolist() == [0, 0, 1, 2, 2, 2, 255, 255]
