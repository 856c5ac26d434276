"""Downloads that are stopped, cut off, refused and moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deeplab.download import fetch
from deeplab.download.fetch import check_digest
from deeplab.download.fetch import fetch as run
from deeplab.errors import DataError, OutputError

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def target(tmp_path: Path, host: Any) -> Path:
    host.files["/x.tar"] = CONTENT
    return tmp_path / "x.tar"


def progress(*_: int) -> None:
    pass


def test_a_stopped_download_goes_on_where_it_was(host: Any, target: Path) -> None:
    part = target.with_name("x.tar.part")
    told: list[tuple[int, int]] = []

    def stopping(done: int, total: int) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([f"{host.address}/x.tar"], target, stopping)
    assert 0 < part.stat().st_size < len(CONTENT)
    had = part.stat().st_size
    run([f"{host.address}/x.tar"], target, lambda *step: told.append(step))
    assert host.asked[-1] == ("/x.tar", f"bytes={had}-")
    assert target.read_bytes() == CONTENT
    assert not part.exists()
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert all(done > had and total == len(CONTENT) for done, total in told)


def test_answers_that_are_cut_off_are_asked_for_again(host: Any, target: Path) -> None:
    host.cut, host.fail = [50_000, 1, 0, 300_000], []
    run([f"{host.address}/x.tar"], target, progress)
    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in host.asked] == [None, "bytes=50000-", "bytes=50001-", "bytes=50001-", "bytes=350001-"]


def test_a_server_without_ranges_begins_anew(host: Any, target: Path) -> None:
    host.ranges, host.cut = False, [50_000]
    run([f"{host.address}/x.tar"], target, progress)
    assert target.read_bytes() == CONTENT


def test_a_server_that_always_ends_at_the_same_byte_is_given_up(host: Any, target: Path) -> None:
    host.ranges, host.cut = False, [50_000] * 20
    with pytest.raises(
        DataError, match=r"cut off after 50000 of 512000 bytes; start again later.* keeps what has come"
    ):
        run([f"{host.address}/x.tar"], target, progress)
    assert len(host.asked) == 1 + fetch.TRIES


def test_a_server_that_recovers_is_waited_for(host: Any, target: Path) -> None:
    host.fail = [503, 500, 429]
    run([f"{host.address}/x.tar"], target, progress)
    assert target.read_bytes() == CONTENT


def test_redirections_are_followed_with_their_range(host: Any, target: Path) -> None:
    host.moved["/old"] = "/x.tar"
    target.with_name("x.tar.part").write_bytes(CONTENT[:1000])
    run([f"{host.address}/old"], target, progress)
    assert host.asked == [("/old", "bytes=1000-"), ("/x.tar", "bytes=1000-")]
    assert target.read_bytes() == CONTENT


def test_the_next_address_is_asked(host: Any, target: Path) -> None:
    run([f"{host.address}/gone", f"{host.address}/x.tar"], target, progress)
    assert target.read_bytes() == CONTENT
    assert len(host.asked) == 2


def test_no_such_file_is_said_at_once(host: Any, target: Path) -> None:
    with pytest.raises(
        DataError, match=r"/gone: the server says 404 Not Found; start again later, or take it from else"
    ):
        run([f"{host.address}/gone"], target, progress)
    assert len(host.asked) == 1
    assert list(target.parent.iterdir()) == []


def test_no_server_is_tried_several_times(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(fetch.time, "sleep", pauses.append)
    monkeypatch.setattr(fetch, "PAUSE_S", 2.0)
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/x\.tar: Connection refused"):
        run(["http://127.0.0.1:9/x.tar"], target, progress)
    assert pauses == [2, 4, 8, 16]


def test_more_than_the_server_has_is_another_file(host: Any, target: Path) -> None:
    target.with_name("x.tar.part").write_bytes(bytes(len(CONTENT) + 1))
    run([f"{host.address}/x.tar"], target, progress)
    assert target.read_bytes() == CONTENT


def test_a_full_disk_keeps_what_has_come(host: Any, target: Path) -> None:
    target.with_name("x.tar.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"x\.tar\.part: No space left on device; make room, .*what has come stays"):
        run([f"{host.address}/x.tar"], target, progress)
    assert not target.exists()


def test_a_checksum_tells_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # the digests are those of RFC 1321 and FIPS 180
    for digest in ("md5:900150983cd24fb0d6963f7d28e17f72", "sha1:a9993e364706816aba3e25717850c26c9cd0d89d"):
        assert check_digest(path, digest, progress) is None
    path.write_bytes(b"abd")
    assert "its SHA1 is cb4cc28df0fdbe0ecf9d9662e294b118092a5735, stated is a9993e" in str(
        check_digest(path, digest, progress)
    )
