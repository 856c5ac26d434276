"""The example results that two reference programs publish, from their example images and annotations.

They lie in the folder `crf_examples` of the data folder that the environment variable DEEPLAB_DATA names.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab.crf import DenseCRF, GaussianKernel, bilateral_kernel, spatial_kernel

if not os.environ.get("DEEPLAB_DATA"):
    pytest.skip("DEEPLAB_DATA does not name the data folder", allow_module_level=True)
EXAMPLES = Path(os.environ["DEEPLAB_DATA"]) / "crf_examples"
if not EXAMPLES.is_dir():
    pytest.skip("the data folder has no crf_examples", allow_module_level=True)


def read(name):
    with Image.open(EXAMPLES / name) as image:
        return np.array(image.convert("RGB"))


def colours_of(image):
    return image.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)


def y_first(kernel):
    """The kernel with y before x in its features: the same Gaussian on another lattice."""
    order = [1, 0, *range(2, kernel.features.shape[1])]
    return GaussianKernel(kernel.features[:, order], kernel.weight, normalization=kernel.normalization)


def result(image, annotation, labels, certainty, swapped):
    """Both programs' example: annotated pixels are `certainty` sure, black ones know nothing; five iterations."""
    height, width, _ = image.shape
    colour = colours_of(annotation)
    palette = np.unique(colour[colour != 0])
    labels = labels or len(palette)
    unary = np.full((labels, height, width), -np.log((1 - certainty) / (labels - 1)))
    for label, own in enumerate(palette):
        unary[label][colour == own] = -np.log(certainty)
    unary[:, colour == 0] = -np.log(1 / labels)
    kernels = [
        spatial_kernel(height, width, xy_std_px=3, weight=3, normalization="symmetric"),
        bilateral_kernel(image, xy_std_px=80, rgb_std=13, weight=10, normalization="symmetric"),
    ]
    belief = DenseCRF(unary, [y_first(kernel) for kernel in kernels] if swapped else kernels).infer(5)
    return palette[belief[: len(palette)].argmax(0)]


# The last number is the share of pixels measured to agree, rounded down. The authors' program puts x first among the
# features. pydensecrf's pictures were made with y first: with x first the shares were 0.99951, 0.99965, 0.99877 and
# 0.99931. The two .ppm results are of a version of the authors' program with other settings, unknown here; no weight,
# deviation, certainty or normalisation tried came over 0.951 and 0.996.
@pytest.mark.parametrize(
    ("image", "annotation", "published", "labels", "certainty", "swapped", "agreement"),
    [
        ("krahenbuhl/im1.png", "krahenbuhl/anno1.png", "krahenbuhl/out1.png", 21, 0.5, False, 1.0),
        ("krahenbuhl/im1.ppm", "krahenbuhl/anno1.ppm", "krahenbuhl/output1.ppm", 21, 0.5, False, 0.947),
        ("krahenbuhl/im2.ppm", "krahenbuhl/anno2.ppm", "krahenbuhl/output2.ppm", 21, 0.5, False, 0.993),
        ("pydensecrf/im1.png", "pydensecrf/anno1.png", "pydensecrf/out1.png", None, 0.7, True, 1.0),
        ("pydensecrf/im1.png", "pydensecrf/anno1-b.png", "pydensecrf/out1-b.png", None, 0.7, True, 0.9998),
        ("pydensecrf/im2.png", "pydensecrf/anno2.png", "pydensecrf/out2.png", None, 0.7, True, 1.0),
        ("pydensecrf/im3.png", "pydensecrf/anno3.png", "pydensecrf/out3.png", None, 0.7, True, 1.0),
    ],
)
def test_published_result(image, annotation, published, labels, certainty, swapped, agreement):
    ours = result(read(image), read(annotation), labels, certainty, swapped)
    assert (ours == colours_of(read(published))).mean() >= agreement
