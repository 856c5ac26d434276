"""Classes of one's own from a few strokes, boxes or masks: masks at once, and a model for the rest of the folder.

A trunk that has seen ImageNet gives features, a small linear classifier is fitted to what is marked, and the dense CRF
finds the edges, with the marks held fixed. Needs neither PyTorch nor a GPU.
"""

from deeplab.teach.marks import Box, Mark, Mask, Stroke
from deeplab.teach.project import Project
from deeplab.teach.project_file import ProjectPhoto, ProjectState
from deeplab.teach.project_segmenter import ProjectSegmenter
from deeplab.teach.teacher import Teacher

__all__ = [
    "Box", "Mark", "Mask", "Project", "ProjectPhoto", "ProjectSegmenter", "ProjectState", "Stroke", "Teacher",
]  # fmt: skip
