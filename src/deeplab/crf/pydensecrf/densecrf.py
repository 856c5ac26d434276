"""pydensecrf's `densecrf` module: the CRF classes, their unaries, and the constants.

Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011, and
"Parameter Learning and Convergent Inference for Dense Random Fields", ICML 2013 (the symmetric normalisation).
"""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.checks import LARGEST, thread_count
from deeplab.crf import GaussianKernel
from deeplab.crf.checks import as_array, check_energies, check_finite, check_label_count, check_real
from deeplab.crf.mean_field import infer_by_terms
from deeplab.crf.pydensecrf.inputs import Array, as_compatibility, as_count, as_deviations, as_member, as_rows
from deeplab.crf.pydensecrf.unaries import ConstUnary, LogisticUnary, Unary
from deeplab.crf.pydensecrf.utils import create_pairwise_bilateral, create_pairwise_gaussian
from deeplab.crf.terms import Term, make_term
from deeplab.crf.unary import softmax_in_place
from deeplab.errors import InputError

__all__ = [
    "CONST_KERNEL",
    "DIAG_KERNEL",
    "FULL_KERNEL",
    "NORMALIZE_AFTER",
    "NORMALIZE_BEFORE",
    "NORMALIZE_SYMMETRIC",
    "NO_NORMALIZATION",
    "ConstUnary",
    "DenseCRF",
    "DenseCRF2D",
    "KernelType",
    "LogisticUnary",
    "NormalizationType",
    "Unary",
]


class KernelType(IntEnum):
    """Which parameters of a kernel could be learned. It changes nothing about inference."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(IntEnum):
    """What messages are divided by: see `deeplab.crf.GaussianKernel`."""

    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3


CONST_KERNEL, DIAG_KERNEL, FULL_KERNEL = KernelType
NO_NORMALIZATION, NORMALIZE_BEFORE, NORMALIZE_AFTER, NORMALIZE_SYMMETRIC = NormalizationType

_NAMES = {
    NO_NORMALIZATION: "none",
    NORMALIZE_BEFORE: "before",
    NORMALIZE_AFTER: "after",
    NORMALIZE_SYMMETRIC: "symmetric",
}

_ONE_LABEL = "for the probabilities p of a foreground, take 2 labels and unary_from_softmax(np.stack([1 - p, p]))"


class DenseCRF:
    """A fully connected CRF over `nvar` points and `nlabels` labels.

    Without a unary, all labels are equally likely. Lattices are built when first needed. Objects pickle, and may be
    subclassed.

    Raises:
        InputError: `nvar` or `nlabels` is not an integer above 0.
    """

    _grid: tuple[int, ...] = ()  # empty until __init__ has run, which a subclass may forget to call
    _labels: int = 0

    def __init__(self, nvar: int, nlabels: int) -> None:
        self._grid = (as_count(nvar, 1, "nvar"),)
        self._labels = as_count(nlabels, 1, "nlabels")
        self._unary: Array | None = None
        self._kernels: list[GaussianKernel] = []
        self._terms: list[Term] | None = None

    def setUnary(self, u: Unary) -> None:  # noqa: N802
        """Set the unary energy from a `ConstUnary` or `LogisticUnary`; as `setUnaryEnergy`."""
        if not isinstance(u, Unary):
            raise InputError(f"unary is {type(u).__name__}; expected a ConstUnary: for an array, call setUnaryEnergy")
        self.setUnaryEnergy(u.energy)

    def setUnaryEnergy(self, u: npt.ArrayLike, f: npt.ArrayLike | None = None) -> None:  # noqa: N802
        """Set the unary energy, replacing any before.

        Args:
            u: (L, N) of any real dtype and memory layout, or (L, H, W) for a `DenseCRF2D`: -log of each label's
                probability. It is copied. Energies above 1e9, also inf for impossible labels, count as 1e9.
            f: (F, N); then `u` is (L, F) and the energy is their product, as in `LogisticUnary`.

        Raises:
            InputError: an array has another shape, values that are NaN or -inf, or different energies of one label.
        """
        given = u if f is None else LogisticUnary(u, f).energy
        unary = np.minimum(as_rows(given, self._label_count(), self._grid, "u"), np.float32(LARGEST))
        check_energies(unary, "u")
        if np.ptp(unary) > 0:  # a label that is alone in its photo has one energy throughout, and may win
            check_label_count(len(unary), "u holds different energies", _ONE_LABEL)
        self._unary = unary

    def addPairwiseEnergy(  # noqa: N802
        self,
        features: npt.ArrayLike,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add the term compat · exp(-|f_i - f_j|² / 2) over all pairs of points i, j.

        Args:
            features: (F, N) of any real dtype and memory layout, or (F, H, W) for a `DenseCRF2D`, already divided by
                the standard deviations. They are copied.
            compat: a number w: the Potts model, equal labels side by side get the energy -w. (L,): the energy of
                each label beside itself. (L, L): of any two labels; its symmetric part counts. Vectors and matrices
                are energies, to be added: -3 times the identity is the same as the number 3.
            kernel: CONST_KERNEL, DIAG_KERNEL or FULL_KERNEL: makes no difference to inference.
            normalization: what messages are divided by; see `NormalizationType`.

        Raises:
            InputError: an argument has another shape, type or range, or holds NaN or infinite values.
        """
        labels = self._label_count()
        as_member(kernel, KernelType, "kernel")
        weight, compatibility = as_compatibility(compat, labels)
        self._kernels.append(
            GaussianKernel(
                features=as_rows(features, None, self._grid, "features").T,
                weight=weight,
                compatibility=compatibility,
                normalization=_NAMES[as_member(normalization, NormalizationType, "normalization")],
            )
        )
        self._terms = None

    def inference(self, niter: int) -> Array:
        """Return the beliefs after `niter` mean field updates, from the unary alone at 0.

        Returns:
            (L, N) float32 in 0-1, summing to one over the labels.

        Raises:
            InputError: `niter` is not an integer, at least 0, or the features are too far apart for the lattice.
        """
        count, energies = as_count(niter, 0, "niter"), self._energies()
        return infer_by_terms(energies, False, self._ready_terms(), count, prune_below=0, threads=thread_count(None))

    def startInference(self) -> tuple[Array, Array, Array]:  # noqa: N802
        """Return the beliefs before the first update, (L, N) float32, and two arrays that `stepInference` is given."""
        return softmax_in_place(-self._energies()), np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)

    def stepInference(self, Q: Array, tmp1: Any = None, tmp2: Any = None) -> None:  # noqa: N802
        """Update the beliefs `Q` once, in place; they may come from anywhere. `tmp1` and `tmp2` are left alone.

        Raises:
            InputError: `Q` is not a writable float array of shape (L, N) with finite values.
        """
        belief = self._belief(Q)
        if not isinstance(Q, np.ndarray) or not Q.flags.writeable or not np.issubdtype(Q.dtype, np.floating):
            raise InputError("Q cannot be updated in place; expected a writable float array: pass np.array(Q)")
        Q[...] = softmax_in_place(-self._energies() - self._pairwise(belief))

    def klDivergence(self, Q: npt.ArrayLike) -> float:  # noqa: N802
        """Return Σ Q·log Q + Σ Q·U + Σ Q·(pairwise energy of Q), the number that pydensecrf calls the KL divergence.

        It is not the KL divergence, and can be negative: log Z is left out, and the pairwise term, in which each pair
        of points counts twice, lacks its ½.

        Raises:
            InputError: `Q` is not of shape (L, N) with finite values.
        """
        belief = self._belief(Q)
        logarithm = np.log(np.maximum(belief, np.float32(1e-20)))
        return float(np.sum(belief * (logarithm + self._energies() + self._pairwise(belief)), dtype=np.float64))

    def _label_count(self) -> int:
        if not self._grid:
            name = type(self).__name__
            raise InputError(f"{name} has no size yet; expected its __init__ to call super().__init__ first")
        return self._labels

    def _energies(self) -> Array:
        labels = self._label_count()
        return np.zeros((labels, int(np.prod(self._grid))), np.float32) if self._unary is None else self._unary

    def _belief(self, Q: npt.ArrayLike) -> Array:
        belief = as_rows(Q, self._label_count(), (int(np.prod(self._grid)),), "Q")
        check_finite(belief, "Q")
        return belief

    def _ready_terms(self) -> list[Term]:
        if self._terms is None:
            shape = self._energies().shape
            self._terms = [make_term(kernel, shape, "lattice", thread_count(None)) for kernel in self._kernels]
        return self._terms

    def _pairwise(self, belief: Array) -> Array:
        """Return the energy (L, N) of each label at each point; of the Potts model the term of equal labels only."""
        energy = np.zeros_like(belief)
        for term in self._ready_terms():
            heard = np.float32(term.weight) * term.normalized(belief)
            energy += -heard if term.compatibility is None else term.compatibility @ heard
        return energy

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made anew when needed."""
        return {**self.__dict__, "_terms": None}


class DenseCRF2D(DenseCRF):
    """A fully connected CRF over the pixels of an image `w` wide and `h` high, row by row, and `nlabels` labels.

    Raises:
        InputError: a size is not an integer above 0.
    """

    def __init__(self, w: int, h: int, nlabels: int) -> None:
        width, height = as_count(w, 1, "w"), as_count(h, 1, "h")
        super().__init__(width * height, nlabels)
        self._grid = (height, width)

    def addPairwiseGaussian(  # noqa: N802
        self,
        sxy: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add the smoothness term, over x / sx and y / sy.

        Args:
            sxy: standard deviations (sx, sy) in pixels, or one number for both; above 0.
            compat: as for `addPairwiseEnergy`, like the other arguments.
            kernel: makes no difference to inference.
            normalization: what messages are divided by.

        Raises:
            InputError: `sxy` is not one or two numbers above 0, or as `addPairwiseEnergy` raises it.
        """
        self._label_count()
        features = create_pairwise_gaussian(as_deviations(sxy, 2, "sxy")[::-1], self._grid)
        self.addPairwiseEnergy(features[::-1], compat, kernel, normalization)

    def addPairwiseBilateral(  # noqa: N802
        self,
        sxy: Any,
        srgb: Any,
        rgbim: npt.ArrayLike,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add the appearance term, over x / sx, y / sy and each channel over its `srgb`.

        Args:
            sxy: standard deviations (sx, sy) in pixels, or one number for both; above 0.
            srgb: standard deviation of each channel in the image's own levels, or one number for all; above 0.
            rgbim: the image, (H, W, C) or (H, W), of any real dtype and memory layout; a photo is (H, W, 3) uint8, and
                one in 0-1 needs an `srgb` of less than 1.
            compat: as for `addPairwiseEnergy`, like the other arguments.
            kernel: makes no difference to inference.
            normalization: what messages are divided by.

        Raises:
            InputError: the image is not of the CRF's height and width, a standard deviation is not a number above 0,
                the image's floats lie in 0-1 or around 0 and `srgb` beyond them, or as `addPairwiseEnergy` raises it.
        """
        self._label_count()
        image = as_array(rgbim, "rgbim")
        if image.ndim not in (2, 3) or image.shape[:2] != self._grid or image.size == 0:
            height, width = self._grid
            hint = ": DenseCRF2D takes width before height" if image.shape[:2] == (width, height) else ""
            hint = ": pass rgbim.transpose(1, 2, 0)" if image.shape[1:] == self._grid else hint
            raise InputError(f"rgbim has shape {image.shape}; expected ({height}, {width}, channels){hint}")
        check_real(image, "rgbim")
        check_finite(image, "rgbim")
        channels = image.reshape(*self._grid, -1)
        yx = as_deviations(sxy, 2, "sxy")[::-1]
        features = create_pairwise_bilateral(yx, as_deviations(srgb, channels.shape[2], "srgb"), channels, chdim=2)
        features[:2] = features[1::-1].copy()
        self.addPairwiseEnergy(features, compat, kernel, normalization)
