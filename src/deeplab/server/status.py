"""Health and metrics, for whoever keeps the server running."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from deeplab.server.errors import SafeJSON
from deeplab.server.metrics import CONTENT_TYPE
from deeplab.server.service import TheService

router = APIRouter()


@router.get("/health/live", tags=["status"])
def live() -> dict[str, str]:
    """Say that the server answers."""
    return {"status": "live"}


@router.get("/health", tags=["status"])
@router.get("/health/ready", tags=["status"])
def ready(service: TheService) -> SafeJSON:
    """Say whether work would be taken on: 200, or 503 while as many requests wait as may."""
    full = service.compute.full
    return SafeJSON({"status": "busy" if full else "ready"}, 503 if full else 200)


@router.get("/metrics", tags=["status"], response_class=PlainTextResponse)
def metrics(service: TheService) -> Response:
    """Return counters and gauges in Prometheus's text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)
