"""The README's moving picture, from the pictures that the page's browser test takes: `python drawing/film.py`."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).parent.parent / "docs" / "images"
SCENES = ("result", "correct", "teach", "others")
SECONDS_A_SCENE = 2.5
WIDTH_PX = 800


def main() -> None:
    """Write docs/images/workshop.webp: a model's result, its correction, classes taught, and the next photo."""
    scenes = [Image.open(IMAGES / f"page-{scene}.webp").convert("RGB") for scene in SCENES]
    first, *others = (scene.resize((WIDTH_PX, round(scene.height * WIDTH_PX / scene.width))) for scene in scenes)
    first.save(
        IMAGES / "workshop.webp", save_all=True, append_images=others,
        duration=round(1000 * SECONDS_A_SCENE), loop=0, quality=80,
    )  # fmt: skip


if __name__ == "__main__":
    main()
