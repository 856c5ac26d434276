"""The CRF of the DeepLab paper as a layer whose parameters learn."""

from typing import Any

import torch
from torch import Tensor, nn

from deeplab.checks import check_choice, check_count
from deeplab.crf.checks import check_label_count
from deeplab.crf.params import CRFParams, CRFSettings
from deeplab.crf.torch.checks import check_logits, check_tensor
from deeplab.crf.torch.compiling import uncompiled
from deeplab.crf.torch.features import bilateral_features, spatial_features
from deeplab.crf.torch.filters import METHODS
from deeplab.crf.torch.inference import Kernel, mean_field
from deeplab.errors import InputError

_FOREGROUND = "which takes the logits of a foreground as (B, H, W), logits[:, 0]"


class MeanField(nn.Module):
    """Mean field inference in the CRF of the DeepLab paper, between a network's scores and its loss.

    DeepLab section 4.2, equation 2, with the parameters of Zheng et al. 2015, section 4: a weight per kernel and label,
    and one matrix of label compatibilities. Before any training it gives what `deeplab.crf.refine` gives without its
    shortcuts.

    Args:
        labels: L, the number of labels, at least 2: background and foreground for a network with one output.
        settings: where the weights, compatibilities and standard deviations start, the number of updates, and the
            normalisation.
        method: "lattice" (approximate, linear in pixels) or "exact" (every pair of pixels).
        learn_stds: whether the standard deviations learn too. It makes the backward pass about seven times as long.

    Attributes:
        bilateral_weight: (L,) float, w1 for each label.
        spatial_weight: (L,) float, w2 for each label.
        compatibility: (L, L) float; row l, column l' is the cost of label l where l' is heard. Starts as the Potts
            model.
        log_std_scale: (3,) float, the logarithm of what the settings' σα, σβ and σγ are multiplied by; starts at 0.

    Raises:
        InputError: an argument has the wrong type or is out of range.
    """

    def __init__(
        self,
        labels: int,
        settings: CRFSettings = CRFSettings(),  # noqa: B008 (frozen)
        *,
        method: str = "lattice",
        learn_stds: bool = False,
    ) -> None:
        super().__init__()
        check_label_count(check_count(labels, 1, "labels"), "a layer", f"MeanField(2), {_FOREGROUND}")
        check_choice(method, METHODS, "method")
        if not isinstance(settings, CRFSettings):
            raise InputError(f"settings are {type(settings).__name__}; expected CRFSettings")
        self.settings = settings
        self.method = method
        params = settings.params
        params.check_labels(labels)
        ones = torch.ones(labels)
        self.bilateral_weight = nn.Parameter(ones * torch.tensor(params.bilateral_weight))
        self.spatial_weight = nn.Parameter(ones * torch.tensor(params.spatial_weight))
        potts = params.compatibility is None
        self.compatibility = nn.Parameter(1 - torch.eye(labels) if potts else torch.tensor(params.compatibility))
        self.log_std_scale = nn.Parameter(torch.zeros(3), requires_grad=learn_stds)

    def stds(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return σα in pixels, σβ in the photos' units and σγ in pixels as they stand: scalars, σβ (C,) if so set."""
        start = self.settings.params
        xy, rgb, spatial_xy = self.log_std_scale.exp()
        return (
            xy * start.bilateral_xy_std_px,
            rgb * rgb.new_tensor(start.bilateral_rgb_std),
            spatial_xy * start.spatial_xy_std_px,
        )

    def learnt(self, iterations: int | None = None) -> CRFSettings:
        """Return the CRF as it stands, for `deeplab.crf.refine` and for model files.

        What is still the same for all labels stays one number, and what is still the Potts model stays that.

        Args:
            iterations: mean field updates, at least 0; None: those of the settings. Zheng et al. 2015 train with 5 and
                test with 10 (section 5).

        Returns:
            The settings, its weights at least 0: those below count as 0.

        Raises:
            InputError: a parameter is not finite.
        """
        xy, rgb, spatial_xy = (std.detach() for std in self.stds())
        colours: Any = rgb.tolist()
        potts = torch.equal(self.compatibility.detach().cpu(), 1 - torch.eye(len(self.compatibility)))
        params = CRFParams(
            _one_or_each(self.bilateral_weight), float(xy), colours, _one_or_each(self.spatial_weight),
            float(spatial_xy), None if potts else tuple(map(tuple, self.compatibility.tolist())),
        )  # fmt: skip
        start = self.settings
        return CRFSettings(params, start.iterations if iterations is None else iterations, start.normalization)

    @uncompiled
    def forward(self, logits: Tensor, photos: Tensor) -> Tensor:
        """Return the logarithm of the marginals; see `mean_field`.

        Args:
            logits: (B, L, H, W) float, the network's scores or log-probabilities. (B, H, W) are those of a foreground,
                x, and stand for two labels, [0, x].
            photos: (B, 3, H, W) uint8, RGB, 0-255, as they were before any preprocessing for a network; or images
                (B, C, H, W) or (B, H, W), of any number type, with the settings' σβ in their units.

        Returns:
            (B, L, H, W), float64 where the logits are, and else float32; (B, 2, H, W) for those of a foreground.

        Raises:
            InputError: a shape, dtype or device does not fit, or a value is not finite.
        """
        check_logits(logits)
        labels = len(self.bilateral_weight)
        if logits.ndim == 3 and labels == 2:
            logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
        if logits.ndim != 4 or logits.shape[1] != labels:
            hint = f": for a foreground, MeanField(2), {_FOREGROUND}" if logits.shape[1] == 1 else ""
            raise InputError(f"logits have shape {tuple(logits.shape)}; expected (B, {labels}, H, W){hint}")
        check_tensor(photos, "photos")
        batch, _, height, width = logits.shape
        if photos.ndim not in (3, 4) or (len(photos), *photos.shape[-2:]) != (batch, height, width):
            last = photos.ndim == 4 and photos.shape[1:3] == (height, width)
            raise InputError(
                f"photos have shape {tuple(photos.shape)}; expected ({batch}, C, {height}, {width}), or "
                f"({batch}, {height}, {width}), like the logits{': pass photos.permute(0, 3, 1, 2)' if last else ''}"
            )
        xy_std_px, rgb_std, spatial_xy_std_px = self.stds()
        bilateral = bilateral_features(photos, xy_std_px, rgb_std)
        spatial = spatial_features(height, width, spatial_xy_std_px)
        normalization = self.settings.normalization
        kernels = [
            Kernel(bilateral, self.bilateral_weight, self.compatibility, normalization),
            Kernel(spatial, self.spatial_weight, self.compatibility, normalization),
        ]
        return mean_field(logits, kernels, iterations=self.settings.iterations, method=self.method)

    def extra_repr(self) -> str:
        """Return the settings as `print` shows them."""
        return f"labels={len(self.bilateral_weight)}, {self.settings}, method={self.method!r}"


def _one_or_each(weights: Tensor) -> float | tuple[float, ...]:
    numbers = weights.detach().clamp(min=0).tolist()
    return numbers[0] if len(set(numbers)) == 1 else tuple(numbers)
