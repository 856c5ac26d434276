"""Fully connected conditional random fields: sharpen any model's class probabilities along a photo's edges.

``refine`` is the one-line way for photos; ``DenseCRF`` takes any kernels over any points. Needs NumPy only.

Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011.
"""

from deeplab.crf.depth import Depth
from deeplab.crf.kernels import GaussianKernel, GridKernel, bilateral_kernel, spatial_kernel
from deeplab.crf.loss import dense_crf_loss
from deeplab.crf.mean_field import DenseCRF
from deeplab.crf.params import PARITY, CRFParams, CRFSettings, Shortcuts
from deeplab.crf.photo_kernels import photo_kernels
from deeplab.crf.refine import refine, refine_batch
from deeplab.crf.unary import unary_from_labels, unary_from_probabilities, unary_from_scores
from deeplab.crf.volume import refine_volume

__all__ = [
    "PARITY",
    "CRFParams",
    "CRFSettings",
    "DenseCRF",
    "Depth",
    "GaussianKernel",
    "GridKernel",
    "Shortcuts",
    "bilateral_kernel",
    "dense_crf_loss",
    "photo_kernels",
    "refine",
    "refine_batch",
    "refine_volume",
    "spatial_kernel",
    "unary_from_labels",
    "unary_from_probabilities",
    "unary_from_scores",
]
