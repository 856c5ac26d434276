"""Sharpen any model's output: its scores or label map understood, brought to the photo's size, refined by the CRF."""

from deeplab.refinement.depth_files import load_depth
from deeplab.refinement.probabilities import to_probabilities
from deeplab.refinement.refine_scores import Refinement, refine_scores
from deeplab.refinement.score_files import load_scores
from deeplab.refinement.understanding import Understanding, understand

__all__ = [
    "Refinement",
    "Understanding",
    "load_depth",
    "load_scores",
    "refine_scores",
    "to_probabilities",
    "understand",
]
