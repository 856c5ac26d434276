"""Draw the picture of the napari plug-in for docs/: `xvfb-run python drawing/napari_plugin.py`.

Needs the extra napari, a Qt, and a display with OpenGL.
"""

from __future__ import annotations

from pathlib import Path

import napari
import npe2
import numpy as np
from PIL import Image

import deeplab.napari
from deeplab.labels import LabelSet
from deeplab.teach.marks import Stroke, checked, draw

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "images" / "napari.jpg"
CLASSES = LabelSet("strokes", ("nothing", "table", "cup", "spoon"))
STROKES = (
    Stroke("table", [(40, 40), (50, 200), (60, 380)], 9),
    Stroke("table", [(560, 60), (570, 240), (540, 370)], 9),
    Stroke("table", [(110, 210), (170, 330), (300, 372), (430, 320)], 9),
    Stroke("cup", [(210, 90), (290, 60), (380, 120)], 9),
    Stroke("cup", [(230, 220), (300, 250), (360, 230)], 9),
    Stroke("spoon", [(345, 282), (385, 268)], 7),
    Stroke("spoon", [(401, 195), (413, 90)], 5),
)


def main() -> None:
    """Teach the coffee's cup and spoon by strokes in a viewer, and keep what its window looks like."""
    manifest = npe2.PluginManifest.from_file(Path(deeplab.napari.__file__).with_name("napari.yaml"))
    if manifest.name not in npe2.PluginManager.instance():
        npe2.PluginManager.instance().register(manifest)
    photo = np.array(Image.open(ROOT / "examples" / "coffee.jpg").convert("RGB"))
    size = photo.shape[:2]
    drawn = draw(checked(STROKES, size, CLASSES), size, CLASSES, size)
    viewer = napari.Viewer()
    viewer.window.resize(1240, 720)
    viewer.add_image(photo, name="coffee")
    viewer.add_labels(np.where(drawn == CLASSES.void, 0, drawn), name="strokes")
    _, panel = viewer.window.add_plugin_dock_widget("deeplab-crf", "Teach by strokes")
    panel.reset_choices()
    panel.names.value = "table, cup, spoon"
    panel()
    viewer.layers.move(viewer.layers.index("strokes"), len(viewer.layers))
    viewer.layers["coffee taught"].opacity = 0.45
    viewer.reset_view()
    viewer.status = "Ready"
    picture = viewer.screenshot(canvas_only=False, flash=False)
    Image.fromarray(picture[..., :3]).save(TARGET, quality=85)
    viewer.close()


if __name__ == "__main__":
    main()
