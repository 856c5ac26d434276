"""The names of the package pydensecrf, answered by densecrf."""

from pydensecrf import densecrf, utils

__all__ = ["densecrf", "utils"]
