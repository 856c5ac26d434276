"""An exported network on ONNX Runtime: photo in, dense class scores out."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import threads_asked_for
from deeplab.errors import ModelError
from deeplab.files import sha256_of
from deeplab.models import METADATA_KEY, ModelInfo, read_model
from deeplab.models.external_data import external_files
from deeplab.onnx_runtime import onnx_runtime
from deeplab.preprocessing import pad_to_grid

__all__ = ["OnnxNetwork", "ScoreNetwork"]


class OnnxNetwork:
    """A network loaded from a model file, with one output.

    Its input tensor ``image`` is float32 (1, 3, H, W) with free H and W, its output (1, C, h, w) with
    h = (H − 1) / 8 + 1 for H = 8n + 1, and w likewise.

    Attributes:
        path: the model file.
        info: what the file says about itself: labels, preprocessing, CRF parameters, card.
    """

    _output: str
    _type: str

    def __init__(self, path: str | os.PathLike[str], *, threads: int | None = None) -> None:
        """Load a model file.

        Args:
            path: an ONNX file with deeplab's metadata; `deeplab.models.find_model` finds the shipped ones.
            threads: at most this many threads; None: as many as the environment variable DEEPLAB_THREADS says, or else
                as ONNX Runtime sees fit.

        Raises:
            InputError: `threads` is below 1.
            ModelError: the file is missing, is no ONNX file or a truncated one, keeps weights in other files, lacks the
                metadata, or its tensors are not as above.
        """
        self.path, most_threads = Path(path), threads_asked_for(threads)
        onnxruntime = onnx_runtime()
        content = read_model(self.path)  # the runtime gets bytes, so that it opens no file itself
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = most_threads or 0  # 0: as ONNX Runtime sees fit
        options.log_severity_level = 4  # errors arrive as exceptions
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            outside = external_files(content)
            if not outside:
                content = self._prepared(content)
                self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
                metadata = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # ONNX Runtime's own exceptions share no narrower base
            raise ModelError(
                f"{path} is not an ONNX model that ONNX Runtime can load; export or copy it again ({_brief(error)})"
            ) from error
        if outside:
            raise ModelError(
                f"{path} keeps weights in other files ({outside[0]!r}), which are not read; "
                "save it as one file (onnx.save with save_as_external_data=False), or export it again"
            )
        if METADATA_KEY not in metadata:
            raise ModelError(f"{path} is an ONNX file without deeplab's metadata; make it with `deeplab export`")
        try:
            self.info = ModelInfo.from_json(metadata[METADATA_KEY])
            self._check_tensors()
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
        except UnicodeDecodeError:
            raise ModelError(f"{path} names its tensors in text that is no UTF-8; export it again") from None

    @cached_property
    def sha256(self) -> str:
        """The model file's SHA-256 in hexadecimal digits.

        Raises:
            ModelError: the file is gone.
        """
        return sha256_of(self.path, ModelError)

    @property
    def _stride(self) -> int:
        """Pixels from one cell of the output to the next."""
        return self.info.output_stride

    def _prepared(self, content: bytes) -> bytes:
        """Return the model file that is loaded for the one that was read."""
        return content

    def _check_tensors(self) -> None:
        found = [
            [tensor.name for tensor in tensors] for tensors in (self._session.get_inputs(), self._session.get_outputs())
        ]
        if found != [["image"], [self._output]]:
            raise ModelError(
                f"expected the input 'image' and the output {self._output!r}, found {found[0]} and {found[1]}"
            )
        image, output = self._session.get_inputs()[0], self._session.get_outputs()[0]
        types, sides = (image.type, output.type), (len(image.shape), len(output.shape))
        if types != ("tensor(float)", self._type) or sides != (4, 4):
            raise ModelError(
                f"expected image (1, 3, H, W) of tensor(float) and {self._output} (1, C, h, w) of {self._type}, "
                f"found {image.type} {image.shape} and {output.type} {output.shape}"
            )
        if any(isinstance(side, int) for side in image.shape[2:]):
            raise ModelError(f"its input has the fixed shape {image.shape}; export it with free height and width")
        self._check_channels(output.shape[1])

    def _check_channels(self, channels: int | str | None) -> None:
        """Raise ModelError where the output has another number of channels than it should."""

    def _run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the output (C, h, w) for a photo; arguments and errors as `ScoreNetwork.scores` has them."""
        pixels = pad_to_grid(self.info.preprocessing.apply(image), self._stride)
        try:
            output: NDArray[Any] = self._session.run([self._output], {"image": pixels})[0]
        except Exception as error:  # as above
            raise ModelError(
                f"model {self.info.name!r} failed on an input of {pixels.shape} ({_brief(error)}); "
                "give a smaller photo, or export the model again"
            ) from error
        self._check_channels(output.shape[1])
        cells = tuple((size - 1) // self._stride + 1 for size in pixels.shape[2:])
        if output.shape[2:] != cells:
            raise ModelError(
                f"model {self.info.name!r} gave {output.shape[2:]} {self._output} for an input of {pixels.shape[2:]} "
                f"pixels; expected {cells}"
            )
        first: NDArray[Any] = output[0]
        return first


class ScoreNetwork(OnnxNetwork):
    """A network whose output is ``scores``, float32 (1, L, h, w)."""

    _output, _type = "scores", "tensor(float)"

    def _check_channels(self, channels: int | str | None) -> None:
        labels = self.info.label_set
        if isinstance(channels, int) and channels != len(labels):
            raise ModelError(f"{channels} score maps, but {len(labels)} labels in its label set {labels.name!r}")

    def scores(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Score a photo.

        Args:
            image: (H, W, 3) uint8 RGB, of any size; it is padded at the bottom and right with the mean colour.

        Returns:
            (L, h, w) float32 class scores, log-probabilities up to a constant per position; position (i, j) is pixel
            (8i, 8j). h is the smallest number with 8 (h − 1) + 1 ≥ H, at least 2, and w likewise.

        Raises:
            InputError: the photo has another shape or dtype.
            ModelError: the network fails, or its scores have another shape than the above.
        """
        scores: NDArray[np.float32] = self._run(image)
        return scores


def _brief(error: Exception) -> str:
    """Return what ONNX Runtime says, on one line, without its error codes, the model's path and C++ signatures."""
    noise = r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|/\S+\.(h|cc):\d+ .*?\) "
    cause = re.sub(noise, "", " ".join(str(error).split()))
    return shorten(cause, 200, placeholder=" …") or type(error).__name__
