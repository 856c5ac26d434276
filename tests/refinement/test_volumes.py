"""``deeplab refine-volume``: NIfTI in, NIfTI out, in its place in space."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.crf import refine_volume

nibabel = pytest.importorskip("nibabel", reason="needs nibabel")

Run = Callable[..., Any]

AFFINE = np.array([[-0.8, 0, 0, 40], [0, 0.9, 0, -12], [0, 0, 3, 7], [0, 0, 0, 1]])
COMMAND = ["refine-volume", "ct.nii.gz", "--scores", "p.nii.gz", "--value-std", "60", "-o", "out.nii.gz"]


def save(name: str, values: Any, affine: Any = AFFINE) -> None:
    nibabel.save(nibabel.Nifti1Image(values, affine), name)


@pytest.fixture
def ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """A scan (16, 14, 9) of a ball and a model's probability, as files in the current folder."""
    monkeypatch.chdir(tmp_path)
    z, y, x = np.indices((16, 14, 9)) - np.array([8, 7, 4]).reshape(3, 1, 1, 1)
    distance = np.sqrt((z * 0.8) ** 2 + (y * 0.9) ** 2 + (x * 3) ** 2)
    random = np.random.default_rng(0)
    scan = (np.where(distance < 5, 300, 0) + random.normal(0, 20, distance.shape)).astype(np.int16)
    p = (1 / (1 + np.exp((distance - 6) / 2))).astype(np.float32)
    save("ct.nii.gz", scan)
    save("p.nii.gz", p)
    return scan, p


def test_the_result_lies_where_the_scan_does(run: Run, ball: tuple[Any, Any]) -> None:
    status, out, _ = run(*COMMAND, "--save-probabilities", "q.nii")
    assert status == 0
    assert out.startswith("ct.nii.gz → out.nii.gz, q.nii: ")
    assert "of the voxels changed; 0 " in out
    expected = refine_volume(*ball, spacing_mm=(0.8, 0.9, 3), value_std=60)
    for name, values in (("out.nii.gz", expected.argmax(0)), ("q.nii", np.moveaxis(expected, 0, 3))):
        image = nibabel.load(name)
        np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)
        np.testing.assert_allclose(np.asanyarray(image.dataobj), values, atol=1e-5)
    assert nibabel.load("out.nii.gz").get_data_dtype() == np.uint8


def test_all_that_scores_may_be(run: Run, ball: tuple[Any, Any]) -> None:
    _, p = ball
    assert run(*COMMAND).status == 0
    labels = np.asanyarray(nibabel.load("out.nii.gz").dataobj)
    save("two.nii.gz", np.stack([1 - p, p], axis=-1))
    np.save("two.npy", np.stack([1 - p, p]))
    for name in ("two.nii.gz", "two.npy"):
        assert run(*COMMAND[:3], name, *COMMAND[4:], "--force").status == 0
        assert np.array_equal(np.asanyarray(nibabel.load("out.nii.gz").dataobj), labels)


def test_label_maps_keep_their_labels_and_fill_their_void(run: Run, ball: tuple[Any, Any]) -> None:
    scan, p = ball
    said = np.where(p > 0.5, 7, 300).astype(np.int16)
    said[8, 7, 4] = 9
    save("said.nii.gz", said)
    status, out, _ = run(*COMMAND[:3], "said.nii.gz", *COMMAND[4:], "--void", "9")
    assert status == 0
    found = np.asanyarray(nibabel.load("out.nii.gz").dataobj)
    assert set(np.unique(found)) == {7, 300}
    assert found[8, 7, 4] == 7
    assert ((found == 7) == (scan > 150)).mean() > ((said == 7) == (scan > 150)).mean()
    assert " 300 " in out or "; 7 " in out


def test_several_modalities_and_scaled_values(run: Run, ball: tuple[Any, Any]) -> None:
    scan, p = ball
    image = nibabel.Nifti1Image(scan, AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, "scaled.nii.gz")
    options = ["--scores", "p.nii.gz", "--value-std", "60,30", "-o", "out.nii.gz"]
    assert run("refine-volume", "ct.nii.gz", "scaled.nii.gz", *options).status == 0
    scaled = nibabel.load("scaled.nii.gz").get_fdata(dtype=np.float32)
    expected = refine_volume(np.stack([scan, scaled], -1), p, spacing_mm=(0.8, 0.9, 3), value_std=(60, 30))
    assert (np.asanyarray(nibabel.load("out.nii.gz").dataobj) == expected.argmax(0)).mean() > 0.999


@pytest.mark.usefixtures("ball")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.nii.gz", "--scores", "p.nii.gz", "-o", "out.nii"], "none.nii.gz: no such file"),
        (["ct.dcm", "--scores", "p.nii.gz", "-o", "out.nii"], "volumes are read from NIfTI"),
        (["cut.nii.gz", "--scores", "p.nii.gz", "-o", "out.nii"], "cut.nii.gz cannot be read"),
        (["huge.nii.gz", "--scores", "p.nii.gz", "-o", "out.nii"], "its header promises 30000x30000x30000 voxels"),
        (["text.nii", "--scores", "p.nii.gz", "-o", "out.nii"], "text.nii is no NIfTI volume, or damaged"),
        (["ct.nii.gz", "--scores", "small.nii.gz", "-o", "out.nii"], "4x5x6 voxels, the volume 16x14x9; resample"),
        (["ct.nii.gz", "--scores", "away.nii.gz", "-o", "out.nii"], "lies elsewhere in space"),
        (["ct.nii.gz", "--scores", "flat.nii.gz", "-o", "out.nii"], "a label map of 1 labels"),
        (["ct.nii.gz", "--scores", "p.nii.gz", "-o", "out.png"], "volumes are written as .nii.gz or .nii"),
        (["ct.nii.gz", "--scores", "p.nii.gz", "-o", "p.nii.gz", "--force"], "would replace what was given"),
        (["ct.nii.gz", "--scores", "p.nii.gz", "-o", "ct.nii.gz"], "would replace what was given"),
        (["ct.nii.gz", "--scores", "p.nii.gz", "-o", "out.nii", "--bilateral-std-mm", "0"], "bilateral_std_mm is 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_or_written(run: Run, arguments: list[str], message: str) -> None:
    save("small.nii.gz", np.zeros((4, 5, 6), np.float32))
    save("away.nii.gz", np.zeros((16, 14, 9), np.float32), np.diag([2.0, 2, 2, 1]))
    save("flat.nii.gz", np.zeros((16, 14, 9), np.uint8))
    Path("cut.nii.gz").write_bytes(Path("ct.nii.gz").read_bytes()[:900])
    Path("text.nii").write_text("no volume")
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    Path("huge.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    before = sorted(path.name for path in Path().iterdir())
    status, _, err = run("refine-volume", *arguments, "--value-std", "60")
    assert status == 1
    assert message in err
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.usefixtures("ball")
def test_an_earlier_result_stays_unless_forced(run: Run) -> None:
    assert run(*COMMAND).status == 0
    status, _, err = run(*COMMAND)
    assert status == 1
    assert "out.nii.gz" in err
    assert run(*COMMAND, "--force").status == 0
    status, _, err = run(*COMMAND[:4], "--value-std", "sixty", "-o", "b.nii")
    assert status == 1
    assert "--value-std is 'sixty'" in err
