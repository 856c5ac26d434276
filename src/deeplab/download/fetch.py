"""Large files from the web: gone on with where they were stopped, and checked against their checksums."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from http.client import HTTPResponse
from pathlib import Path

from deeplab.errors import DataError, OutputError
from deeplab.web import WebError, open_web, read_pieces

TRIES = 5
"""So often in a row an address may fail without giving a byte more."""
PAUSE_S = 2.0
"""The wait after the first failure; each further one is twice as long."""

_PASSING = frozenset((0, 408, 416, 425, 429, 500, 502, 503, 504))  # statuses after which another try may help
_PIECE_BYTES = 1 << 20

Progress = Callable[[int, int], None]
"""Takes the bytes done, and all; 0 where they are not known."""


def fetch(addresses: Sequence[str], target: Path, progress: Progress) -> None:
    """Download a file. What has come stays in ``<target>.part`` if it is stopped, and the next call goes on from there.

    Args:
        addresses: of the same file; the next is asked where one gives no more.
        target: where it goes, once it is whole; its folder exists.
        progress: is told of every piece.

    Raises:
        DataError: none of the addresses gives it.
        OutputError: it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    complaints = []
    try:
        for address in addresses:
            complaint = _fetch_from(address, part, progress)
            if complaint is None:
                part.replace(target)
                return
            complaints.append(f"{address}: {complaint}")
    except OSError as error:
        raise OutputError(
            f"cannot write {part}: {error.strerror or error}; make room, or choose another folder (--data), and start "
            "again: what has come stays"
        ) from error
    stays = f"; {part} keeps what has come" if part.exists() else ""
    raise DataError(f"{'; '.join(complaints)}; start again later, or take it from elsewhere (--from){stays}")


def check_digest(path: Path, digest: str, progress: Progress) -> str | None:
    """Compare a file with its checksum.

    Args:
        path: the file.
        digest: as in `deeplab.download.archives.Archive`.
        progress: as in `fetch`.

    Returns:
        What is wrong; None where they agree.
    """
    algorithm, _, expected = digest.partition(":")
    found, done, size = hashlib.new(algorithm, usedforsecurity=False), 0, path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            found.update(piece)
            done += len(piece)
            progress(done, size)
    if found.hexdigest() == expected:
        return None
    return f"its {algorithm.upper()} is {found.hexdigest()}, stated is {expected}"


def _fetch_from(address: str, part: Path, progress: Progress) -> str | None:
    """Add to a file what an address has, in as many tries as it takes; return what is wrong at last, or None."""
    failures, furthest = 0, _size(part)
    while True:
        try:
            _go_on(address, part, progress)
        except WebError as error:
            reached = _size(part)
            failures = 0 if reached > furthest else failures + 1
            furthest = max(furthest, reached)
            if error.status not in _PASSING or failures == TRIES:
                return str(error)
            if error.status == 416:  # there is no more than what we have, or less: what we have is another file
                part.unlink(missing_ok=True)
            time.sleep(PAUSE_S * 2 ** max(failures - 1, 0))
        else:
            return None


def _go_on(address: str, part: Path, progress: Progress) -> None:
    """Ask for what a file lacks and add it; a server that gives the whole begins it anew."""
    have = _size(part)
    with open_web(address, {"Range": f"bytes={have}-"} if have else None) as answer:
        have = have if _continues(answer, have) else 0
        total = have + answer.length if answer.length is not None else 0
        with part.open("ab" if have else "wb") as file:
            for piece in read_pieces(answer):
                file.write(piece)
                have += len(piece)
                progress(have, total)


def _continues(answer: HTTPResponse, have: int) -> bool:
    """Tell whether an answer begins at the byte that was asked for."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return answer.status == 206 and found is not None and int(found[1]) == have


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
