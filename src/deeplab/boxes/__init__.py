"""Boxes around things as labels: read from other tools' files, and made masks by Papandreou et al. 2015."""

from deeplab.boxes.annotations import BoxedPhoto, read_boxes
from deeplab.boxes.masks import BOX_METHODS, bbox_rect, bbox_seg, mask_of

__all__ = ["BOX_METHODS", "BoxedPhoto", "bbox_rect", "bbox_seg", "mask_of", "read_boxes"]
