"""Draw the pictures of the README and of docs/: from the repository's root, python drawing/figures.py."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from deeplab import Segmentation, Segmenter
from deeplab.crf import CRFParams, refine
from deeplab.images import overlay_image
from deeplab.labels import LabelSet

IMAGES = Path("docs/images")
GAP_PX, CAPTION_PX = 6, 24

Picture = npt.NDArray[np.uint8]


def main() -> None:
    """Write every figure."""
    segmenter = Segmenter.from_pretrained()
    write_figure("main-path", [main_path(segmenter)], width_px=450, caption_above=False)
    astronaut = segmenter.segment("examples/astronaut.jpg", crf=False)
    write_figure("crf-parameters", parameters(astronaut), width_px=250)
    write_figure("crf-iterations", [iterations(astronaut)], width_px=200)
    write_figure("crf-worse", [thin_structures(), too_sure(astronaut)], width_px=250)


def main_path(segmenter: Segmenter) -> dict[str, Picture]:
    """Return a photo, what the network says of it, and what the network and the CRF say."""
    network, both = (segmenter.segment("examples/cat.jpg", crf=crf) for crf in (False, True))
    return {
        "photo": both.image,
        "network": np.asarray(network.overlay()),
        "network + CRF": np.asarray(both.overlay()),
    }


def parameters(segmentation: Segmentation) -> list[dict[str, Picture]]:
    """Return one row of label maps a parameter: the network's, then small, usual and large values."""
    values = {
        "bilateral_weight": (1, 5, 30),
        "bilateral_xy_std_px": (10, 50, 200),
        "bilateral_rgb_std": (1, 3, 20),
        "spatial_weight": (0, 3, 30),
    }
    return [
        {"network": np.asarray(segmentation.overlay())}
        | {f"{name} = {value}": refined(segmentation, CRFParams(**{name: value})) for value in row}
        for name, row in values.items()
    ]


def refined(segmentation: Segmentation, params: CRFParams) -> Picture:
    """Return the overlay of the CRF's labels."""
    labels = refine(segmentation.image, segmentation.probabilities, params).argmax(axis=0).astype(np.uint8)
    return overlay_image(segmentation.image, labels, segmentation.label_set, 0.5)


def iterations(segmentation: Segmentation) -> dict[str, Picture]:
    """Return the belief in one class after several iterations, black 0 and white 1 (figure 2 of the paper)."""
    person = segmentation.label_set.names.index("person")
    return {
        f"{count} iterations"[: None if count != 1 else -1]: grey(
            refine(segmentation.image, segmentation.probabilities, iterations=count)[person]
        )
        for count in (0, 1, 2, 5, 10)
    }


def grey(belief: npt.NDArray[np.float32]) -> Picture:
    """Return (H, W, 3) levels of a belief (H, W) in 0-1."""
    return np.repeat((255 * belief[..., None]).round().astype(np.uint8), 3, axis=2)


def thin_structures() -> dict[str, Picture]:
    """Return a drawn wheel whose pale spokes are two pixels wide, right and 70 % sure, and what the CRF makes of it."""
    side, centre = 256, 128
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    draw.ellipse((28, 28, 228, 228), outline=1, width=7)
    for angle in np.linspace(0, np.pi, 8, endpoint=False):
        reach = 98 * np.array([np.cos(angle), np.sin(angle)])
        draw.line((*(centre - reach), *(centre + reach)), fill=1, width=2)
    truth = np.asarray(mask)
    noise = np.random.default_rng(0).normal(0, 8, (side, side, 3))
    photo = (np.where(truth[..., None], (135, 128, 115), (150, 140, 120)) + noise).clip(0, 255).astype(np.uint8)
    names = LabelSet("wheel", ("background", "wheel"))
    wheel = Segmentation(truth, np.where(np.stack([truth == 0, truth == 1]), 0.7, 0.3), names, photo)
    return {
        "drawn photo": photo,
        "scores, 70 % sure": np.asarray(wheel.overlay()),
        "CRF": refined(wheel, CRFParams()),
        "CRF, spatial_weight = 0": refined(wheel, CRFParams(spatial_weight=0)),
    }


def too_sure(segmentation: Segmentation) -> dict[str, Picture]:
    """Return what is left to the CRF where scores are sharpened twentyfold: nothing."""
    sure = segmentation.probabilities.astype(np.float64) ** 20
    overconfident = Segmentation(
        segmentation.labels,
        (sure / sure.sum(axis=0)).astype(np.float32),
        segmentation.label_set,
        segmentation.image,
    )
    return {
        "photo": segmentation.image,
        "network": np.asarray(segmentation.overlay()),
        "CRF": refined(segmentation, CRFParams()),
        "CRF, scores times 20": refined(overconfident, CRFParams()),
    }


def write_figure(name: str, rows: Sequence[dict[str, Picture]], *, width_px: int, caption_above: bool = True) -> None:
    """Lay out captioned pictures in rows, each picture `width_px` wide, as docs/images/NAME.jpg."""
    tiles = [[tile(caption, picture, width_px, caption_above) for caption, picture in row.items()] for row in rows]
    heights = [row[0].height for row in tiles]
    columns = max(map(len, tiles))
    size = columns * (width_px + GAP_PX) - GAP_PX, sum(heights) + GAP_PX * (len(rows) - 1)
    figure = Image.new("RGB", size, "white")
    for index, row in enumerate(tiles):
        for column, picture in enumerate(row):
            figure.paste(picture, (column * (width_px + GAP_PX), sum(heights[:index]) + GAP_PX * index))
    figure.save(IMAGES / f"{name}.jpg", quality=88)


def tile(caption: str, picture: Picture, width_px: int, caption_above: bool) -> Image.Image:
    """Return a picture with its caption."""
    height = round(picture.shape[0] * width_px / picture.shape[1])
    framed = Image.new("RGB", (width_px, height + CAPTION_PX), "white")
    shrunk = Image.fromarray(picture).resize((width_px, height), Image.Resampling.LANCZOS)
    framed.paste(shrunk, (0, CAPTION_PX if caption_above else 0))
    middle = CAPTION_PX // 2 if caption_above else height + CAPTION_PX // 2
    font = ImageFont.load_default(15)
    ImageDraw.Draw(framed).text((width_px // 2, middle), caption, fill="black", font=font, anchor="mm")
    return framed


if __name__ == "__main__":
    main()
