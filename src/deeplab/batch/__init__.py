"""Many photos in, files out: which are meant, what is done already, the work on all cores or on a cluster."""

from deeplab.batch.jobs import Outcome
from deeplab.batch.results import Result, Settings
from deeplab.batch.segment_photos import SegmentedPhotos, segment_photos

__all__ = ["Outcome", "Result", "SegmentedPhotos", "Settings", "segment_photos"]
