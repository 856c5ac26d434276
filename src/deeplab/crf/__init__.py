"""Fully connected conditional random fields: sharpen any model's class probabilities along a photo's edges.

``refine`` is the one-line way for photos; ``DenseCRF`` takes any kernels over any points. Needs NumPy only.

Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011.
"""

from deeplab.crf.kernels import GaussianKernel, bilateral_kernel, spatial_kernel
from deeplab.crf.mean_field import DenseCRF
from deeplab.crf.params import CRFParams, CRFSettings
from deeplab.crf.refine import refine

__all__ = ["CRFParams", "CRFSettings", "DenseCRF", "GaussianKernel", "bilateral_kernel", "refine", "spatial_kernel"]
