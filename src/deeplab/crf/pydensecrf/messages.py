"""What the kernels tell every point, given beliefs from anywhere: single updates and the KL divergence need it."""

from dataclasses import dataclass

import numpy as np

from deeplab.crf import GaussianKernel, _native
from deeplab.crf.checks import thread_count
from deeplab.crf.pydensecrf.inputs import Array

__all__ = ["Message", "prepare_message"]


@dataclass(frozen=True)
class Message:
    """One kernel with its lattice, and what each point is multiplied by before and after the filter, (N,)."""

    kernel: GaussianKernel
    lattice: _native.Lattice
    before: Array
    after: Array

    def __call__(self, belief: Array) -> Array:
        """Return the energy (L, N) of each label at each point; of the Potts model the term of equal labels only."""
        filtered = np.empty_like(belief)
        self.lattice.filter(belief * self.before, filtered, False, thread_count(None))
        filtered *= np.float32(self.kernel.weight) * self.after
        if self.kernel.compatibility is None:
            return -filtered
        return self.kernel.compatibility @ filtered


def prepare_message(kernel: GaussianKernel) -> Message:
    """Return `kernel` with its lattice, which it may already hold, and its normalisation (Krähenbühl & Koltun 2013)."""
    lattice, k = kernel.lattice.over(kernel.features, thread_count(None))
    one = np.ones_like(k)
    inverse: Array = np.reciprocal(k + np.float32(1e-20))
    root: Array = np.sqrt(inverse)
    before, after = {
        "symmetric": (root, root),
        "before": (inverse, one),
        "after": (one, inverse),
        "none": (one, one),
    }[kernel.normalization]
    return Message(kernel, lattice, before, after)
