"""Files on disk as rough hands leave them: links, pipes, full disks, killed runs, two runs at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deeplab.errors import ImageError, InputError, OutputError
from deeplab.files import alone_in, atomic_file, atomic_files, check_output, make_folder, sha256_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs links, pipes, signals and locks")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def another_process(code: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has run `code` with `folder` at hand, and waits; killed at the end."""
    script = f"import sys\nfrom deeplab.files import *\nfolder = sys.argv[1]\n{code}"
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.send_signal(signal.SIGKILL)


WRITING = """
with atomic_file(folder + "/a.bin") as file:
    print("ready", flush=True)
    sys.stdin.read()
"""
WORKING = """
with alone_in(folder):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("clear", [make_folder, lambda folder: check_written(folder / "b.bin")])
def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path, clear: Callable[[Path], None]) -> None:
    theirs = [".0123456789abcdef.tmp", ".deeplab-mine.tmp", "notes.tmp"]
    for name in theirs:
        (tmp_path / name).touch()
    with another_process(WRITING, tmp_path):
        pass
    (left,) = set(names(tmp_path)) - set(theirs)
    with another_process(WRITING, tmp_path):
        assert len(set(names(tmp_path)) - {left, *theirs}) == 1
        clear(tmp_path)
        assert left not in names(tmp_path)
        assert len(set(names(tmp_path)) - {"b.bin", *theirs}) == 1  # that of the running process
    make_folder(tmp_path)
    assert set(names(tmp_path)) - {"b.bin"} == set(theirs)


def check_written(path: Path) -> None:
    with atomic_file(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"


def test_clearing_never_costs_a_writer_its_file(tmp_path: Path) -> None:
    clearing = "print('ready', flush=True)\nwhile True: make_folder(folder)"
    with another_process(clearing, tmp_path):
        for number in range(300):
            check_written(tmp_path / f"{number}.bin")


def test_a_name_taken_by_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    link = tmp_path / "out.png"
    link.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(OutputError, match=r"out\.png exists; give --force"):
        check_output(link)
    with atomic_file(link, overwrite=True) as file:
        file.write(b"labels")
    assert not link.is_symlink()
    assert names(tmp_path) == ["out.png"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match=r"loop: Too many levels of symbolic links; choose another name"):
        check_output(tmp_path / "loop")


def test_pipes_and_devices_are_neither_waited_for_nor_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/null")):
        with pytest.raises(OutputError, match="is a pipe or device"):
            check_output(path, overwrite=True)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0.png"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="choose another name"):
        check_output(tmp_path / name)


def test_where_the_second_file_does_not_fit_the_first_is_not_there_either(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from deeplab.errors import OutputError
from deeplab.files import atomic_files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    with atomic_files("a.png", "b.jpg", overwrite=True) as files:
        for file, size in zip(files, (1_000, 60_000)):
            file.write(bytes(size))
except OutputError as error:
    print(error)
"""
    (tmp_path / "b.jpg").write_text("earlier")
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == "cannot write a.png, b.jpg: File too large\n"
    assert names(tmp_path) == ["b.jpg"]
    assert (tmp_path / "b.jpg").read_text() == "earlier"


def test_several_files_get_their_own_contents(tmp_path: Path) -> None:
    with atomic_files(tmp_path / "a", tmp_path / "b") as files:
        for file, content in zip(files, (b"one", b"two"), strict=True):
            file.write(content)
        assert not (tmp_path / "a").exists()
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"one", b"two"]


def test_one_run_at_a_time_in_a_folder(tmp_path: Path) -> None:
    message = f"another run is at work in {tmp_path}; wait for its end, or choose another"
    with another_process(WORKING, tmp_path), pytest.raises(OutputError, match=message), alone_in(tmp_path):
        pass
    assert names(tmp_path) == [".deeplab.lock"]  # which that process, being killed, could not take away
    with alone_in(tmp_path), pytest.raises(OutputError, match="another run"), alone_in(tmp_path):
        pass
    assert names(tmp_path) == []


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".deeplab.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"cannot write .*\.deeplab\.lock"), alone_in(tmp_path):
        pass
    assert names(tmp_path) == [".deeplab.lock"]


def test_the_hash_is_sha256_and_its_error_of_the_kind_asked_for(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea")  # FIPS 180-2, appendix B.1
    for missing in (tmp_path / "missing", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(InputError, match=r"cannot read .*: No such file; check the path"):
            sha256_of(missing)
    with pytest.raises(ImageError, match="cannot read"):
        sha256_of(tmp_path / "missing", ImageError)
