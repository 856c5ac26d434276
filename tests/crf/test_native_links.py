"""The native module brings no OpenMP runtime along: two of them in one process, with PyTorch's, slow or hang it."""

import re
from pathlib import Path

from deeplab.crf import _native


def test_the_native_module_uses_no_openmp_runtime() -> None:
    module = Path(_native.__file__).read_bytes()
    assert re.findall(rb"lib[gi]?omp[\w.]*|vcomp\w*|GOMP_\w+|__kmpc_\w+", module) == []
