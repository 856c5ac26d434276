from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from deeplab import look
from deeplab.crf import CRFParams, CRFSettings
from deeplab.data.samples import Sample, load_mask, load_sample
from deeplab.errors import DataError, ImageError, InputError
from deeplab.evaluation.confusion import Confusion
from deeplab.evaluation.evaluate import Extras, evaluate_predictions, evaluate_scores, load_scored
from deeplab.evaluation.stored_scores import StoredScores, store_scores
from deeplab.evaluation.tables import format_table, to_json
from deeplab.label_maps import write_label_map
from deeplab.labels import CAMVID, VOC
from deeplab.models import ModelInfo
from deeplab.preprocessing import PAPER
from deeplab.runtime import ScoreNetwork
from deeplab.segment import Segmenter

INFO = ModelInfo("tiny", "largefov", VOC, PAPER)


@pytest.mark.parametrize("threads", [1, 2])
def test_evaluation_counts_what_the_main_path_labels(
    samples: Sequence[Sample], scores: StoredScores, tiny_model: Path, threads: int
) -> None:
    result = evaluate_scores(samples, scores, crf=scores.info.crf, threads=threads)
    segmenter = Segmenter.from_pretrained(tiny_model, threads=1)
    for way, crf in (("network", False), ("network + CRF", True)):
        expected = Confusion.empty(VOC)
        for sample in samples:
            expected += Confusion.of(load_mask(sample), segmenter.segment(sample.photo, crf=crf).labels, VOC)
        off = np.abs(result.outcomes[way].confusion.counts - expected.counts).sum()
        assert off <= 2 * 0.005 * expected.counts.sum()  # float16 scores turn a few near ties
    assert result.photos == len(samples)


@pytest.mark.parametrize("crf_pixels", [10**6, 500])
def test_a_photo_that_network_and_crf_see_smaller_is_counted_as_the_main_path_labels_it(
    samples: Sequence[Sample], tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, crf_pixels: int
) -> None:
    monkeypatch.setattr(look, "MAX_CRF_PIXELS", crf_pixels)
    network = ScoreNetwork(tiny_model, threads=1)
    network.info = replace(network.info, preprocessing=replace(network.info.preprocessing, max_side_px=33))
    stored = store_scores(samples, tmp_path / "s", Segmenter(network))
    strong = CRFSettings(CRFParams(9, 40, 30, 5, 5))
    result = evaluate_scores(samples, stored, crf=strong).outcomes["network + CRF"].confusion.counts
    segmenter = Segmenter(network, threads=1)
    network.info = replace(network.info, crf=strong)
    expected = sum(Confusion.of(load_mask(s), segmenter.segment(s.photo).labels, VOC).counts for s in samples)
    assert np.abs(result - expected).sum() <= 2 * 0.01 * result.sum()


def test_without_crf_only_the_network_is_counted(samples: Sequence[Sample], scores: StoredScores) -> None:
    steps: list[tuple[str, int, int, str]] = []
    result = evaluate_scores(samples, scores, show=lambda *step: steps.append(step))
    assert list(result.outcomes) == ["network"]
    assert steps == [("evaluating", done, 3, "") for done in range(1, 4)]
    with_crf = evaluate_scores(samples, scores, crf=CRFSettings(CRFParams(0, spatial_weight=0)))
    for outcome in with_crf.outcomes.values():  # a CRF without weights moves nothing
        np.testing.assert_array_equal(outcome.confusion.counts, result.outcomes["network"].confusion.counts)


def test_true_scores_give_a_full_mark(samples: Sequence[Sample], tmp_path: Path) -> None:
    """At stride 1 the scores are the labels themselves: interpolation must be the identity."""
    masks = iter([load_mask(sample) for sample in samples])

    def scores(image: np.ndarray) -> np.ndarray:
        labels = next(masks)
        return 9.0 * (np.arange(21)[:, None, None] == np.where(labels == VOC.void, 0, labels))

    network: Any = Mock(info=replace(INFO, output_stride=1), sha256="ab12", scores=scores)
    stored = store_scores(samples, tmp_path / "true", Segmenter(network))
    assert evaluate_scores(samples, stored).outcomes["network"].confusion.mean_iou == 1.0


def test_missing_scores_stop_the_evaluation(samples: Sequence[Sample], scores: StoredScores) -> None:
    scores.path("photo1").unlink()
    with pytest.raises(DataError, match=r"photo1\.npz is missing"):
        evaluate_scores(samples, scores, threads=2)


def test_scores_of_a_photo_of_another_size_are_refused(samples: Sequence[Sample], scores: StoredScores) -> None:
    scores.path("photo1").write_bytes(scores.path("photo0").read_bytes())
    with pytest.raises(DataError, match=r"belongs to a photo of 61x40 px, but .* has 33x57"):
        evaluate_scores(samples, scores)


def test_scores_of_a_photo_that_changed_are_refused(samples: Sequence[Sample], scores: StoredScores) -> None:
    photo = samples[1].photo
    Image.fromarray(np.zeros((57, 33, 3), np.uint8)).save(photo)
    with pytest.raises(DataError, match=r"1\.ppm has changed since its scores were stored"):
        evaluate_scores(samples, scores)


def test_a_photo_that_vanishes_is_a_photos_error(
    samples: Sequence[Sample], scores: StoredScores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_and_lose(sample: Sample) -> Any:
        loaded = load_sample(sample)
        sample.photo.unlink()
        return loaded

    monkeypatch.setattr("deeplab.evaluation.evaluate.load_sample", load_and_lose)
    with pytest.raises(ImageError, match=r"cannot read .*\.ppm: No such file; check the path"):
        load_scored(samples[0], scores)


def test_a_model_of_other_labels_is_refused(samples: Sequence[Sample], scores: StoredScores) -> None:
    with pytest.raises(DataError, match="has the labels of 'voc', which differ from those expected, 'camvid'"):
        evaluate_scores(samples, replace(scores, info=replace(scores.info, label_set=CAMVID)))


def test_no_photos_and_no_threads_are_errors(samples: Sequence[Sample], scores: StoredScores) -> None:
    with pytest.raises(DataError, match="no photos to evaluate"):
        evaluate_scores([], scores)
    with pytest.raises(InputError, match="threads is 0; expected an integer, at least 1"):
        evaluate_scores(samples, scores, threads=0)


def write_predictions(samples: Sequence[Sample], folder: Path) -> None:
    folder.mkdir()
    for sample in samples:
        labels = load_mask(sample)
        write_label_map(folder / f"{sample.name}.png", np.where(labels == VOC.void, 0, labels), VOC)


def test_predicted_label_maps_are_counted(samples: Sequence[Sample], tmp_path: Path) -> None:
    write_predictions(samples, tmp_path / "results")
    result = evaluate_predictions(samples, tmp_path / "results")
    assert result.outcomes["predictions"].confusion.pixel_accuracy == 1.0
    assert result.outcomes["predictions"].confusion.counts.sum() == sum(
        (load_mask(s) != VOC.void).sum() for s in samples
    )


def test_bad_predictions_are_named(samples: Sequence[Sample], tmp_path: Path) -> None:
    folder = tmp_path / "results"
    write_predictions(samples, folder)
    path = folder / "photo1.png"
    Image.fromarray(np.full((57, 33), 21, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"photo1\.png: predicted label 21 is out of range"):
        evaluate_predictions(samples, folder)
    Image.fromarray(np.zeros((33, 57), np.uint8)).save(path)
    with pytest.raises(DataError, match=r"photo1\.png: truth is \(57, 33\) but the prediction \(33, 57\)"):
        evaluate_predictions(samples, folder)
    Image.fromarray(np.zeros((57, 33, 3), np.uint8)).save(path)
    with pytest.raises(ImageError, match="mode RGB"):
        evaluate_predictions(samples, folder)
    path.unlink()
    with pytest.raises(DataError, match=r"photo1\.png is missing"):
        evaluate_predictions(samples, folder)


def test_the_parts_of_the_photos_add_up_to_the_whole(samples: Sequence[Sample], tmp_path: Path) -> None:
    write_predictions(samples, tmp_path / "results")
    extras = Extras("classes", boundary_f1=True)
    one, two = (evaluate_predictions(samples, tmp_path / "results", extras=extras, threads=n) for n in (1, 2))
    outcome = one.outcomes["predictions"]
    np.testing.assert_array_equal(outcome.tallies.sum(0), outcome.confusion.tally)
    assert outcome.bands is not None
    assert outcome.bands.shape == (3, 40, 3, 21)
    assert outcome.boundary_f1 is not None
    np.testing.assert_array_equal(outcome.boundary_f1[:, 1], [1, 1, 1])
    for name in ("tallies", "bands", "boundary_f1"):
        np.testing.assert_array_equal(getattr(outcome, name), getattr(two.outcomes["predictions"], name))
    assert one.facts["trimap_around"] == "classes"


def test_a_set_without_a_single_known_pixel_has_no_figures(samples: Sequence[Sample], tmp_path: Path) -> None:
    write_predictions(samples, tmp_path / "results")
    for sample in samples:
        write_label_map(sample.mask, np.full_like(load_mask(sample), VOC.void), VOC, overwrite=True)
    evaluation = evaluate_predictions(samples, tmp_path / "results", extras=Extras("void", boundary_f1=True))
    means = format_table(evaluation, resamples=20).splitlines()[-5:-1]
    assert [line.split()[-1] for line in means] == ["–"] * len(means)
    results = json.loads(json.dumps(to_json(evaluation, resamples=20), allow_nan=False))["results"]["predictions"]
    assert results["mean_iou"] is None
    assert results["intervals"]["boundary_f1"] == [None, None]


def test_settings_are_recorded(samples: Sequence[Sample], scores: StoredScores, tiny_model: Path) -> None:
    facts = evaluate_scores(samples, scores, crf=CRFSettings(CRFParams(4, 49, 3), 5, "symmetric")).facts
    assert facts["model"] == "tiny"
    assert facts["model_sha256"] == hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert facts["crf"]["iterations"] == 5
    assert facts["crf"]["normalization"] == "symmetric"
    assert facts["crf"]["params"]["bilateral_xy_std_px"] == 49
    json.dumps(facts, allow_nan=False)
