from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import Segmenter
from deeplab import cutout as module
from deeplab.cutout import cutout, foreground_colours, write_cutout
from deeplab.errors import InputError, OutputError
from deeplab.labels import LabelSet
from deeplab.planes import Planes
from deeplab.segmentation import Segmentation

LABELS = LabelSet("own", ("background", "cat", "dog"))
FRONT, BACK, NEW = (np.array(colour, np.float32) for colour in ((200, 120, 40), (30, 60, 220), (240, 240, 240)))


@pytest.fixture
def mixture() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A photo of a disc with an edge 8 px wide, mixed of two shaded colours, and the disc's share of each pixel."""
    y, x = np.mgrid[:90, :120]
    alpha = ((30 - np.hypot(y - 45, x - 60)) / 8 + 0.5).clip(0, 1).astype(np.float32)
    return np.rint(mix(alpha, FRONT + x[..., None] / 10, BACK - y[..., None] / 10)).astype(np.uint8), alpha


def mix(alpha: NDArray[np.float32], front: NDArray[Any], back: NDArray[Any]) -> NDArray[np.float32]:
    mixed: NDArray[np.float32] = alpha[..., None] * front + (1 - alpha[..., None]) * back
    return mixed


def test_on_a_new_ground_hardly_anything_of_the_old_one_is_left(
    mixture: tuple[NDArray[np.uint8], NDArray[np.float32]],
) -> None:
    photo, alpha = mixture
    colours, x = foreground_colours(photo, alpha), np.mgrid[:90, :120][1]
    truth = mix(alpha, FRONT + x[..., None] / 10, NEW)
    edge = (alpha > 0) & (alpha < 1)
    error, halo = (np.abs(mix(alpha, front, NEW) - truth)[edge].mean() for front in (colours, photo))
    assert error < 2 < 20 < halo
    np.testing.assert_array_equal(colours[~edge], photo[~edge])


def test_bands_of_rows_make_no_difference(
    mixture: tuple[NDArray[np.uint8], NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, alpha = mixture
    whole = foreground_colours(photo, alpha)
    monkeypatch.setattr(module, "_BAND_ROWS", 7)
    np.testing.assert_allclose(foreground_colours(photo, alpha).astype(int), whole, atol=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (200, 3)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_any_size_and_share(size: tuple[int, int], value: float) -> None:
    photo = np.full((*size, 3), 77, np.uint8)
    np.testing.assert_allclose(foreground_colours(photo, np.full(size, value, np.float32)), photo, atol=1)


def segmentation(beliefs: NDArray[np.float32], *, planes: bool = False) -> Segmentation:
    labels = beliefs.argmax(0).astype(np.uint8)
    held = Planes(beliefs, labels.shape, labels.shape) if planes else beliefs
    return Segmentation(labels, held, LABELS, np.full((*labels.shape, 3), 90, np.uint8))


@pytest.mark.parametrize("planes", [True, False])
def test_alpha_is_the_belief_in_the_classes_kept(planes: bool) -> None:
    beliefs = np.zeros((3, 20, 30), np.float32)
    beliefs[0, :, :10], beliefs[1, :, 10:20], beliefs[2, :, 20:] = 1, 1, 1
    beliefs[:, 5:] = beliefs[:, 5:] * 0.4 + 0.2
    result = segmentation(beliefs, planes=planes)
    np.testing.assert_allclose(result.belief([0, 2]), beliefs[[0, 2]].sum(0), atol=1e-6)
    everything = cutout(result)
    assert everything[2, 5].tolist() == [0, 0, 0, 0]
    assert everything[2, 25].tolist() == [90, 90, 90, 255]
    assert everything[15, 15, 3] == round(255 * 0.8)
    assert 0 < cutout(result, [1])[2, 10, 3] < 255  # a soft edge
    assert cutout(result, [1])[2, 25, 3] == 0
    for wrong in ([3], [-1], []):
        with pytest.raises(InputError, match=r"expected some of 0–2"):
            cutout(result, wrong)


def test_cut_outs_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    pixels = np.full((4, 5, 4), 7, np.uint8)
    write_cutout(tmp_path / "a.png", pixels)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
    with pytest.raises(OutputError, match="exists"):
        write_cutout(tmp_path / "a.png", pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_command(run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cat = str(EXAMPLES / "cat.jpg")
    outcome = run("cutout", cat)
    assert outcome.status == 0
    share = Segmenter.from_pretrained().segment(cat).shares()["cat"]
    assert outcome.out == f"{cat} → cat_cutout.png: {100 * share:.1f} % of it\n"
    with Image.open("cat_cutout.png") as image, Image.open(cat) as photo:
        assert (image.mode, image.size) == ("RGBA", photo.size)
        alpha = np.asarray(image)[..., 3]
    assert (alpha == 0).mean() > 0.7 * (1 - share)  # the rest is the soft edge
    assert (alpha == 255).mean() > 0.9 * share
    Path("cat_cutout.png").write_bytes(b"mine")
    assert "error: cat_cutout.png exists; give --force" in run("cutout", cat).err
    assert run("cutout", cat, "--force", "--class", "cat").status == 0


def test_what_is_in_a_box_is_cut_out_whatever_it_is(run: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "cup.png"
    assert run("cutout", str(EXAMPLES / "coffee.jpg"), "--box", "85,35,470,330", "-o", str(target)).status == 0
    with Image.open(target) as image:
        alpha = np.asarray(image)[..., 3]
    assert (alpha[:34] == 0).all()  # but for the pixel that the soft edge takes
    assert (alpha[:, 471:] == 0).all()
    assert alpha[180, 280] == 255


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cat.jpg", "--class", "cut"], "unknown class 'cut': did you mean 'cat'?"),
        (["cat.jpg", "--box", "1,2,3"], "expected --box X0,Y0,X1,Y1 in pixels, such as 40,30,200,180, got '1,2,3'"),
        (["cat.jpg", "--box", "1,2,3,4", "--class", "cat"], "--box keeps whatever is in the box, and --class a class"),
        (["cat.jpg", "--box", "9000,1,9900,50"], "none of it in the photo of"),
        (["cat.jpg", "-o", "cat.jpg"], "cut-outs are written as PNG"),
        (["cat.jpg", "coffee.jpg", "-o", "out.png"], "out.png is one file, but there are 2 photos"),
        (["coffee.jpg", "--class", "sheep"], "nothing found of sheep; name a box around the thing"),
        (["none.jpg"], "none.jpg"),
    ],
)
def test_what_the_command_refuses(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    for name in ("cat.jpg", "coffee.jpg"):
        (tmp_path / name).symlink_to(EXAMPLES / name)
    monkeypatch.chdir(tmp_path)
    outcome = run("cutout", *arguments)
    assert outcome.status == 1
    assert message in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.jpg", "coffee.jpg"]
