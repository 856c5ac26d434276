"""The dense CRF as a differentiable layer, on the CPU and on a GPU. Needs PyTorch; `deeplab.crf` itself does not.

``MeanField`` sits between a network and its loss; ``mean_field`` takes any kernels over any points.

Zheng et al., "Conditional Random Fields as Recurrent Neural Networks", ICCV 2015.
"""

from deeplab.crf.torch.features import bilateral_features, spatial_features
from deeplab.crf.torch.filters import gaussian_filter
from deeplab.crf.torch.inference import Kernel, mean_field
from deeplab.crf.torch.layer import MeanField
from deeplab.crf.torch.loss import dense_crf_loss

__all__ = [
    "Kernel",
    "MeanField",
    "bilateral_features",
    "dense_crf_loss",
    "gaussian_filter",
    "mean_field",
    "spatial_features",
]
