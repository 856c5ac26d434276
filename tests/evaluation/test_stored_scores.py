from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from deeplab.data.samples import Sample
from deeplab.errors import DataError, ImageError, ModelError, OutputError
from deeplab.evaluation.stored_scores import StoredScores, open_scores, store_scores
from deeplab.files import sha256_of
from deeplab.images import read_image
from deeplab.labels import VOC
from deeplab.models import ModelInfo
from deeplab.preprocessing import PAPER, grid_size
from deeplab.segment import Segmenter

INFO = ModelInfo("tiny", "largefov", VOC, PAPER)
OTHER = ModelInfo("other", "largefov", VOC, PAPER)


class CountingNetwork:
    """Random scores, the same for the same photo, and how many photos were scored."""

    def __init__(self, info: ModelInfo = INFO, sha256: str = "ab12") -> None:
        self.info, self.sha256 = info, sha256
        self.calls = 0

    def scores(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.calls += 1
        cells = [(grid_size(side) - 1) // 8 + 1 for side in image.shape[:2]]
        return np.random.default_rng(image.sum()).normal(0, 6, (21, *cells)).astype(np.float32)


def store(samples: Sequence[Sample], folder: Path, network: Any = None, **options: Any) -> StoredScores:
    return store_scores(samples, folder, Segmenter(network or CountingNetwork()), **options)


def test_scores_come_back_as_they_were_up_to_a_constant(samples: Sequence[Sample], tmp_path: Path) -> None:
    score = CountingNetwork()
    steps: list[tuple[str, int, int, str]] = []
    store(samples, tmp_path / "new" / "scores", score, show=lambda *step: steps.append(step))
    stored = open_scores(tmp_path / "new" / "scores")
    assert (stored.info, stored.model_sha256) == (INFO, "ab12")
    assert steps == [("scoring", done, 3, "") for done in range(1, 4)]
    for sample in samples:
        image = read_image(sample.photo)
        scores, photo_size, network_size, _ = stored.load(sample.name)
        truth = score.scores(image)
        assert scores.dtype == np.float32
        assert photo_size == network_size == image.shape[:2]
        np.testing.assert_allclose(scores, truth - truth.max(axis=0), rtol=2**-11)
        assert np.load(stored.path(sample.name))["scores"].dtype == np.float16


@given(st.integers(0, 2**32 - 1), st.floats(-1e4, 1e4))
def test_a_constant_added_to_all_scores_changes_no_stored_one(seed: int, constant: float) -> None:
    from deeplab.evaluation.stored_scores import _compact

    scores = np.random.default_rng(seed).integers(-100, 100, (3, 2, 2)).astype(np.float64)
    sample = Sample("x", Path("x.jpg"), Path("x.png"), VOC)
    np.testing.assert_array_equal(_compact(scores, sample, 3), _compact(scores + round(constant), sample, 3))


def test_intact_scores_are_not_computed_again(samples: Sequence[Sample], tmp_path: Path) -> None:
    store(samples[:2], tmp_path / "s")
    again = CountingNetwork()
    store(samples, tmp_path / "s", again)
    assert again.calls == 1


def test_a_changed_photo_is_scored_again(samples: Sequence[Sample], tmp_path: Path) -> None:
    store(samples, tmp_path / "s")
    changed = samples[1].photo
    Image.fromarray(255 - read_image(changed)).save(changed)  # of the same name and size
    again = CountingNetwork()
    stored = store(samples, tmp_path / "s", again)
    assert again.calls == 1
    truth = again.scores(read_image(changed))
    np.testing.assert_allclose(stored.load("photo1").scores, truth - truth.max(axis=0), rtol=2**-11)
    assert stored.load("photo1").photo_sha256 == sha256_of(changed)


def test_a_missing_photo_is_an_image_error(samples: Sequence[Sample], tmp_path: Path) -> None:
    samples[0].photo.unlink()
    with pytest.raises(ImageError, match=r"cannot read .*0\.ppm: No such file"):
        store(samples, tmp_path / "s")


REST: dict[str, Any] = {"photo_size": (9, 9), "network_size": (9, 9), "photo_sha256": "ab12"}


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def damage_flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[300] ^= 0x55
    path.write_bytes(content)


def damage_nan(path: Path) -> None:
    np.savez(path, scores=np.full((21, 2, 2), np.nan, np.float16), **REST)


def damage_labels(path: Path) -> None:
    np.savez(path, scores=np.zeros((5, 2, 2), np.float16), **REST)


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_keys(path: Path) -> None:
    np.savez(path, probabilities=np.zeros(3))


DAMAGES = (damage_truncate, damage_flip, damage_nan, damage_labels, damage_empty, damage_keys)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_mended(samples: Sequence[Sample], tmp_path: Path, damage: Any) -> None:
    stored = store(samples, tmp_path / "s")
    sound = stored.load("photo1").scores
    damage(stored.path("photo1"))
    with pytest.raises(DataError, match=r"photo1\.npz .*store the scores again"):
        stored.load("photo1")
    again = CountingNetwork()
    store(samples, tmp_path / "s", again)
    assert again.calls == 1
    np.testing.assert_array_equal(stored.load("photo1").scores, sound)


def test_another_models_folder_is_refused_unless_forced(samples: Sequence[Sample], tmp_path: Path) -> None:
    store(samples, tmp_path / "s")
    with pytest.raises(OutputError, match=r"holds scores of another model, 'tiny' .*another folder, or --force"):
        store(samples, tmp_path / "s", CountingNetwork(OTHER, "cd34"))
    assert open_scores(tmp_path / "s").info.name == "tiny"
    score = CountingNetwork(OTHER, "cd34")
    store(samples[:1], tmp_path / "s", score, force=True)
    assert score.calls == 1
    assert open_scores(tmp_path / "s").info.name == "other"
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["photo0.npz", "scores.json"]


def test_force_keeps_the_models_own_scores_and_mends_a_damaged_header(
    samples: Sequence[Sample], tmp_path: Path
) -> None:
    store(samples, tmp_path / "s")
    score = CountingNetwork()
    store(samples, tmp_path / "s", score, force=True)
    assert score.calls == 0
    (tmp_path / "s" / "scores.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        store(samples, tmp_path / "s", score)
    store(samples, tmp_path / "s", score, force=True)
    assert score.calls == 3


def test_a_folder_of_other_archives_is_never_touched(samples: Sequence[Sample], tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", precious=np.arange(3))
    with pytest.raises(OutputError, match="no stored scores of ours"):
        store(samples, tmp_path, force=True)
    assert (tmp_path / "mine.npz").is_file()


@pytest.mark.parametrize("bad", [np.full((21, 2, 2), np.nan), np.zeros((21, 2)), np.zeros((4, 2, 2))])
def test_bad_scores_are_not_stored(samples: Sequence[Sample], tmp_path: Path, bad: Any) -> None:
    with pytest.raises(ModelError, match="the network gave"):
        store(samples, tmp_path / "s", Mock(info=INFO, sha256="ab12", scores=lambda image: bad))
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["scores.json"]


def test_scores_of_a_smaller_copy_remember_its_size(samples: Sequence[Sample], tmp_path: Path) -> None:
    small = replace(INFO, preprocessing=replace(INFO.preprocessing, max_side_px=31))
    stored = store(samples[:1], tmp_path / "s", CountingNetwork(small))
    scores, photo_size, network_size, _ = stored.load("photo0")
    assert (scores.shape, photo_size, network_size) == ((21, 4, 5), (40, 61), (20, 31))


def test_what_is_no_folder_of_scores_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no stored scores"):
        open_scores(tmp_path)
    (tmp_path / "scores.json").write_text('{"format": 1')
    with pytest.raises(DataError, match="is damaged"):
        open_scores(tmp_path)
    (tmp_path / "scores.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="has format 99, expected 1"):
        open_scores(tmp_path)
