"""The CRF's parameters as the page's sliders have them: where they start, how far they go, what they were set to."""

from __future__ import annotations

from deeplab.crf import CRFSettings
from deeplab.crf.params import PARAMETERS
from deeplab.server.crf_request import requested_crf
from deeplab.server.errors import ApiError
from deeplab.server.photos import KeptPhoto
from deeplab.server.schemas import CRFRequest, Parameters


def defaults(photo: KeptPhoto, crf: CRFSettings) -> Parameters:
    """A model's parameters, their distances grown to a photo's working copy; of one for each label the mean."""
    return parameters_of(crf, photo.opened.look.enlargement)


def limits(photo: KeptPhoto, crf: CRFSettings) -> dict[str, tuple[float, float]]:
    """Return the least and the largest value of each parameter; the defaults are always among them."""
    return limits_of(crf, photo.opened.look.enlargement)


def parameters_of(crf: CRFSettings, enlargement: float = 1.0) -> Parameters:
    """A CRF's parameters, in pixels of a photo so many times larger than what the network saw."""
    return Parameters(**crf.params.scaled(enlargement).numbers(), iterations=crf.iterations)


def limits_of(crf: CRFSettings, enlargement: float = 1.0) -> dict[str, tuple[float, float]]:
    """Return the least and the largest value of each parameter of such a photo."""
    starts, found = parameters_of(crf, enlargement).model_dump(), {}
    for name, parameter in PARAMETERS.items():
        factor = enlargement if name.endswith("_px") else 1
        least, most = (factor * end for end in parameter.usual)
        found[name] = min(least, starts[name]), max(most, starts[name])
    return found


def chosen(photo: KeptPhoto, crf: CRFSettings, request: CRFRequest) -> CRFSettings:
    """Return the CRF's settings as requested, a model's own where nothing is, in pixels of what the network saw.

    Raises:
        ApiError: a parameter is out of its limits.
    """
    starts, bounds = defaults(photo, crf).model_dump(), limits(photo, crf)
    given = {name: value for name, value in request.given().items() if value != starts[name]}  # else the model's own
    for name, value in given.items():
        least, most = bounds[name]
        if not least <= value <= most:
            raise ApiError(422, "invalid_input", f"{name} is {value:g}; expected {least:g} to {most:g}")
    return requested_crf(crf, given, photo.opened.look.enlargement)
