"""DeepLab: semantic segmentation with atrous convolution and fully connected CRFs."""

from deeplab.crf import CRFParams, CRFSettings, refine
from deeplab.errors import DataError, DeepLabError, ImageError, InputError, ModelError, OutputError
from deeplab.labels import CAMVID, VOC, LabelSet
from deeplab.look import Look
from deeplab.pipelines import pipeline
from deeplab.segment import Segmenter
from deeplab.segmentation import Segmentation

__version__ = "0.1.0"

__all__ = [
    "CAMVID",
    "VOC",
    "CRFParams",
    "CRFSettings",
    "DataError",
    "DeepLabError",
    "ImageError",
    "InputError",
    "LabelSet",
    "Look",
    "ModelError",
    "OutputError",
    "Segmentation",
    "Segmenter",
    "__version__",
    "pipeline",
    "refine",
]
