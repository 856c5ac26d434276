"""Photos of Label Studio's tasks, from where the command line allows it, and from nowhere else."""

from __future__ import annotations

import base64
import binascii
import os
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from deeplab.errors import ImageError, InputError, quoted
from deeplab.files import is_folder
from deeplab.server.pictures import clean_name
from deeplab.server.uploads import Upload
from deeplab.web import WebError, open_web, read_pieces

_OF_LABEL_STUDIO = ("/data/", "/storage-data/")  # where it has uploads and local files
_LOCAL_FILES = "/data/local-files"
_TOKEN = re.compile("[!-~]+")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class TaskPhotos:
    """Where tasks' photos may come from, beside ``data:`` addresses, which hold the photo themselves.

    Attributes:
        address: Label Studio's, ``http://…``; None: uploads and local files are not fetched.
        token: what Label Studio gives whoever may read its files, sent to its address alone; None: nothing.
        local_files: the folder that Label Studio's local files are in; None: they are fetched.
        others: further addresses that photos may be fetched from, such as ``https://photos.example.org``.

    Raises:
        InputError: an address is none, the token is no token, or there is no such folder.
    """

    address: str | None = None
    token: str | None = field(default=None, repr=False)
    local_files: Path | None = None
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for address in (self.address, *self.others):
            parts = None if address is None else _split(address)
            if parts is not None and (_origin(parts) is None or parts.query or parts.fragment):
                raise InputError(f"{quoted(address)} is no address to take photos from; expected http://HOST:PORT")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise InputError("Label Studio's token is empty or has spaces; copy it again from Account & Settings")
        if self.token is not None and self.address is None:
            raise InputError("there is a token for Label Studio, but not its address; give --label-studio-url, too")
        if self.local_files is not None and not is_folder(self.local_files):
            raise InputError(f"there is no folder {self.local_files}; give that of Label Studio's local files")

    def read(self, photo: object, most_bytes: int) -> Upload:
        """Return a task's photo.

        Args:
            photo: its address in the task's data.
            most_bytes: how large its file may be.

        Raises:
            InputError: the address is none that photos may come from.
            ImageError: there is no such photo, it is too large, or cannot be fetched.
        """
        if not isinstance(photo, str) or not photo:
            raise InputError(f"a task's photo is {quoted(photo)}; expected its address")
        if photo[:5].lower() == "data:":
            return _in_address(photo, most_bytes)
        parts = _split(photo)
        if parts is None:
            raise InputError(f"the photo's address {quoted(photo)} is none")
        own = _split(self.address) if self.address else None
        relative = not parts.scheme and not parts.netloc
        if relative or (own is not None and _origin(parts) == _origin(own)):
            folder = "" if relative or own is None else own.path.rstrip("/")
            return self._of_label_studio(photo, parts._replace(path=parts.path.removeprefix(folder)), most_bytes)
        allowed = next((other for other in self.others if _origin(parts) == _origin(_split(other))), None)
        if allowed is None:
            raise InputError(
                f"photos are not fetched from {quoted(photo)}; where they may come from is said when the server is "
                "started: --label-studio-url for Label Studio itself, --photos-from for other addresses"
            )
        return _fetched(allowed, parts, most_bytes, None)

    def _of_label_studio(self, photo: str, parts: SplitResult, most_bytes: int) -> Upload:
        path = parts.path
        if not path.startswith(_OF_LABEL_STUDIO) or ".." in unquote(path).split("/"):
            raise InputError(
                f"{quoted(photo)} is no photo of Label Studio; expected /data/upload/… or {_LOCAL_FILES}/?d=…"
            )
        if path.rstrip("/") == _LOCAL_FILES and self.local_files is not None:
            return _local_file(self.local_files, parts.query, most_bytes)
        if self.address is None:
            raise InputError(
                f"{quoted(photo)} is in Label Studio, whose address the server was not told; start it with "
                "--label-studio-url, or for local files with --local-files and their folder"
            )
        headers = None
        if self.token is not None:
            kind = "Bearer" if self.token.count(".") == 2 else "Token"  # a JSON web token, or one of the older ones
            headers = {"Authorization": f"{kind} {self.token}"}
        return _fetched(self.address, parts, most_bytes, headers)


def _split(address: str | None) -> SplitResult | None:
    """Return an address in parts; None where it is none."""
    if address is None or not address.isprintable() or "\\" in address:
        return None
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 (raises where it is no number)
    except ValueError:
        return None
    return parts


def _origin(parts: SplitResult | None) -> tuple[str, str, int] | None:
    """Return scheme, host and port; None where it is no address of the web, or says a user's name."""
    if parts is None or parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _fetched(allowed: str, parts: SplitResult, most_bytes: int, headers: dict[str, str] | None) -> Upload:
    """Return what an allowed address has under a path; redirections, which could lead anywhere, are not followed."""
    address = f"{allowed.rstrip('/')}{parts.path}{'?' if parts.query else ''}{parts.query}"
    name = clean_name(unquote(parts.path))
    pieces = bytearray()
    try:
        with open_web(address, headers, redirections=False) as answer:
            for piece in read_pieces(answer):
                pieces += piece
                if len(pieces) > most_bytes:
                    raise ImageError(_too_large(name, most_bytes))
    except WebError as error:
        raise ImageError(f"{name} cannot be fetched: {error}; redirections are not followed") from None
    return Upload(name, bytes(pieces))


def _local_file(folder: Path, query: str, most_bytes: int) -> Upload:
    """Return a file below a folder; whatever leads out of it, a link too, is refused."""
    given = (parse_qs(query, keep_blank_values=True).get("d") or [""])[-1]
    name, root = clean_name(given), Path(os.path.realpath(folder))
    if not given or not given.isprintable() or given.startswith("/") or ".." in re.split(r"[/\\]", given):
        raise InputError(f"{quoted(given)} is no path of a local file; expected one below the folder, without '..'")
    path = Path(os.path.realpath(root / posixpath.normpath(given)))
    if not path.is_relative_to(root) or not os.path.isfile(path):  # noqa: PTH113 (names that no file can have)
        raise ImageError(f"{name}: there is no such file below the folder of --local-files")
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror}") from None
    if len(data) > most_bytes:
        raise ImageError(_too_large(name, most_bytes))
    return Upload(name, data)


def _in_address(address: str, most_bytes: int) -> Upload:
    head, _, encoded = address.partition(",")
    if not head.lower().endswith(";base64"):
        raise InputError("a photo in a data: address is not in base64; expected data:image/…;base64,…")
    if len(encoded) * 3 // 4 > most_bytes + 2:
        raise ImageError(_too_large("the photo", most_bytes))
    try:
        return Upload("photo", base64.b64decode(unquote(encoded), validate=True))
    except (binascii.Error, ValueError):
        raise InputError("a photo in a data: address is not in base64; expected data:image/…;base64,…") from None


def _too_large(name: str, most_bytes: int) -> str:
    return f"{name} is larger than {most_bytes / (1 << 20):g} MiB; shrink it"
