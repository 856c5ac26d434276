"""The page's photos, kept for a while with their scores, so that only the CRF need run again."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from deeplab.server.errors import ApiError
from deeplab.server.page_jobs import Opened
from deeplab.server.uploads import Upload


@dataclass
class KeptPhoto:
    """A photo of the page.

    Attributes:
        upload: the file as it came, from which results of full size are made.
        model: the name of the model that saw it.
        opened: the network's look at it, over a working copy.
        expires: when it is forgotten unless used, on the monotonic clock.
    """

    upload: Upload
    model: str
    opened: Opened
    expires: float = 0.0

    @property
    def bytes(self) -> int:
        """The memory it takes, about."""
        look = self.opened.look
        return len(self.upload.data) + look.photo.nbytes + look.scores.nbytes + len(self.opened.network)


class Photos:
    """Keeps photos under names that nobody can guess; the least recently used go first."""

    def __init__(self, most: int, most_bytes: int, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.keep_s = keep_s
        self._most, self._most_bytes, self._clock = most, most_bytes, clock
        self._kept: OrderedDict[str, KeptPhoto] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are kept."""
        self._forget_expired()
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """The memory they take, about."""
        return sum(photo.bytes for photo in self._kept.values())

    def keep(self, photo: KeptPhoto) -> str:
        """Keep a photo and return its id."""
        photo_id = secrets.token_urlsafe(16)
        photo.expires = self._clock() + self.keep_s
        self._kept[photo_id] = photo
        self._forget_expired()
        while len(self._kept) > 1 and (len(self._kept) > self._most or self.bytes > self._most_bytes):
            self._kept.popitem(last=False)
        return photo_id

    def find(self, photo_id: str) -> KeptPhoto:
        """Return a photo, whose time then begins anew.

        Raises:
            ApiError: it is not kept, or not any more.
        """
        self._forget_expired()
        if photo_id not in self._kept:
            raise ApiError(404, "unknown_photo", "this photo is not kept, or not any more; send it again")
        photo = self._kept[photo_id]
        photo.expires = self._clock() + self.keep_s
        self._kept.move_to_end(photo_id)
        return photo

    def forget(self, photo_id: str) -> None:
        """Forget a photo.

        Raises:
            ApiError: it is not kept.
        """
        self.find(photo_id)
        del self._kept[photo_id]

    def _forget_expired(self) -> None:
        now = self._clock()  # the oldest come first, as every use moves a photo to the end
        while self._kept and next(iter(self._kept.values())).expires <= now:
            self._kept.popitem(last=False)
