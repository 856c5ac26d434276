"""Errors of the server as JSON: ``{"error": {"code": …, "message": …}}``."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from deeplab.errors import DeepLabError, ImageError, InputError, ModelError


class ApiError(Exception):
    """Ends a request with an HTTP status, a code for programs and a message for people."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s


class SafeJSON(JSONResponse):
    """JSON that holds no character that means anything to HTML, should anything ever take it for that."""

    def render(self, content: Any) -> bytes:
        """Return the JSON as ASCII."""
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


def error_response(error: ApiError) -> SafeJSON:
    """Return the answer that an error becomes."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return SafeJSON({"error": {"code": error.code, "message": error.message}}, error.status, headers)


def unusable(error: DeepLabError) -> ApiError:
    """Return what an error of the package means to a client."""
    match error:
        case ImageError():
            return ApiError(422, "unreadable_photo", str(error))
        case InputError():
            return ApiError(422, "invalid_input", str(error))
        case ModelError():
            return ApiError(500, "model_failed", str(error))
    return ApiError(500, "failed", str(error))


def failed() -> ApiError:
    """Return what a client hears of an error that nobody foresaw."""
    return ApiError(500, "failed", "the server failed at this; its log says more under the request id")


_CODES = {
    400: "bad_request", 404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large",
}  # fmt: skip


def add_handlers(app: FastAPI) -> None:
    """Let every failure of an app leave it as JSON."""

    @app.exception_handler(ApiError)
    async def known(_: Request, error: ApiError) -> SafeJSON:
        return error_response(error)

    @app.exception_handler(DeepLabError)
    async def of_the_package(_: Request, error: DeepLabError) -> SafeJSON:
        return error_response(unusable(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> SafeJSON:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return error_response(ApiError(422, "invalid_input", "; ".join(found[:5])))

    @app.exception_handler(HTTPException)
    async def of_the_framework(_: Request, error: HTTPException) -> SafeJSON:
        response = error_response(
            ApiError(error.status_code, _CODES.get(error.status_code, "refused"), str(error.detail))
        )
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> SafeJSON:
        return error_response(failed())
