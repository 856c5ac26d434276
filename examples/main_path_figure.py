"""Draw the README's picture: a photo, what the network says of it, and what the network and the CRF say.

Run from the repository's root: python examples/main_path_figure.py examples/cat.jpg docs/images/main-path.jpg
"""

import sys

from PIL import Image, ImageDraw, ImageFont

from deeplab import Segmenter

GAP_PX, CAPTION_PX, HEIGHT_PX = 8, 30, 300


def main(photo_path: str, figure_path: str) -> None:
    """Segment one photo twice and write the three panels side by side."""
    segmenter = Segmenter.from_pretrained()
    network, both = (segmenter.segment(photo_path, crf=crf) for crf in (False, True))
    panels = {
        "photo": Image.fromarray(both.image),
        "network": network.overlay(),
        "network + CRF": both.overlay(),
    }
    width = round(both.image.shape[1] * HEIGHT_PX / both.image.shape[0])
    figure = Image.new("RGB", (len(panels) * (width + GAP_PX) - GAP_PX, HEIGHT_PX + CAPTION_PX), "white")
    draw = ImageDraw.Draw(figure)
    for index, (caption, panel) in enumerate(panels.items()):
        left = index * (width + GAP_PX)
        figure.paste(panel.resize((width, HEIGHT_PX), Image.Resampling.LANCZOS), (left, 0))
        place = (left + width // 2, HEIGHT_PX + CAPTION_PX // 2)
        draw.text(place, caption, fill="black", font=ImageFont.load_default(18), anchor="mm")
    figure.save(figure_path, quality=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
