"""The nodes. Images are float tensors (B, H, W, 3 or 4) of 0–1, masks float tensors (B, H, W) or (H, W) of 0–1."""

from functools import lru_cache

import numpy as np
import torch

from deeplab import CRFParams, Segmenter, refine
from deeplab.crf.params import PARAMETERS
from deeplab.cutout import cutout
from deeplab.errors import InputError
from deeplab.models import DEFAULT_MODEL, shipped_models
from deeplab.refinement.probabilities import resize_plane


def parameter(name):
    """Describe one of the CRF's parameters as ComfyUI does its inputs."""
    told, default = PARAMETERS[name], getattr(CRFParams(), name)
    least, most = told.usual
    return ("FLOAT", {"default": default, "min": least, "max": most, "step": 0.5, "tooltip": told.help})


class RefineMask:
    """Draws a mask's edge along the image's own: the fully connected CRF on what the mask says."""

    DESCRIPTION = "Draws a mask's edge along the image's own, by a fully connected CRF."
    CATEGORY = "mask/deeplab"
    FUNCTION = "refine"
    RETURN_TYPES = ("MASK",)

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        """Describe the inputs."""
        trusted = "How far the mask is trusted: near 0.5 the image's edges decide, near 1 the mask does."
        return {
            "required": {
                "image": ("IMAGE",),
                "mask": ("MASK",),
                "confidence": ("FLOAT", {"default": 0.7, "min": 0.51, "max": 0.99, "step": 0.01, "tooltip": trusted}),
                "bilateral_weight": parameter("bilateral_weight"),
                "bilateral_xy_std_px": parameter("bilateral_xy_std_px"),
                "bilateral_rgb_std": parameter("bilateral_rgb_std"),
                "soft": ("BOOLEAN", {"default": True, "tooltip": "Keep a soft edge; otherwise 0 and 1 alone."}),
            }
        }

    def refine(self, image, mask, confidence, bilateral_weight, bilateral_xy_std_px, bilateral_rgb_std, soft):
        """Return the refined masks, (B, H, W)."""
        params = CRFParams(bilateral_weight, bilateral_xy_std_px, bilateral_rgb_std)
        refined = []
        for photo, plane in zip(photos_of(image), masks_of(mask, image), strict=True):
            believed = 0.5 + (plane - 0.5) * np.float32(2 * confidence - 1)
            belief = refine(photo, believed, params)[1]
            refined.append(belief if soft else (belief > 0.5).astype(np.float32))
        return (torch.from_numpy(np.stack(refined)),)


class CutOut:
    """Cuts out what a model finds: the thing's own colours, and how opaque each pixel is as a mask."""

    DESCRIPTION = "Cuts out what a model finds, with a soft edge and the colours of the thing alone."
    CATEGORY = "mask/deeplab"
    FUNCTION = "cut_out"
    RETURN_TYPES = ("IMAGE", "MASK")

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        """Describe the inputs."""
        which = "Names of classes, with commas between them; empty for all but the background."
        return {
            "required": {
                "image": ("IMAGE",),
                "model": (list(shipped_models()), {"default": DEFAULT_MODEL}),
                "classes": ("STRING", {"default": "", "tooltip": which}),
            }
        }

    def cut_out(self, image, model, classes):
        """Return the things on black, (B, H, W, 3), and how opaque they are, (B, H, W)."""
        segmenter = loaded(model)
        names = [name.strip() for name in classes.split(",") if name.strip()]
        wanted = segmenter.info.label_set.labels_of(names) or None
        cut = np.stack([cutout(segmenter(photo), wanted) for photo in photos_of(image)])
        pixels = torch.from_numpy(cut.astype(np.float32) / 255)
        return pixels[..., :3].contiguous(), pixels[..., 3].contiguous()


@lru_cache(maxsize=2)
def loaded(model):
    """Return a model's segmenter; the last two are kept."""
    return Segmenter.from_pretrained(model)


def photos_of(image):
    """Return an image's photos, each (H, W, 3) uint8; transparency, a fourth channel, is left out."""
    if image.ndim != 4 or image.shape[3] not in (1, 3, 4) or not image.numel():
        raise InputError(f"the image has shape {tuple(image.shape)}; expected (B, H, W, 3), at least one pixel")
    pixels = (image.detach().cpu().float().clamp(0, 1) * 255).round().byte().numpy()
    return [np.ascontiguousarray(np.broadcast_to(one[..., :3], (*one.shape[:2], 3))) for one in pixels]


def masks_of(mask, image):
    """Return a mask (H, W) float32 for each photo; one serves for all, and any size is stretched to the photo's."""
    planes = mask.detach().cpu().float().nan_to_num().clamp(0, 1).numpy()
    planes = planes[None] if planes.ndim == 2 else planes
    if planes.ndim != 3 or len(planes) not in (1, len(image)) or not planes.size:
        raise InputError(
            f"the mask has shape {tuple(mask.shape)}; expected (B, H, W), one mask or {len(image)} as the image has"
        )
    stretched = [resize_plane(plane, tuple(image.shape[1:3]), "centres") for plane in planes]
    return stretched * (len(image) // len(stretched))


NODE_CLASS_MAPPINGS = {"DeepLabRefineMask": RefineMask, "DeepLabCutOut": CutOut}
NODE_DISPLAY_NAME_MAPPINGS = {"DeepLabRefineMask": "Refine Mask (DeepLab CRF)", "DeepLabCutOut": "Cut Out (DeepLab)"}
