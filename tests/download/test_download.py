"""The whole command, from a server's archives to what the readers read; and each way in which it is stopped."""

from __future__ import annotations

import os
import pty
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deeplab.data.readers import read_samples
from deeplab.data.samples import load_mask
from deeplab.download import ARCHIVES, Archive, download, place
from deeplab.download.fetch import fetch
from deeplab.errors import DataError, OutputError
from deeplab.files import alone_in
from deeplab.web import is_web

SILENT = dict.fromkeys(("downloading", "checking", "unpacking"), lambda done, total: None)


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@contextmanager
def files_up_to(size_bytes: int) -> Iterator[None]:
    """No file grows further, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_readers_read_what_is_downloaded(published: Any, tmp_path: Path, run: Callable[..., Any]) -> None:
    told = run("download", "sbd", "voc2012", "vgg16", "camvid", "--data", str(tmp_path), "--yes")
    assert told.status == 0
    assert "licence: CC BY-NC 4.0" in told.err
    assert told.out.splitlines() == [
        f"{name}: in {tmp_path / folder}"
        for name, folder in {"sbd": "voc2012/SBD", "voc2012": "voc2012", "vgg16": "weights", "camvid": "camvid"}.items()
    ]
    samples = read_samples("voc", tmp_path / "voc2012", "train_aug")
    assert [(sample.name, load_mask(sample)[0, 0]) for sample in samples] == [("a", 3), ("b", 12)]
    assert [load_mask(s)[0, 0] for s in read_samples("camvid", tmp_path / "camvid", "test")] == [4]
    assert (tmp_path / "weights" / "VGG_ILSVRC_16_layers.caffemodel").read_bytes() == b"weights" * 1000
    names = left(tmp_path)
    assert [name for name in names if "xml" in name or "inst/" in name or "._" in name or "archives" in name] == []
    assert not (tmp_path / "archives").exists()


def test_a_second_run_downloads_nothing(published: Any, host: Any, tmp_path: Path, run: Callable[..., Any]) -> None:
    run("download", "voc2012", "--data", str(tmp_path), "--yes")
    asked = len(host.asked)
    told = run("download", "voc2012", "--data", str(tmp_path))
    assert (told.status, told.out) == (0, f"voc2012: is there, in {tmp_path / 'voc2012'}\n")
    assert len(host.asked) == asked


def test_what_stands_without_names_is_the_list(run: Callable[..., Any]) -> None:
    told = run("download")
    assert told.status == 0
    assert all(f"{name}: " in told.out for name in ARCHIVES)


def test_unknown_names_are_refused_with_the_nearest(published: Any, tmp_path: Path, run: Callable[..., Any]) -> None:
    told = run("download", "voc2012", "camvd", "--data", str(tmp_path), "--yes")
    assert told.status == 1
    assert "unknown archive 'camvd': did you mean 'camvid'? choose one of voc2012, sbd, " in told.err
    assert list(tmp_path.iterdir()) == []


def test_nobody_to_ask_is_no_yes(published: Any, host: Any, tmp_path: Path, run: Callable[..., Any]) -> None:
    told = run("download", "voc2012", "--data", str(tmp_path))
    assert told.status == 1
    assert "give --yes where nobody can be asked" in told.err
    assert (host.asked, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize(("answer", "there"), [("\n", True), ("n\n", False)])
def test_a_person_is_asked(
    answer: str, there: bool, published: Any, tmp_path: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal, os.fdopen(ours, "w") as keys:
        monkeypatch.setattr("sys.stdin", terminal)
        keys.write(answer)
        keys.flush()
        told = run("download", "vgg16", "--data", str(tmp_path))
    assert "download 0 MB?" in told.err
    assert told.status == (0 if there else 1)
    assert (tmp_path / "weights").exists() is there


def test_a_disk_without_room_is_known_before(
    published: dict[str, Archive], host: Any, tmp_path: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(published, "sbd", replace(published["sbd"], size_bytes=10**18))
    told = run("download", "vgg16", "sbd", "--data", str(tmp_path / "data"), "--yes")
    assert told.status == 1
    assert "this takes 2000000000.0 GB until it is unpacked; make room, or give another folder (--data)" in told.err
    assert (host.asked, list(tmp_path.iterdir())) == ([], [])


def test_room_counts_each_archive_until_it_is_unpacked(published: dict[str, Archive], tmp_path: Path) -> None:
    sizes = {"vgg16": 100, "camvid": 10}
    wanted = {name: replace(published[name], size_bytes=size) for name, size in sizes.items()}
    assert place.room_needed(wanted, tmp_path, None) == 200
    assert place.room_needed(dict(reversed(wanted.items())), tmp_path, None) == 210
    assert place.room_needed(wanted, tmp_path, str(tmp_path)) == 110
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / f"{wanted['vgg16'].file_name}.part").write_bytes(bytes(60))
    assert place.room_needed(wanted, tmp_path, None) == 140


def test_a_disk_that_fills_while_unpacking_loses_no_download(published: dict[str, Archive], tmp_path: Path) -> None:
    archive = published["camvid"]
    (tmp_path / "archives").mkdir()
    fetch(archive.addresses, tmp_path / "archives" / archive.file_name, SILENT["downloading"])
    with (
        pytest.raises(OutputError, match=r"cannot unpack .*File too large; make room and start again"),
        files_up_to(200),
    ):
        download("camvid", archive, tmp_path, SILENT)
    assert left(tmp_path) == [f"archives/{archive.file_name}"]
    download("camvid", archive, tmp_path, SILENT)
    assert len(left(tmp_path)) == 6


@pytest.mark.parametrize("moves", range(3))
def test_a_run_killed_while_parts_take_their_places_is_finished(
    moves: int, published: dict[str, Archive], host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, move = published["voc2012"], place._move
    done: list[Path] = []

    def dying(source: Path, target: Path) -> None:
        if len(done) == moves:
            raise KeyboardInterrupt
        move(source, target)
        done.append(target)

    monkeypatch.setattr(place, "_move", dying)
    with pytest.raises(KeyboardInterrupt):
        download("voc2012", archive, tmp_path, SILENT)
    monkeypatch.setattr(place, "_move", move)
    assert not place.is_placed("voc2012", archive, tmp_path)
    asked = len(host.asked)
    download("voc2012", archive, tmp_path, SILENT)
    assert len(host.asked) == asked
    assert [sample.name for sample in read_samples("voc", tmp_path / "voc2012", "trainval")] == ["a", "v"]


def test_a_part_that_is_there_already_is_left_alone(
    published: Any, host: Any, tmp_path: Path, run: Callable[..., Any]
) -> None:
    (tmp_path / "voc2012" / "JPEGImages").mkdir(parents=True)
    told = run("download", "voc2012", "--data", str(tmp_path), "--yes")
    assert told.status == 1
    assert "JPEGImages is there, and " in told.err
    assert "Segmentation is not; move it away, or give another folder (--data)" in told.err
    assert host.asked == []


def test_a_wrong_checksum_is_refused_unless_taken_as_it_is(
    published: Any, host: Any, tmp_path: Path, run: Callable[..., Any]
) -> None:
    path = f"/{published['vgg16'].file_name}"
    host.files[path] = b"other"
    told = run("download", "vgg16", "--data", str(tmp_path), "--yes")
    assert told.status == 1
    assert (
        "is not what was published, or was damaged on the way: its MD5 is 795f3202b17cb6bc3d4b771d8c6c9eaf" in told.err
    )
    assert left(tmp_path) == []
    assert run("download", "vgg16", "--data", str(tmp_path), "--yes", "--unchecked").status == 0
    assert (tmp_path / "weights" / "VGG_ILSVRC_16_layers.caffemodel").read_bytes() == b"other"


@pytest.mark.parametrize("by_address", [True, False])
def test_archives_can_come_from_elsewhere(
    by_address: bool, published: Any, host: Any, tmp_path: Path, run: Callable[..., Any]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, archive in published.items():
        (elsewhere / archive.file_name).write_bytes(host.files[f"/{archive.file_name}"])
        host.files[f"/mirror/{archive.file_name}"] = host.files.pop(f"/{archive.file_name}")
        assert run("download", name, "--data", str(tmp_path / "data"), "--yes").status == 1  # there is nothing any more
    origin = f"{host.address}/mirror/" if by_address else str(elsewhere)
    assert is_web(origin) is by_address
    told = run("download", *published, "--data", str(tmp_path / "data"), "--yes", "--from", origin)
    assert told.status == 0
    assert [sample.name for sample in read_samples("voc", tmp_path / "data" / "voc2012", "val")] == ["v"]
    assert len(left(elsewhere)) == 4


def test_a_folder_that_lacks_the_archive_is_named(published: Any, tmp_path: Path, run: Callable[..., Any]) -> None:
    told = run("download", "sbd", "--data", str(tmp_path), "--yes", "--from", str(tmp_path))
    assert told.status == 1
    assert f"{tmp_path / 'benchmark.tgz'} is missing; --from is the folder, or its address, that holds" in told.err


def test_archives_can_be_kept(published: Any, host: Any, tmp_path: Path, run: Callable[..., Any]) -> None:
    assert run("download", "sbd", "--data", str(tmp_path), "--yes", "--keep").status == 0
    (tmp_path / "voc2012").rename(tmp_path / "away")
    assert run("download", "sbd", "--data", str(tmp_path), "--yes").status == 0
    assert len(host.asked) == 1


def test_two_runs_do_not_meet(published: Any, host: Any, tmp_path: Path, run: Callable[..., Any]) -> None:
    with alone_in(tmp_path):
        told = run("download", "sbd", "--data", str(tmp_path), "--yes")
    assert told.status == 1
    assert "another run is at work" in told.err
    assert "(--data)" in told.err


def test_a_damaged_archive_of_ones_own_is_named(published: Any, host: Any, tmp_path: Path) -> None:
    for name in ("voc2012", "sbd", "camvid"):
        archive = published[name]
        content = host.files[f"/{archive.file_name}"]
        file = tmp_path / archive.file_name
        for damaged in (content[: len(content) // 4], content[:200] + bytes(400) + content[600:], b"", b"<html>"):
            file.write_bytes(damaged)
            with pytest.raises(DataError, match=f"{archive.file_name} (is damaged|holds no)"):
                download(name, archive, tmp_path, SILENT, origin=str(tmp_path), checked=False)
            assert [path for path in left(tmp_path) if "/" in path] == []
        file.unlink()
