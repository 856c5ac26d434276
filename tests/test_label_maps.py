"""Labels into palette PNGs and back; what is refused is in test_images_bad.py."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import InputError
from deeplab.label_maps import encode_label_map, read_label_map, read_label_set, write_label_map
from deeplab.labels import CAMVID, VOC, LabelSet

labels_21 = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.one_of(st.integers(0, 20), st.just(255))
)


@given(labels_21)
def test_label_map_round_trip(tmp_path_factory: pytest.TempPathFactory, labels: NDArray[np.uint8]) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.png"
    write_label_map(path, labels, VOC)
    np.testing.assert_array_equal(read_label_map(path), labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(image.convert("RGB"), VOC.colours()[labels])


def test_label_maps_take_any_integers_and_short_palettes(tmp_path: Path) -> None:
    labels = np.array([[0, 10, 11]], dtype=np.int64)
    write_label_map(tmp_path / "street.PNG", labels, CAMVID)
    np.testing.assert_array_equal(read_label_map(tmp_path / "street.PNG"), labels)


def test_grey_label_map_is_read_as_labels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 7, 255]], dtype=np.uint8)).save(tmp_path / "grey.png")
    assert read_label_map(tmp_path / "grey.png").tolist() == [[0, 7, 255]]


def test_an_unknown_label_is_found_wherever_it_is() -> None:
    for row in (0, 700, 999):
        labels = np.zeros((1000, 3), np.int16)
        labels[row, 2] = 21
        with pytest.raises(InputError, match="label 21 is not in label set 'voc'"):
            encode_label_map(labels, VOC)


def test_encoding_takes_little_memory_beside_the_labels() -> None:
    labels = np.zeros((4000, 4000), np.uint8)
    encode_label_map(labels[:9], VOC)
    tracemalloc.start()
    encode_label_map(labels, VOC)
    peak = tracemalloc.get_traced_memory()[1] / labels.size
    tracemalloc.stop()
    assert peak < 0.5  # bytes a pixel; checked at once it would be 2


def test_a_label_map_says_its_background(tmp_path: Path) -> None:
    for background in (None, 1):
        label_set = LabelSet("own", ("soil", "leaf"), background=background)
        write_label_map(tmp_path / "x.png", np.array([[0, 1]]), label_set, overwrite=True)
        assert read_label_set(tmp_path / "x.png") == label_set
