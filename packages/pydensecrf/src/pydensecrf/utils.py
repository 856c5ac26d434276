"""See `densecrf.pydensecrf.utils`."""

from densecrf.pydensecrf.utils import *  # noqa: F403
