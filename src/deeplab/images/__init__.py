"""Photos in, smaller copies and overlays out.

Every photo becomes an upright (H, W, 3) uint8 RGB array, and every file is written whole or not at all.
"""

from deeplab.images.drawing import encode_jpeg, overlay_image, resized, shrunk, write_jpeg
from deeplab.images.files import PHOTO_SUFFIXES, open_image
from deeplab.images.kinds import not_taken
from deeplab.images.reading import Photo, Reading, check_bands, read_image, read_photo
from deeplab.images.values import AssumptionWarning, check_range

__all__ = [
    "PHOTO_SUFFIXES", "AssumptionWarning", "Photo", "Reading", "check_bands", "check_range",
    "encode_jpeg", "not_taken", "open_image",
    "overlay_image", "read_image", "read_photo", "resized", "shrunk", "write_jpeg",
]  # fmt: skip
