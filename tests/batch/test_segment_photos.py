"""The front door: one call for many photos."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import Segmenter
from deeplab.batch import Outcome, Settings, segment_photos
from deeplab.crf import CRFParams, CRFSettings
from deeplab.errors import DeepLabError, InputError, OutputError
from deeplab.label_maps import read_label_map

Touch = Callable[..., None]


@pytest.fixture
def here(tmp_path: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with three photos in ``photos``, one of them damaged."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in (0, 2):
        Image.fromarray(np.roll(photo, 7 * number, axis=1)).save(f"photos/{number}.png")
    Path("photos/1.png").write_text("no photo")
    return tmp_path


@pytest.mark.parametrize("threads", [1, 2])
def test_every_photo_has_its_outcome_and_those_that_fail_say_why(here: Path, tiny_model: Path, threads: int) -> None:
    told: list[Outcome] = []
    steps: list[tuple[str, int, int, str]] = []
    photos = segment_photos(
        ["missing.png", Path("photos"), ""], "out", tiny_model, threads=threads,
        report=told.append, show=lambda *step: steps.append(step),
    )  # fmt: skip
    assert told == photos.outcomes
    by_photo = {outcome.photo and outcome.photo.as_posix(): outcome for outcome in told}  # type: ignore[union-attr]
    assert list(by_photo) == [None, "missing.png", "photos/0.png", "photos/1.png", "photos/2.png"]
    assert [bool(outcome.error) for outcome in told] == [True, True, False, True, False]
    assert photos.failed == [outcome for outcome in told if outcome.result is None]
    assert "names no photo" in str(by_photo[None].error)
    assert "1.png is not an image" in str(by_photo["photos/1.png"].error)
    assert (photos.done, photos.model.name) == (0, "tiny")
    assert steps[-1][:3] == ("segmenting", 5, 5)
    good = by_photo["photos/2.png"]
    assert good.files == (Path("out/2.png"), Path("out/2_overlay.jpg"))
    assert good.result is not None
    assert (good.result.label_map, good.result.overlay) == (b"", None)
    expected = Segmenter.from_pretrained(tiny_model, threads=1).segment("photos/2.png")
    np.testing.assert_array_equal(read_label_map(good.files[0]), expected.labels)
    assert good.result.classes == expected.shares()
    assert {path.name for path in Path("out").iterdir()} == {
        "0.png", "0_overlay.jpg", "2.png", "2_overlay.jpg", "manifest.jsonl",
    }  # fmt: skip


@pytest.mark.usefixtures("here")
def test_called_again_it_does_what_is_left(tiny_model: Path) -> None:
    lines: list[str] = []
    segment_photos("photos", "out", tiny_model, overlay=False)
    again = segment_photos("photos", "out", tiny_model, overlay=False, say=lines.append)
    assert [outcome.photo for outcome in again.outcomes] == [Path("photos/1.png")]
    assert again.done == 2
    assert lines == ["2 of 3 photos are done already; --force does them again"]
    assert segment_photos("photos", "out", tiny_model, overlay=False, overwrite=True).done == 0
    assert segment_photos("photos", "out", tiny_model, Settings(crf=False), overlay=False).done == 0
    assert len(Path("out/manifest.jsonl").read_text().splitlines()) == 3


@pytest.mark.usefixtures("here")
def test_a_single_photo_and_its_manifest(tiny_model: Path) -> None:
    photos = segment_photos("photos/0.png", "masks/cat.png", tiny_model)
    assert photos.outcomes[0].files == (Path("masks/cat.png"), Path("masks/cat_overlay.jpg"))
    assert not Path("masks/manifest.jsonl").exists()
    assert not segment_photos("photos/0.png", "masks/cat.png", tiny_model).failed  # its own results, made anew
    Path("masks/cat.png").write_bytes(b"mine")
    (refused,) = segment_photos("photos/0.png", "masks/cat.png", tiny_model).failed
    assert refused.photo == Path("photos/0.png")
    assert isinstance(refused.error, OutputError)
    segment_photos("photos/0.png", "masks", tiny_model, manifest="own.jsonl", overlay=False)
    assert json.loads(Path("own.jsonl").read_text())["outputs"].keys() == {"0.png"}
    segment_photos(["photos/0.png", "photos/2.png"], "none", tiny_model, manifest=False)
    assert not Path("none/manifest.jsonl").exists()
    with pytest.raises(InputError, match=r"masks/new.png is one file, but there are 3 photos; name a folder"):
        segment_photos("photos", "masks/new.png", tiny_model)


@pytest.mark.usefixtures("here")
def test_some_of_the_crfs_parameters_are_ones_own(tiny_model: Path) -> None:
    segmenter = Segmenter.from_pretrained(tiny_model, threads=1)
    changed = {"bilateral_weight": 9.0, "bilateral_rgb_std": 30.0}
    for settings, own in (
        (Settings(), segmenter.info.crf.params),
        (Settings(CRFSettings(CRFParams(4, 40))), CRFParams(4, 40)),
    ):
        photos = segment_photos("photos/0.png", "out", tiny_model, settings, crf_params=changed, overwrite=True)
        crf = CRFSettings(CRFParams.from_dict({**own.to_dict(), **changed}))
        expected = segmenter.segment("photos/0.png", crf=crf).labels
        np.testing.assert_array_equal(read_label_map(photos.outcomes[0].files[0]), expected)
    for wrong, message in (({"weight": 3}, "unknown CRF parameter weight"), ({"spatial_weight": -1}, "spatial_weight")):
        with pytest.raises(InputError, match=message):
            segment_photos("photos", "new", tiny_model, crf_params=wrong)
    with pytest.raises(InputError, match="crf_params are for the CRF"):
        segment_photos("photos", "new", tiny_model, Settings(crf=False), crf_params=changed)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "nowhere.onnx"}, "nowhere.onnx"),
        ({"threads": 0}, "threads is 0"),
        ({"manifest": "photos/0.png"}, "is no line of a manifest"),
        ({"output": "photos/1.png/out"}, "cannot make folder"),
    ],
)
def test_what_stops_all_photos_is_raised(tiny_model: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(DeepLabError, match=message):
        segment_photos(**({"photos": "photos", "output": "out", "model": tiny_model} | options))  # type: ignore[arg-type]


def test_no_photos_are_no_outcomes(tiny_model: Path, tmp_path: Path) -> None:
    assert segment_photos([], tmp_path, tiny_model)[:2] == ([], 0)
