"""Files that are written whole or not at all, and files and folders that one run has to itself."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from deeplab.errors import DeepLabError, InputError, OutputError

if sys.platform != "win32":
    import fcntl

_UNFINISHED = re.compile(r"\.deeplab-[0-9a-f]{16}\.tmp")
_LOCK = ".deeplab.lock"
_ITSELF = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)  # no link, no wait


def is_file(path: str | os.PathLike[str]) -> bool:
    """Tell whether there is such a file; a name that no file can have, too long or with a NUL, is none."""
    return os.path.isfile(path)  # noqa: PTH113 (Path.is_file raises for such names before Python 3.14)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether there is such a folder; see `is_file`."""
    return os.path.isdir(path)  # noqa: PTH112


def expanded(argument: str, files_in: Callable[[Path], list[Path]]) -> list[Path]:
    """Return what a path or glob stands for: of a folder `files_in` it, of a glob its files by name, else the path.

    Raises:
        OSError: no file can have such a name, or a folder cannot be read.
    """
    path = Path(argument)
    if is_folder(path):
        return files_in(path)
    try:
        there = bool(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        there = False
    except ValueError as error:  # a NUL
        raise OSError(errno.EINVAL, str(error)) from None
    if glob.has_magic(argument) and not there:
        matches = glob.glob(argument, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
        return [Path(match) for match in sorted(matches) if is_file(match)]
    return [path]


def sha256_of(path: str | os.PathLike[str], error: type[DeepLabError] = InputError) -> str:
    """Return a file's SHA-256 in hexadecimal digits; an `error` of the kind given says why it cannot be read."""
    if not is_file(path):
        raise error(f"cannot read {path}: No such file; check the path")
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as reason:
        raise error(f"cannot read {path}: {reason.strerror}; check the path") from None


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Check, before the work is done, that a file may be written.

    Raises:
        OutputError: its folder is missing or not writable, it is a folder, pipe or device, or the name is taken (be it
            by a link that leads nowhere) and is not to be replaced.
    """
    path = Path(path)
    try:
        taken, kind = _kind(path, follow=False), _kind(path, follow=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {path}: {reason}; choose another name") from error
    if kind == stat.S_IFDIR:
        raise OutputError(f"{path} is a folder; give the name of a file")
    if kind not in (0, stat.S_IFREG):
        raise OutputError(f"{path} is a pipe or device; a result is a file: give the name of one")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: folder {path.parent} is not writable; choose another with -o")
    if not overwrite and taken:
        raise OutputError(f"{path} exists; give --force (overwrite=True) to replace it, or another name or folder (-o)")


def check_kept(path: str | os.PathLike[str]) -> None:
    """Check that a file may be kept, to which one run after the other adds lines; it need not be there yet.

    Raises:
        OutputError: `check_output` refuses, or it is a symbolic link, which might lead anywhere.
    """
    if os.path.islink(path):  # noqa: PTH114 (no error for names that no file can have)
        raise OutputError(f"{path} is a symbolic link; move it away, or choose another folder (-o)")
    check_output(path, overwrite=True)


def _kind(path: Path, *, follow: bool) -> int:
    """Return what has a name, or what a link of that name leads to, as `stat.S_IFMT` says it; 0: nothing."""
    try:
        return stat.S_IFMT(os.stat(path, follow_symlinks=follow).st_mode)  # noqa: PTH116 (follows or not)
    except (FileNotFoundError, NotADirectoryError):
        return 0


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name only when the block ends well; otherwise nothing is left behind.

    Raises:
        OutputError: `check_output` refuses, or writing fails.
    """
    with atomic_files(path, overwrite=overwrite) as (file,):
        yield file


@contextmanager
def atomic_files(*paths: str | os.PathLike[str], overwrite: bool = False) -> Iterator[list[IO[bytes]]]:
    """Open files that belong together: all take their names when the block ends well, or none does.

    What a killed process of ours left unfinished in their folders is removed.

    Raises:
        OutputError: `check_output` refuses one of them, or writing fails.
    """
    places = [Path(path) for path in paths]
    for place in places:
        check_output(place, overwrite=overwrite)
        _clear_once(place.parent.resolve())
    try:
        with ExitStack() as stack:
            files = [_unfinished(place.parent, stack) for place in places]
            yield files
            for file in files:
                file.close()  # what does not fit is known before any file has its name
            for file, place in zip(files, places, strict=True):
                Path(file.name).replace(place)
    except OSError as error:
        names = ", ".join(map(str, places))
        raise OutputError(f"cannot write {names}: {error.strerror or error}") from error


def _unfinished(folder: Path, stack: ExitStack) -> IO[bytes]:
    """Open a new file, which is gone when the stack ends unless it was renamed; till then it is locked."""
    while True:
        path = folder / f".deeplab-{secrets.token_hex(8)}.tmp"
        file = stack.enter_context(path.open("xb"))
        stack.callback(path.unlink, missing_ok=True)
        lock = os.dup(file.fileno())  # the lock outlives the file's being closed
        locked = _lock(lock)
        if locked is None:
            os.close(lock)  # Windows renames no file that is open
            return file
        stack.callback(os.close, lock)
        if locked and os.fstat(lock).st_nlink:  # else `_clear` of another process came between
            return file


@cache
def _clear_once(folder: Path) -> None:
    _clear(folder)


def _clear(folder: Path) -> None:
    """Remove what killed processes left unfinished: files of ours that no process holds."""
    for path in folder.glob(".deeplab-*.tmp"):
        if not _UNFINISHED.fullmatch(path.name):
            continue
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | _ITSELF)
            try:
                if _lock(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def make_folder(folder: str | os.PathLike[str], *, option: str = "-o") -> None:
    """Make a folder for results, and those above it, unless it is there; clear it of what killed processes left.

    A message names the `option` that gives another.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        _clear(Path(folder))
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}; choose another with {option}") from error


def make_output(output: Path, photos: int, *, is_file: bool) -> tuple[Path, str | None]:
    """Make the folder for the results of so many photos; where the output is one photo's file, the folder of that.

    Returns:
        The folder, and what the file is called but for its ending, or None.

    Raises:
        InputError: it is a file, but there are several photos.
        OutputError: the folder cannot be made.
    """
    if is_file and photos != 1:
        raise InputError(f"{output} is one file, but there are {photos} photos; name a folder for their results (-o)")
    folder, stem = (output.parent, output.stem) if is_file else (output, None)
    make_folder(folder)
    return folder, stem


@contextmanager
def alone_in(folder: str | os.PathLike[str], *, option: str = "-o") -> Iterator[None]:
    """Keep other runs out of a folder until the block, or this process, ends.

    Where the file system has no locks, nothing is kept out. A message names the `option` that gives another folder.

    Raises:
        OutputError: another run is in it, or the folder cannot be written.
    """
    path = Path(folder) / _LOCK
    try:
        descriptor = open_alone(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another folder ({option})") from error
    if descriptor is None:
        raise OutputError(f"another run is at work in {folder}; wait for its end, or choose another folder ({option})")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held, so that `open_alone` of a run that waits for it sees it go
        os.close(descriptor)


def open_alone(path: Path) -> int | None:
    """Open a file for reading and appending, made if missing, and keep others from doing so until it is closed.

    Returns:
        The descriptor; None where another run has the file.

    Raises:
        OSError: it cannot be opened, or is a symbolic link.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _ITSELF, 0o644)
        if _lock(descriptor) is False:
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
        os.close(descriptor)  # the run that had it replaced or removed it, and ended this very moment


def _lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed or the process ends; False: another has it; None: there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True
