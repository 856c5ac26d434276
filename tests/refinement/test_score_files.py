"""Scores and label maps on disk: what is read back, what is refused, what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab.errors import DeepLabError, ImageError, InputError, OutputError
from deeplab.label_maps import read_label_map
from deeplab.labels import VOC, LabelSet
from deeplab.refinement import load_scores
from deeplab.refinement.score_files import write_labels, write_probabilities

SCORES = np.random.default_rng(1).normal(size=(3, 5, 7)).astype(np.float16)
LABELS = np.arange(35, dtype=np.uint8).reshape(5, 7) % 21


def test_arrays_are_read_as_stored(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SCORES)
    np.savez(tmp_path / "b.npz", SCORES)
    np.savez_compressed(tmp_path / "c.npz", scores=SCORES, photo=LABELS)
    for name, key in (("a.npy", None), ("b.npz", None), ("c.npz", "scores")):
        found = load_scores(tmp_path / name, key=key)
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, SCORES)


def test_label_maps_are_read_as_stored(tmp_path: Path) -> None:
    palette = Image.fromarray(LABELS)
    palette.putpalette(VOC.colours().tobytes())
    palette.save(tmp_path / "palette.png")
    for name, array in (
        ("grey.png", LABELS), ("deep.png", LABELS.astype(np.uint16) * 1000), ("bits.png", LABELS > 9),
        ("grey.tif", LABELS), ("float.tiff", LABELS / np.float32(21)), ("grey.bmp", LABELS),
    ):  # fmt: skip
        Image.fromarray(array).save(tmp_path / name)
        np.testing.assert_array_equal(load_scores(tmp_path / name), array)
    np.testing.assert_array_equal(load_scores(tmp_path / "palette.png"), LABELS)


def test_colours_are_labels_by_the_label_set(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[0, 0] = 255
    Image.fromarray(VOC.colours()[labels]).save(tmp_path / "colours.png")
    np.testing.assert_array_equal(load_scores(tmp_path / "colours.png", label_set=VOC), labels)
    with pytest.raises(ImageError, match=r"colour-coded.*--labels"):
        load_scores(tmp_path / "colours.png")
    few = LabelSet("few", ("background", "aeroplane"))
    with pytest.raises(ImageError, match=r"colour \(0, 0, 128\) \(and 18 more\), .* no label of 'few'"):
        load_scores(tmp_path / "colours.png", label_set=few)


def bad_files(folder: Path) -> dict[str, str]:
    np.save(folder / "whole.npy", SCORES)
    whole = (folder / "whole.npy").read_bytes()
    (folder / "truncated.npy").write_bytes(whole[:-9])
    (folder / "header.npy").write_bytes(whole[:20])
    (folder / "nothing.npy").touch()
    (folder / "text.npy").write_text("no scores")
    (folder / "huge.npy").write_bytes(whole.replace(b"(3, 5, 7)", b"(388,5,7)"))
    np.save(folder / "pickled.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.savez(folder / "several.npz", a=SCORES, b=SCORES)
    np.savez(folder / "none.npz")
    (folder / "cut.npz").write_bytes((folder / "several.npz").read_bytes()[:300])
    np.savez(folder / "pickled.npz", np.array([None]))
    (folder / "tensor.pt").touch()
    (folder / "labels.jpg").touch()
    (folder / "labels.png").write_text("no image")
    return {
        "truncated.npy": "cannot be read", "header.npy": "cannot be read", "nothing.npy": "cannot be read",
        "text.npy": "cannot be read", "huge.npy": "cannot be read", "pickled.npy": "plain array of numbers",
        "several.npz": "--key .*a, b", "none.npz": "no array", "cut.npz": "cannot be read",
        "pickled.npz": "plain array of numbers", "tensor.pt": r"numpy\.save", "labels.jpg": "JPEG blurs",
        "labels.png": "not an image", "missing.npy": "no such file", "missing.png": "no such file",
        "noending": "read from .bmp, .gif, .npy",
    }  # fmt: skip


def test_bad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    for name, message in bad_files(tmp_path).items():
        with pytest.raises(DeepLabError, match=message) as error:
            load_scores(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"no array 'c'; .*a, b"):
        load_scores(tmp_path / "several.npz", key="c")
    with pytest.raises(InputError, match="leave the key away"):
        load_scores(tmp_path / "whole.npy", key="a")


def test_labels_are_written_as_palette_deep_or_array(tmp_path: Path) -> None:
    write_labels(tmp_path / "voc.png", LABELS, VOC)
    np.testing.assert_array_equal(read_label_map(tmp_path / "voc.png"), LABELS)
    with Image.open(tmp_path / "voc.png") as image:
        assert image.mode == "P"
    for name, labels in (
        ("254.png", LABELS + np.uint8(234)), ("255.png", LABELS + np.uint8(235)),
        ("deep.png", LABELS.astype(np.uint16) * 3000), ("any.npy", LABELS.astype(np.uint32) * 70000),
    ):  # fmt: skip
        write_labels(tmp_path / name, labels, None)
        np.testing.assert_array_equal(load_scores(tmp_path / name), labels)
    with Image.open(tmp_path / "255.png") as image:
        assert image.mode.startswith("I")  # 255 stays void in 8 bits
    with pytest.raises(OutputError, match=r"up to 1400000 are written as \.npy;"):
        write_labels(tmp_path / "wide.png", LABELS.astype(np.uint32) * 70000, None)
    with pytest.raises(OutputError, match="exists"):
        write_labels(tmp_path / "any.npy", LABELS, None)
    with pytest.raises(OutputError, match=r"\.png or \.npy"):
        write_labels(tmp_path / "labels.jpg", LABELS, None)


def test_probabilities_are_written_with_their_labels(tmp_path: Path) -> None:
    probabilities = SCORES.astype(np.float32)
    write_probabilities(tmp_path / "p.npy", probabilities, (0, 3, 9))
    write_probabilities(tmp_path / "p.npz", probabilities, (0, 3, 9))
    np.testing.assert_array_equal(load_scores(tmp_path / "p.npy"), probabilities)
    np.testing.assert_array_equal(load_scores(tmp_path / "p.npz", key="probabilities"), probabilities)
    assert load_scores(tmp_path / "p.npz", key="labels").tolist() == [0, 3, 9]
    with pytest.raises(OutputError, match=r"\.npy or \.npz"):
        write_probabilities(tmp_path / "p.mat", probabilities, (0, 3, 9))
