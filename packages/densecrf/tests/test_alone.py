"""densecrf needs NumPy alone, and other people's programs find pydensecrf."""

import subprocess
import sys
from importlib.metadata import requires

import densecrf
import numpy as np
import pytest
from densecrf.errors import InputError

PHOTO = np.zeros((4, 6, 3), np.uint8)
PHOTO[:, 3:] = 255
FOREGROUND = np.full((4, 6), 0.3, np.float32)
FOREGROUND[:, 4:] = 0.9


def test_a_photo_is_refined() -> None:
    refined = densecrf.refine(PHOTO, FOREGROUND, densecrf.CRFParams(bilateral_rgb_std=20))
    assert refined.argmax(0)[0].tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(InputError, match=r"expected \(labels, 4, 6\) like the image"):
        densecrf.refine(PHOTO, FOREGROUND[:, 1:])


def test_nothing_but_numpy_is_needed() -> None:
    assert [name for name in requires("densecrf") or () if "extra" not in name] == ["numpy>=1.26"]
    script = (
        "import sys, densecrf, densecrf.pydensecrf; "
        "known = sys.stdlib_module_names | {'numpy', 'densecrf'}; "
        "print({name.partition('.')[0] for name in sys.modules if not name.startswith('_')} - known)"
    )
    loaded = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() in ("set()", "{'distutils-precedence'}")


def test_a_program_for_pydensecrf_runs_unchanged() -> None:
    dcrf = pytest.importorskip("pydensecrf.densecrf", reason="needs densecrf-as-pydensecrf")
    from pydensecrf.utils import unary_from_softmax

    assert dcrf.DenseCRF2D is densecrf.pydensecrf.densecrf.DenseCRF2D
    crf = dcrf.DenseCRF2D(6, 4, 2)
    crf.setUnaryEnergy(unary_from_softmax(np.stack([1 - FOREGROUND, FOREGROUND])))
    crf.addPairwiseBilateral(sxy=80, srgb=13, rgbim=PHOTO, compat=10)
    assert np.argmax(crf.inference(5), axis=0).reshape(4, 6)[0].tolist() == [0, 0, 0, 1, 1, 1]
