"""The manifest on disk: what a line says, and what is left of it after a kill."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeplab.batch import Result
from deeplab.batch.jobs import Job, finish, plan_jobs
from deeplab.batch.manifest import Manifest, version_of
from deeplab.errors import DeepLabError, ImageError, InputError, OutputError

Open = Callable[..., Manifest]
FILE = Path("out/manifest.jsonl")


def job_of(name: str) -> Job:
    stem = Path(name).stem
    return Job(Path(name), Path(f"out/{stem}.png"), Path(f"out/{stem}_overlay.jpg"), version_of(Path(name)))


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_text().splitlines()]


@pytest.mark.usefixtures("album")
def test_a_line_says_what_was_made_of_what(open_manifest: Open, result: Result) -> None:
    Path("b.JPG").write_bytes(b"photo")
    with open_manifest() as manifest:
        finish(job_of("b.JPG"), result, manifest)
        (line,) = lines()  # at once, not at the end
        with pytest.raises(ImageError, match="no such file"):
            finish(job_of("missing.jpg"), ImageError("missing.jpg: no such file"), manifest)
    assert line == {
        "file": str(Path("b.JPG").absolute()),
        "bytes": 5,
        "modified_ns": Path("b.JPG").stat().st_mtime_ns,
        "outputs": {  # sha256sum of the two texts
            "b.png": "d772ebb4590212c65cc31888ee55c3a893d866d8479f84a4c0ca36918a3fa75f",
            "b_overlay.jpg": "b4b33d2441645d4dd0a0694b5989a0a14a5cc22fe9865e6b7b7eae966e0de36c",
        },
        "width": 5,
        "height": 4,
        "classes": {"cat": 0.75, "background": 0.25},
        "confidence": 0.9,
        "seconds": 0.1,
        "error": None,
        "model": {"name": "tiny", "sha256": "0" * 64},
        "settings": {"crf": True, "min_confidence": None},
    }
    assert lines()[1]["error"] == "missing.jpg: no such file"
    assert lines()[1]["outputs"] == {}


@pytest.mark.usefixtures("album")
def test_a_photo_done_again_has_one_line(open_manifest: Open, result: Result) -> None:
    for count in (1, 2):
        with open_manifest() as manifest:
            for name in ("a.png", "b.JPG")[:count]:
                finish(job_of(name), result, manifest)
    assert [Path(line["file"]).name for line in lines()] == ["a.png", "b.JPG"]


@pytest.mark.usefixtures("album")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(cut=st.integers(1, 2000))
def test_wherever_a_kill_tears_the_last_line_the_rest_counts(open_manifest: Open, result: Result, cut: int) -> None:
    FILE.unlink(missing_ok=True)
    with open_manifest() as manifest:
        for name in ("a.png", "b.JPG"):
            finish(job_of(name), result, manifest)
    first, second = FILE.read_bytes().splitlines(keepends=True)
    kept = max(0, len(second) - cut)
    FILE.write_bytes(first + second[:kept])
    with open_manifest() as manifest:
        assert manifest.is_done(job_of("a.png").version, job_of("a.png").outputs)
        assert not manifest.is_done(job_of("b.JPG").version, job_of("b.JPG").outputs)
        finish(job_of("b.JPG"), result, manifest)
    assert [Path(line["file"]).name for line in lines()] == ["a.png", "b.JPG"]


@pytest.mark.usefixtures("album")
def test_killed_between_the_line_and_the_results(
    open_manifest: Open, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_manifest() as manifest:
        finish(job_of("b.JPG"), result, manifest)
    Path("b.JPG").write_bytes(b"changed")
    newer = Result(5, 4, {}, 0.9, 0.1, b"newer labels", b"newer overlay")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with open_manifest() as manifest, monkeypatch.context() as patch:
        patch.setattr("deeplab.batch.jobs.atomic_files", killed)
        with pytest.raises(KeyboardInterrupt):
            finish(job_of("b.JPG"), newer, manifest)
    assert Path("out/b.png").read_bytes() == b"labels"
    with open_manifest() as manifest:  # the old results are still known as ours
        plan = plan_jobs([Path("b.JPG")], Path("out"), manifest)
        (job,) = plan.jobs
        assert isinstance(job, Job)
        finish(job, newer, manifest)
    assert Path("out/b.png").read_bytes() == b"newer labels"
    assert len(lines()) == 1


@pytest.mark.usefixtures("album")
def test_a_result_that_cannot_be_written_is_an_error_in_the_manifest(open_manifest: Open, result: Result) -> None:
    with open_manifest() as manifest, pytest.raises(OutputError):
        finish(Job(Path("b.JPG"), Path("nowhere/b.png"), None), Result(5, 4, {}, 1, 1, b"x", None), manifest)
    assert [line["error"] is None for line in lines()] == [False]
    assert "nowhere" in lines()[0]["error"]


@pytest.mark.usefixtures("album")
def test_one_run_at_a_time_and_no_empty_manifest(open_manifest: Open) -> None:
    with (
        open_manifest(),
        pytest.raises(OutputError, match=r"another run is writing .*manifest\.jsonl"),
        open_manifest(),
    ):
        pass
    assert not FILE.exists()


@pytest.mark.usefixtures("album")
@pytest.mark.parametrize(
    "content",
    ["my notes\n", "{}\n", '{"file": 3, "outputs": {}}\n', "[1]\n", "notes without an end", '{"file": "a"}\n'],
)
def test_a_file_that_is_no_manifest_is_left_alone(open_manifest: Open, content: str) -> None:
    FILE.write_text(content)
    with pytest.raises(InputError, match=r"manifest\.jsonl, line 1, is no line of a manifest"), open_manifest():
        pass
    assert FILE.read_text() == content


def test_a_manifest_where_none_can_be(open_manifest: Open, album: Path) -> None:
    (album / "folder").mkdir()
    for name in ("folder", "nowhere/manifest.jsonl"):
        with pytest.raises(DeepLabError, match=name.partition("/")[0]), open_manifest(name=name):
            pass


@pytest.mark.usefixtures("album")
def test_a_full_disk_leaves_no_half_a_line(
    open_manifest: Open, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with open_manifest() as manifest:
        finish(job_of("a.png"), result, manifest)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:9]))
            with pytest.raises(OutputError, match=r"cannot write .*manifest\.jsonl: No space left on device"):
                finish(job_of("b.JPG"), result, manifest)
        assert len(lines()) == 1
        finish(job_of("b.JPG"), result, manifest)
    assert len(lines()) == 2


@pytest.mark.usefixtures("album")
def test_a_photo_that_changes_while_it_is_segmented_is_not_done(open_manifest: Open, result: Result) -> None:
    with open_manifest() as manifest:
        job = job_of("b.JPG")
        Path("b.JPG").write_bytes(b"changed")
        finish(job, result, manifest)
    with open_manifest() as manifest:
        assert len(plan_jobs([Path("b.JPG")], Path("out"), manifest).jobs) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names that are any bytes")
@pytest.mark.usefixtures("album")
def test_names_that_are_no_text(open_manifest: Open, result: Result) -> None:
    name = os.fsdecode(b"Stra\xdfe \n\xc3\x9f.jpg")
    Path(name).touch()
    with open_manifest() as manifest:
        finish(job_of(name), result, manifest)
    with open_manifest() as manifest:
        assert plan_jobs([Path(name)], Path("out"), manifest) == ([], 1)
    assert lines()[0]["file"] == str(Path(name).absolute())


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
@pytest.mark.usefixtures("album")
@pytest.mark.parametrize("there", [True, False])
def test_a_manifest_is_neither_followed_out_of_the_folder_nor_waited_for(open_manifest: Open, there: bool) -> None:
    if there:
        Path("elsewhere.jsonl").touch()
    FILE.symlink_to(Path("elsewhere.jsonl").absolute())
    with pytest.raises(OutputError, match=r"manifest\.jsonl is a symbolic link; move it away"), open_manifest():
        pass
    assert (FILE.is_symlink(), Path("elsewhere.jsonl").exists()) == (True, there)
    os.mkfifo("out/pipe")
    with pytest.raises(OutputError, match="out/pipe is a pipe or device"), open_manifest(name="out/pipe"):
        pass
