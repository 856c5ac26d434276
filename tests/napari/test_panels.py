"""The plug-in inside napari. Its window needs a display with OpenGL, such as `xvfb-run` gives."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own
    pytest.importorskip("napari", reason="needs the extra napari")
    pytest.importorskip("pytestqt", reason="needs pytest-qt")
    npe2 = pytest.importorskip("npe2", reason="needs the extra napari")

import deeplab.napari
from deeplab.errors import InputError
from deeplab.labels import VOC
from deeplab.segment import Segmenter

pytestmark = [
    pytest.mark.filterwarnings("default"),  # napari's own, and Qt's
    pytest.mark.skipif(sys.platform == "linux" and "DISPLAY" not in os.environ, reason="needs a display: xvfb-run"),
]

CAT = np.array(Image.open(Path(__file__).parents[2] / "examples" / "cat.jpg").convert("RGB"))
MANIFEST = Path(deeplab.napari.__file__).with_name("napari.yaml")


@pytest.fixture
def viewer(make_napari_viewer: Any, npe2pm: Any) -> Iterator[Any]:
    with npe2pm.tmp_plugin(manifest=npe2.PluginManifest.from_file(MANIFEST)):
        yield make_napari_viewer()


def panel(viewer: Any, name: str) -> Any:
    _, widget = viewer.window.add_plugin_dock_widget("deeplab-crf", name)
    widget.reset_choices()
    return widget


def scene() -> Any:
    """A small stack of photos: blue above, orange below, the border elsewhere in each."""
    stack = np.zeros((3, 60, 90, 3), np.uint8)
    for number, photo in enumerate(stack):
        photo[: 20 + 10 * number], photo[20 + 10 * number :] = (40, 80, 200), (230, 140, 30)
    return stack


def test_the_manifest_is_sound_and_its_functions_are_there() -> None:
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert {widget.display_name for widget in manifest.contributions.widgets or ()} == {
        "Segment", "Refine labels", "Teach by strokes",
    }  # fmt: skip


def test_an_image_is_segmented(viewer: Any) -> None:
    viewer.add_image(CAT, name="cat", scale=(2, 2))
    panel(viewer, "Segment")()
    found = viewer.layers["cat classes"]
    np.testing.assert_array_equal(found.data, Segmenter.from_pretrained()(CAT).labels)
    np.testing.assert_array_equal(found.scale, (2, 2))
    assert list(found.features["class"]) == list(VOC.names)
    colour = found.get_color(VOC.names.index("cat"))[:3]
    assert tuple(np.rint(255 * np.array(colour))) == VOC.palette[8]


def test_labels_are_refined_by_strokes(viewer: Any) -> None:
    viewer.add_image(scene()[1], name="photo")
    labels, strokes = np.zeros((60, 90), int), np.zeros((60, 90), int)
    labels[20:] = 3
    strokes[5, 10:80] = 2
    viewer.add_labels(labels, name="labels")
    viewer.add_labels(strokes, name="strokes")
    refine = panel(viewer, "Refine labels")
    refine(labels=viewer.layers["labels"], strokes=viewer.layers["strokes"])
    found = viewer.layers["labels refined"].data
    assert (found[5, 10:80] == 2).all()
    assert (found[30:] == 3).all()
    assert (found[20:30] != 3).all()
    refine(labels=viewer.layers["labels"], strokes=None)
    assert set(np.unique(viewer.layers["labels refined"].data)) == {0, 3}  # the same layer, anew


def test_a_volume_and_what_is_none(viewer: Any) -> None:
    stack = scene()[:, :, :, 0].astype(np.float32)
    viewer.add_image(stack, name="volume", contrast_limits=(0, 255), scale=(20, 2, 2))
    labels = np.zeros(stack.shape, int)
    labels[:, 35:] = 1
    viewer.add_labels(labels, name="labels")
    refine = panel(viewer, "Refine labels")
    for volume in False, True:
        refine(labels=viewer.layers["labels"], volume=volume)
        found = viewer.layers["labels refined"].data
        assert (found[1] == (np.arange(60) >= 30)[:, None]).all()
    viewer.add_image(scene()[0], name="flat")
    with pytest.raises(InputError, match="shape"):
        refine(image=viewer.layers["flat"], labels=viewer.layers["labels"])
    viewer.add_labels(labels[0], name="flat labels")
    with pytest.raises(InputError, match="is no volume"):
        refine(image=viewer.layers["flat"], labels=viewer.layers["flat labels"], volume=True)


def test_classes_are_taught_on_one_slice_and_found_in_all(viewer: Any, tmp_path: Path) -> None:
    viewer.add_image(scene(), name="photos", rgb=True)
    strokes = np.zeros((3, 60, 90), int)
    viewer.add_labels(strokes, name="strokes")
    teach = panel(viewer, "Teach by strokes")
    with pytest.raises(InputError, match="strokes of 0 numbers"):
        teach()
    strokes[0, 5, 10:80], strokes[0, 50, 10:80] = 4, 9
    with pytest.raises(InputError, match="for 1 names"):
        teach(names="sky")
    teach(names="sky, sand", save_as=tmp_path / "beach.onnx")
    found = viewer.layers["photos taught"].data
    for number, labels in enumerate(found):
        expected = np.where(np.arange(60) < 20 + 10 * number, 4, 9)[:, None]
        assert (labels == expected).mean() > 0.9
    assert Segmenter.from_pretrained(tmp_path / "beach.onnx").info.label_set.names == ("sky", "sand")


def test_without_layers_a_panel_says_what_to_do(viewer: Any) -> None:
    with pytest.raises(InputError, match="no image layer"):
        panel(viewer, "Segment")()
