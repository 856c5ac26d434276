from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab.data.readers import read_samples
from deeplab.errors import OutputError
from deeplab.network.variants import VARIANTS
from deeplab.network.vgg import DeepLab
from deeplab.preprocessing import CAFFE_VGG
from deeplab.training.batches import crop_batches, shuffled_index
from deeplab.training.warm_up import feature_batches, store_features


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**31))
def test_every_pass_is_a_permutation(count: int, seed: int) -> None:
    stream = [shuffled_index(position, count, seed) for position in range(3 * count)]
    for epoch in range(3):
        part = stream[epoch * count : (epoch + 1) * count]
        assert sorted(index for index, _ in part) == list(range(count))
        assert {number for _, number in part} == {epoch}


def test_passes_differ_and_seeds_differ() -> None:
    def order(epoch: int, seed: int) -> list[int]:
        return [shuffled_index(50 * epoch + place, 50, seed)[0] for place in range(50)]

    assert order(0, 1) != order(1, 1) != order(0, 2)


def test_batches_run_across_the_end_of_a_pass_and_start_anywhere(data: Path) -> None:
    samples = read_samples("folder", data / "set", "all")
    pairs = list(islice(crop_batches(samples, CAFFE_VGG, 41, 2, seed=4, first=0), 4))
    assert pairs[0][0].shape == (2, 3, 41, 41)
    assert pairs[0][0].is_contiguous(memory_format=torch.channels_last)
    assert (pairs[0][1].shape, pairs[0][1].dtype) == ((2, 6, 6), torch.int64)
    (single,) = islice(crop_batches(samples, CAFFE_VGG, 41, 5, seed=4, first=3), 1)  # examples 3 … 7
    assert torch.equal(single[0], torch.cat([inputs for inputs, _ in pairs])[3:])
    assert torch.equal(single[1], torch.cat([labels for _, labels in pairs])[3:])


def test_a_bad_photo_is_named_when_its_turn_comes(data: Path) -> None:
    samples = read_samples("folder", data / "set", "all")
    samples[1].photo.write_bytes(b"no photo")
    with pytest.raises(Exception, match=r"1\.png is not an image"):
        list(islice(crop_batches(samples, CAFFE_VGG, 41, 1, seed=4, first=0), 3))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> DeepLab:
    monkeypatch.setattr("deeplab.network.variants.CONV_CHANNELS", ((4, 4), (4, 4), (8,) * 3, (8,) * 3, (8,) * 3))
    torch.manual_seed(0)
    model = DeepLab(VARIANTS["largefov"], 3)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def test_stored_features_are_the_trunks_and_survive_a_stop(
    data: Path, tmp_path: Path, model: DeepLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplab.training.warm_up.PHOTOS_BETWEEN_MARKS", 2)
    samples = read_samples("folder", data / "set", "all")
    steps: list[tuple[int, int]] = []

    def report(done: int, count: int) -> None:
        steps.append((done, count))
        if len(steps) == 4:
            raise KeyboardInterrupt

    arguments = (model, samples, CAFFE_VGG, 41, 2, 9, tmp_path, torch.float32)
    with pytest.raises(KeyboardInterrupt):
        store_features(*arguments, report)
    features, labels = store_features(*arguments, report)
    assert steps == [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]
    ((pixels, expected),) = islice(crop_batches(samples, CAFFE_VGG, 41, 6, 9, first=0), 1)
    with torch.no_grad():
        trunk = model.train().trunk(pixels).permute(0, 2, 3, 1)
    found = torch.from_numpy(np.array(features)).view(torch.bfloat16).float()
    torch.testing.assert_close(found, trunk, rtol=2**-7, atol=1e-6)
    np.testing.assert_array_equal(labels, expected.numpy())


def test_features_that_do_not_fit_on_the_disk_are_an_error(
    data: Path, tmp_path: Path, model: DeepLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = read_samples("folder", data / "set", "all")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(OutputError, match=r"needs 0\.0 GB for the warm-up's features"):
        store_features(model, samples, CAFFE_VGG, 41, 1, 9, tmp_path, torch.float32, lambda done, count: None)
    assert list(tmp_path.glob("warm_up*")) == []


def test_feature_batches_mirror_features_and_labels_together() -> None:
    places = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
    bits = torch.from_numpy(places[..., None].astype(np.float32)).bfloat16().view(torch.uint16).numpy()
    batches = list(islice(feature_batches(bits, places, 10, seed=1, first=0), 3))
    inputs, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert (inputs.shape, inputs.dtype) == ((30, 1, 3, 4), torch.float32)
    assert torch.equal(inputs[:, 0].long(), labels)  # the same places, in the same order
    mirrored = int((labels[:, 0, 0] > labels[:, 0, -1]).sum())
    assert 5 < mirrored < 25
    (later,) = islice(feature_batches(bits, places, 5, seed=1, first=20), 1)
    assert torch.equal(later[1], labels[20:25])
