"""See `densecrf.pydensecrf.densecrf`."""

from densecrf.pydensecrf.densecrf import *  # noqa: F403
