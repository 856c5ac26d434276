"""Videos: streamed, segmented by a CRF that spans frames, and written as videos or label maps. Needs PyAV."""

from deeplab.video.clip import VIDEO_SUFFIXES
from deeplab.video.cuts import CUT_THRESHOLD, cut_strength
from deeplab.video.flicker import flicker
from deeplab.video.segment_video import SPAN_FRAMES, SegmentedVideo, segment_video
from deeplab.video.temporal_crf import refine_frames

__all__ = [
    "CUT_THRESHOLD",
    "SPAN_FRAMES",
    "VIDEO_SUFFIXES",
    "SegmentedVideo",
    "cut_strength",
    "flicker",
    "refine_frames",
    "segment_video",
]
