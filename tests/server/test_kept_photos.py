"""The photos that are kept: how many, how large, how long."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from deeplab.crf import CRFParams, CRFSettings
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.models import ModelInfo
from deeplab.preprocessing import PAPER
from deeplab.server import sliders
from deeplab.server.errors import ApiError
from deeplab.server.page_jobs import Opened
from deeplab.server.photos import KeptPhoto, Photos
from deeplab.server.schemas import CRFRequest
from deeplab.server.uploads import Upload

INFO = ModelInfo("tiny", "largefov", LabelSet("two", ("ground", "cat")), PAPER)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def photo(side: int = 10) -> KeptPhoto:
    image = np.zeros((side, side, 3), np.uint8)
    look = Look(image, np.zeros((2, 3, 3), np.float32), (side, side), INFO)
    return KeptPhoto(Upload("a.png", bytes(side)), "tiny", Opened(look, (side, side), bytes(2 * side * side)))


def is_kept(photos: Photos, photo_id: str) -> bool:
    with suppress(ApiError):
        return photos.find(photo_id) is not None
    return False


def test_the_least_recently_used_goes_first() -> None:
    photos = Photos(2, 10**9, 100)
    first, second = photos.keep(photo()), photos.keep(photo())
    photos.find(first)
    third = photos.keep(photo())
    assert [is_kept(photos, one) for one in (first, second, third)] == [True, False, True]
    assert len(photos) == 2


def test_their_bytes_are_bounded_but_the_newest_always_stays() -> None:
    assert photo().bytes == 10 + 10 * 10 * (3 + 2) + 2 * 3 * 3 * 4
    photos = Photos(100, 3 * photo().bytes, 100)
    small = [photos.keep(photo()) for _ in range(4)]
    assert [is_kept(photos, one) for one in small] == [False, True, True, True]
    assert photos.bytes == 3 * photo().bytes
    large = photos.keep(photo(100))
    assert len(photos) == 1
    assert is_kept(photos, large)


def test_they_expire_unless_used() -> None:
    clock = Clock()
    photos = Photos(10, 10**9, 100, clock)
    used, unused = photos.keep(photo()), photos.keep(photo())
    clock.now = 60
    photos.find(used)
    clock.now = 110
    assert not is_kept(photos, unused)
    assert is_kept(photos, used)
    clock.now = 300
    assert len(photos) == 0
    assert photos.bytes == 0


def test_their_ids_cannot_be_guessed() -> None:
    photos = Photos(100, 10**9, 100)
    ids = {photos.keep(photo()) for _ in range(100)}
    assert len(ids) == 100
    assert all(len(photo_id) >= 22 for photo_id in ids)  # 128 bits in base 64
    with pytest.raises(ApiError) as unknown:
        photos.forget("x")
    assert unknown.value.status == 404


def test_of_a_model_with_a_deviation_for_each_channel_the_slider_shows_the_mean() -> None:
    crf = CRFSettings(CRFParams(bilateral_rgb_std=(3.0, 4.0, 8.0)))
    kept = photo()
    assert sliders.defaults(kept, crf).bilateral_rgb_std == 5
    asked = CRFRequest(bilateral_rgb_std=5.0, bilateral_weight=7.0)
    assert sliders.chosen(kept, crf, asked).params == replace(crf.params, bilateral_weight=7.0)
    assert sliders.chosen(kept, crf, CRFRequest(bilateral_rgb_std=6.0)).params.bilateral_rgb_std == 6
    learnt = CRFSettings(CRFParams((4, 6), compatibility=[[0, 1], [2, 0]]))  # type: ignore[arg-type]
    assert sliders.defaults(kept, learnt).bilateral_weight == 5
    assert sliders.chosen(kept, learnt, CRFRequest(bilateral_weight=5.0)) == learnt
    assert sliders.chosen(kept, learnt, CRFRequest(bilateral_weight=6.0)).params.bilateral_weight == 6
