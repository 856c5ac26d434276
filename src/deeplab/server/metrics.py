"""Metrics of a running server, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60)


class Metrics:
    """The counters of one server.

    Attributes:
        pixels: photo pixels taken in.
        cancelled: requests whose client went away before the answer.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "deeplab_requests", "Answered requests.", ("route", "method", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "deeplab_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self.pixels = Counter("deeplab_photo_pixels", "Pixels of photos taken in.", registry=self._registry)
        self.cancelled = Counter("deeplab_cancelled_requests", "Clients that went away.", registry=self._registry)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer to a request, and the time it took."""
        self._requests.labels(route, method, status).inc()
        self._seconds.labels(route).observe(seconds)

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Let a gauge show what a function returns whenever it is asked."""
        Gauge(name, meaning, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)
