"""The published archives of data sets and weights: fetched, checked, and unpacked as the readers expect them."""

from deeplab.download.archives import ARCHIVES, Archive, find_archives
from deeplab.download.place import download, is_placed

__all__ = ["ARCHIVES", "Archive", "download", "find_archives", "is_placed"]
