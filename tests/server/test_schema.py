"""The HTTP API held against its own description, by requests that schemathesis makes up from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")

from deeplab.server.app import make_app  # noqa: E402

DESCRIPTION = schemathesis.openapi.from_dict(make_app(None).openapi())  # type: ignore[arg-type]
OPERATIONS = {result.ok().label: result.ok() for result in DESCRIPTION.get_all_operations()}
schemathesis.checks.load_all_checks()
ARBITRARY_BYTES = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]  # which are no photo


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any]) -> Any:
    return start_server("--max-upload-mb", "1", "--max-megapixels", "1", "--timeout-s", "300")


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_operation_does_what_it_says(server: Any, photo_png: bytes, label: str, real: bool) -> None:
    """No 5xx, and statuses, media types and bodies as described; what breaks the description is refused.

    A real photo in place of made up bytes, and the id of one that is kept, lead past the first check.
    """
    files = {"photo": ("a.png", photo_png)}
    api, ids = f"{server.url}/api/v1", {}
    if real:
        project = httpx.post(f"{api}/projects", json={}, timeout=300).json()["id"]
        ids["project_id"] = project
        ids["photo_id"] = httpx.post(f"{api}/projects/{project}/photos", files=files, timeout=300).json()["id"]
        if "/projects/" not in label:
            ids["photo_id"] = httpx.post(f"{api}/photos", files=files, timeout=300).json()["id"]

    @given(case=OPERATIONS[label].as_strategy())
    @settings(max_examples=10, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        if real and isinstance(case.body, dict) and "photo" in case.body:
            case.body["photo"] = photo_png
        case.path_parameters.update({name: ids[name] for name in case.path_parameters if name in ids})
        case.call_and_validate(base_url=server.url, timeout=300, excluded_checks=ARBITRARY_BYTES)

    check()
