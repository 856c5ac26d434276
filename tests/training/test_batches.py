from __future__ import annotations

import resource
import signal
import threading
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab.data.augment import Augment
from deeplab.data.readers import read_samples
from deeplab.data.samples import load_sample
from deeplab.errors import DataError, DeepLabError, OutputError
from deeplab.network.header import Header
from deeplab.network.variants import VARIANTS
from deeplab.network.vgg import DeepLab
from deeplab.preprocessing import CAFFE_VGG
from deeplab.training.balance import ClassBalance, class_counts
from deeplab.training.batches import Crops, Photos, batches, shuffled_index
from deeplab.training.chance import Stream, draw
from deeplab.training.machine import Machine, Process
from deeplab.training.recipe import Recipe
from deeplab.training.run import Run
from deeplab.training.warm_up import Features, store_features

ALONE = Process(torch.device("cpu"))


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_every_pass_is_a_permutation(count: int, seed: int) -> None:
    stream = [shuffled_index(position, count, seed) for position in range(3 * count)]
    for epoch in range(3):
        assert sorted(stream[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_passes_differ_and_seeds_differ() -> None:
    def order(epoch: int, seed: int) -> list[int]:
        return [shuffled_index(50 * epoch + place, 50, seed) for place in range(50)]

    assert order(0, 1) != order(1, 1) != order(0, 2)


@pytest.fixture
def crops(data: Path) -> Crops:
    return Crops(Photos(read_samples("folder", data / "set", "all"), CAFFE_VGG), CAFFE_VGG, 41, seed=4)


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_things_are_pasted_onto_as_many_crops_as_asked_for(crops: Crops, part: float) -> None:
    things = ClassBalance(class_counts(crops.photos.samples), 4)
    pasted = replace(crops, augment=Augment(copy_paste=part), things=things)
    pairs = [(crops(number), pasted(number)) for number in range(60)]
    changed = [not np.array_equal(plain[0], other[0]) for plain, other in pairs]
    asked = [draw(Stream.PASTE, 4, number).random() < part for number in range(60)]
    assert not any(did and not wanted for did, wanted in zip(changed, asked, strict=True))
    assert sum(changed) >= sum(asked) / 2  # a thing that covers more than half of its crop is not taken
    for plain, other in pairs:
        differs = (plain[0] != other[0]).any(axis=0)[::8, ::8]
        assert np.array_equal(plain[1][~differs], other[1][~differs])
    assert all(np.array_equal(pasted(number)[0], pairs[number][1][0]) for number in (0, 31, 59))


def test_batches_run_across_the_end_of_a_pass_and_start_anywhere(crops: Crops) -> None:
    pairs = list(islice(batches(crops, 2, first=0), 4))
    assert pairs[0][0].shape == (2, 3, 41, 41)
    assert pairs[0][0].is_contiguous(memory_format=torch.channels_last)
    assert (pairs[0][1].shape, pairs[0][1].dtype) == ((2, 6, 6), torch.int64)
    (single,) = islice(batches(crops, 5, first=3), 1)  # examples 3 … 7
    assert torch.equal(single[0], torch.cat([inputs for inputs, _ in pairs])[3:])
    assert torch.equal(single[1], torch.cat([labels for _, labels in pairs])[3:])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_processes_share_the_batches_of_one(crops: Crops, count: int) -> None:
    alone = list(islice(batches(crops, 2, first=4), 6))
    shared = [islice(batches(crops, 2, first=4, share=(rank, count), workers=2), 6 // count) for rank in range(count)]
    for number, dealt in enumerate(zip(*shared, strict=True)):
        for rank, batch in enumerate(dealt):
            expected = alone[number * count + rank]
            assert all(torch.equal(found, wanted) for found, wanted in zip(batch, expected, strict=True))


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 99))
def test_many_threads_keep_the_order(workers: int, size: int, first: int) -> None:
    def example(number: int) -> Any:
        threading.Event().wait((number * 7 % 5) / 2000)  # later ones are often done first
        return np.full((1, 2, 2), number, np.float32), np.full((2, 2), number % 251, np.uint8)

    loaded = islice(batches(example, size, first, workers=workers), 4)
    numbers = [int(value) for inputs, _ in loaded for value in inputs[:, 0, 0, 0]]
    assert numbers == list(range(first, first + 4 * size))


def test_a_bad_photo_is_named_when_its_turn_comes(crops: Crops) -> None:
    crops.photos.samples[1].photo.write_bytes(b"no photo")
    with pytest.raises(DeepLabError, match=r"1\.png is not an image"):
        list(islice(batches(crops, 1, first=0, workers=2), 3))


def test_bad_photos_are_left_out_only_if_asked_each_named_once(crops: Crops) -> None:
    samples, lines = crops.photos.samples, list[str]()
    samples[1].photo.write_bytes(b"no photo")
    skipping = replace(crops, photos=Photos(samples, CAFFE_VGG, skip=lines.append))
    loaded = list(islice(batches(skipping, 3, first=0), 4))
    assert len(loaded) == 4
    (line,) = lines
    assert line.startswith("left out: ")
    assert "1.png is not an image" in line
    for sample in samples:
        sample.mask.write_bytes(b"no mask")
    with pytest.raises(DataError, match="none of the photos can be read"):
        next(batches(replace(crops, photos=Photos(samples, CAFFE_VGG, skip=str)), 1, first=0))


def test_photos_stay_in_memory_as_long_as_there_is_room(crops: Crops) -> None:
    samples = crops.photos.samples
    photos = Photos(samples, CAFFE_VGG, cache_bytes=50 * 60 * 4 + 45 * 44 * 4)  # the first two
    expected = [photos.load(index) for index in range(3)]
    for sample in samples[:2]:
        sample.photo.unlink()
    for index in range(3):
        assert all(np.array_equal(a, b) for a, b in zip(photos.load(index), expected[index], strict=True))
    samples[2].photo.unlink()
    with pytest.raises(DeepLabError, match="no such file"):
        photos.load(2)


def test_crops_are_cut_from_photos_as_large_as_the_network_sees_them(crops: Crops) -> None:
    """Photos of 50x60, 45x44 and 30x70 with rectangles whose sides halve with them."""
    samples = crops.photos.samples
    photos = Photos(samples, replace(CAFFE_VGG, max_side_px=35))
    for index, size in enumerate(((29, 35), (35, 34), (15, 35))):
        image, labels = photos.load(index)
        full_image, full_labels = load_sample(samples[index])
        assert image.shape == (*size, 3)
        assert labels.shape == size
        assert set(np.unique(labels)) <= set(np.unique(full_labels))
        for label in (1, 2):
            share = (labels == label).mean() / (full_labels == label).mean()
            assert share == pytest.approx(1, abs=0.25)  # of whole pixels
        inside = labels == 1
        assert image[inside].mean(axis=0) == pytest.approx(full_image[full_labels == 1].mean(axis=0), abs=15)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> DeepLab:
    monkeypatch.setattr("deeplab.network.variants.CONV_CHANNELS", ((4, 4), (4, 4), (8,) * 3, (8,) * 3, (8,) * 3))
    torch.manual_seed(0)
    model = DeepLab(VARIANTS["largefov"], 3)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def storing(recipe: Recipe, data: Path, tmp_path: Path, model: DeepLab) -> Run:
    """A run that stores features in `tmp_path`."""
    samples = read_samples("folder", data / "set", "all")
    crops = Crops(Photos(samples, CAFFE_VGG), CAFFE_VGG, 41, seed=9)
    header = Header(model.variant, samples[0].label_set, CAFFE_VGG)
    return Run(
        recipe, Machine(), ALONE, model, model, None, header, crops, {}, None, (), tmp_path, str, lambda *_: None, str
    )


def test_stored_features_are_the_trunks_and_survive_a_stop(
    storing: Run, model: DeepLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplab.training.warm_up.CROPS_BETWEEN_MARKS", 2)
    steps: list[tuple[int, int]] = []

    def show(stage: str, done: int, count: int, facts: str) -> None:
        steps.append((done, count))
        if len(steps) == 4:
            raise KeyboardInterrupt

    storing.show = show
    with pytest.raises(KeyboardInterrupt):
        store_features(storing, 6)
    features, labels = store_features(storing, 6)
    assert steps == [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]
    pixels, expected = next(batches(storing.crops, 6, first=0))
    with torch.no_grad():
        trunk = model.train().trunk(pixels).permute(0, 2, 3, 1)
    found = torch.from_numpy(np.array(features)).view(torch.bfloat16).float()
    torch.testing.assert_close(found, trunk, rtol=2**-7, atol=1e-6)
    np.testing.assert_array_equal(labels, expected.numpy())


@pytest.mark.parametrize("said", ["", "-1", "7", "9" * 5000, "four"])
def test_a_damaged_mark_is_named(storing: Run, tmp_path: Path, said: str) -> None:
    store_features(storing, 2)
    (tmp_path / "warm_up_done_0_of_1.txt").write_text(said)
    with pytest.raises(OutputError, match=r"warm_up_done_0_of_1\.txt is damaged; delete"):
        store_features(storing, 2)


def test_features_that_were_cut_off_are_stored_anew(storing: Run, tmp_path: Path) -> None:
    expected = np.array(store_features(storing, 2)[0])
    with (tmp_path / "warm_up_features.u16").open("r+b") as file:
        file.truncate(100)
    np.testing.assert_array_equal(store_features(storing, 2)[0], expected)


def test_features_that_do_not_fit_on_the_disk_are_an_error(
    storing: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(OutputError, match=r"needs 0\.0 GB for the warm-up's features"):
        store_features(storing, 3)
    assert list(tmp_path.glob("warm_up*")) == []


def test_a_disk_that_fills_up_keeps_what_is_stored(
    storing: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplab.training.warm_up.CROPS_BETWEEN_MARKS", 2)
    expected = np.array(store_features(storing, 6)[0])
    for path in tmp_path.glob("warm_up_*"):
        path.unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def show(stage: str, done: int, count: int, facts: str) -> None:
        if done == 3:  # beyond this no file takes more
            resource.setrlimit(resource.RLIMIT_FSIZE, (expected.nbytes // 2, hard))

    storing.show = show
    try:
        with pytest.raises(OutputError, match=r"cannot store the warm-up's features in .*: File too large; make room"):
            store_features(storing, 6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert (tmp_path / "warm_up_done_0_of_1.txt").read_text() == "2"
    storing.show = lambda *_: None
    np.testing.assert_array_equal(store_features(storing, 6)[0], expected)


def test_features_and_labels_are_mirrored_together() -> None:
    places = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
    bits = torch.from_numpy(places[..., None].astype(np.float32)).bfloat16().view(torch.uint16).numpy()
    inputs, labels = next(batches(Features(bits, places, seed=1), 30, first=0))
    assert (inputs.shape, inputs.dtype) == ((30, 1, 3, 4), torch.float32)
    assert torch.equal(inputs[:, 0].long(), labels)  # the same places, in the same order
    mirrored = int((labels[:, 0, 0] > labels[:, 0, -1]).sum())
    assert 5 < mirrored < 25
