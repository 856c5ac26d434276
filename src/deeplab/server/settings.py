"""A server's settings: its models, its limits, and whom it answers."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deeplab.errors import InputError
from deeplab.models import DEFAULT_MODEL, find_model, shipped_models
from deeplab.server.task_photos import TaskPhotos

LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))

_TOKEN = re.compile(r"[!-~][ -~]{6,}[!-~]")  # what a header can hold, and long enough to keep strangers out
_MOST_TOKEN_BYTES = 1024  # of a file, which may be endless


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        host: the address to listen on; anything but loopback is reachable from other machines.
        port: 0–65535; 0 takes a free one.
        model: the default model, a shipped one's name or the path of an ONNX file; None: the package's default.
        token: what clients must send as ``Authorization: Bearer …``; None: nothing.
        allowed_hosts: names besides the loopback's and `host` that the ``Host`` header may hold, e.g. a proxy's.
        max_upload_bytes: the largest body of a request.
        max_pixels: the largest photo, width × height.
        timeout_s: how long a request may wait and compute.
        upload_timeout_s: how long a request's headers and body may take to arrive, each, and how long a client may take
            none of its answer.
        queue: how many requests may wait for the worker; more are refused.
        connections: how many may be open; one more takes the place of the one that has been silent longest. Where none
            is silent, twice as many.
        workers: processes that compute, each with its share of the cores.
        photos: how many of the page's photos are kept.
        photo_bytes: how much memory they may take.
        photo_s: how long one, or a temporary project, is kept after it was last used.
        project: the folder of a project that stays; None: there are temporary ones alone.
        projects: how many temporary projects are kept.
        project_photos: how many photos one of them takes.
        project_bytes: how much room on disk it takes, with all that is kept of its photos.
        label_studio: where the photos of Label Studio's tasks may come from; None: it is not answered.

    Raises:
        InputError: a number is out of range, or the token is too short to keep anyone out.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    model: str | None = None
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    max_upload_bytes: int = 32 << 20
    max_pixels: int = 25_000_000
    timeout_s: float = 60.0
    upload_timeout_s: float = 30.0
    queue: int = 16
    connections: int = 256
    workers: int = 1
    photos: int = 32
    photo_bytes: int = 256 << 20
    photo_s: float = 1800.0
    project: Path | None = None
    projects: int = 8
    project_photos: int = 64
    project_bytes: int = 1 << 30
    label_studio: TaskPhotos | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"port is {self.port}; expected 0 (any free one) to 65535")
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:  # also refuses NaN
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise InputError(
                f"the token has {len(self.token)} characters; expected one line of at least 8, all of ASCII: "
                "make one with python -c 'import secrets; print(secrets.token_urlsafe())'"
            )

    def answers_to(self, name: str) -> bool:
        """Tell whether the ``Host`` header may hold `name` (without a port), which keeps DNS rebinding out.

        A server that listens on every address also answers to any address: only names can be rebound.
        """
        name = name.lower()
        if name in LOOPBACK_NAMES or name in {self.host.lower(), *map(str.lower, self.allowed_hosts)}:
            return True
        return self.host in ("0.0.0.0", "::") and _is_address(name)


_LEAST: Mapping[str, float] = {
    "max_upload_bytes": 1024, "max_pixels": 1, "timeout_s": 0.1, "upload_timeout_s": 0.1, "queue": 0, "connections": 1,
    "workers": 1, "photos": 1, "photo_bytes": 1, "photo_s": 1, "projects": 1, "project_photos": 1, "project_bytes": 1,
}  # fmt: skip


def served_models(model: str | os.PathLike[str] | None) -> tuple[str, dict[str, Path]]:
    """Return the default model's name, and the files of all served models by name: the shipped ones and `model`.

    Clients name a model, never a path.

    Raises:
        ModelError: there is no such model.
    """
    found = find_model(model)
    default = DEFAULT_MODEL if model is None else found.stem
    return default, {**shipped_models(), default: found}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def token_in(path: Path) -> str:
    """Return the token that a file holds, without the space around it.

    A command line is no place for one: every user of a machine can list those of all processes.

    Raises:
        InputError: the file cannot be read, or is too large to hold a token alone.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_TOKEN_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read the token in {path}: {error.strerror}") from None
    if len(content) > _MOST_TOKEN_BYTES:
        raise InputError(f"{path} is larger than {_MOST_TOKEN_BYTES} bytes; expected a file that holds the token alone")
    return content.decode("ascii", "replace").strip()
