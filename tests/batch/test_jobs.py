"""Where results go, what is skipped, what is never replaced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deeplab.batch import Result, Settings
from deeplab.batch.jobs import Job, Outcome, Plan, finish, plan_jobs
from deeplab.batch.manifest import Manifest, Origin
from deeplab.errors import ImageError, OutputError

Open = Callable[..., Manifest]
Touch = Callable[..., None]
PlanAll = Callable[..., list[str]]


@pytest.fixture
def plan(album: Path, no_manifest: Manifest) -> PlanAll:
    """Return a function that plans photos without a manifest and gives each one's results, or the error."""

    def plan(*photos: str, folder: str = "out", overlay: bool = True, overwrite: bool = False) -> list[str]:
        (album / folder).mkdir(exist_ok=True)
        found = [Path(photo) for photo in photos]
        jobs = plan_jobs(found, Path(folder), no_manifest, overlay=overlay, overwrite=overwrite).jobs
        return [
            " ".join(path.as_posix() for path in job.outputs) if isinstance(job, Job) else str(job.error)
            for job in jobs
        ]

    return plan


def test_where_results_go(plan: PlanAll) -> None:
    assert plan("b.JPG", "sub/c.webp") == ["out/b.png out/b_overlay.jpg", "out/c.png out/c_overlay.jpg"]
    assert plan("b.JPG", overlay=False) == ["out/b.png"]
    assert plan("b.JPG", folder=".") == ["b.png b_overlay.jpg"]


def test_same_stem_is_refused_for_the_second(plan: PlanAll) -> None:
    first, second = plan("b.JPG", "sub/b.jpg")
    assert first == "out/b.png out/b_overlay.jpg"
    assert (
        second
        == "sub/b.jpg: its result out/b.png is already that of b.JPG; segment the two into separate folders with -o"
    )


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_photo_is_never_replaced(album: Path, touch: Touch, plan: PlanAll, overwrite: bool) -> None:
    touch(album, "cat.jpg", "cat.png", "dog.jpg", "dog_overlay.jpg")
    for photos in (["cat.png"], ["cat.jpg", "cat.png"], ["dog.jpg", "dog_overlay.jpg"]):
        outcome = plan(*photos, folder=".", overwrite=overwrite)
        assert "would replace the photo" in outcome[0]
    (album / "link").symlink_to(album)
    assert "would replace the photo" in plan("cat.png", folder="link", overwrite=overwrite)[0]


def test_results_that_no_manifest_knows_need_force(album: Path, touch: Touch, plan: PlanAll) -> None:
    touch(album, "out/b_overlay.jpg")
    assert "out/b_overlay.jpg exists; give --force" in plan("b.JPG")[0]
    assert plan("b.JPG", overlay=False) == ["out/b.png"]
    assert plan("b.JPG", overwrite=True) == ["out/b.png out/b_overlay.jpg"]


def test_missing_folder_is_an_error_per_photo(album: Path, no_manifest: Manifest) -> None:
    (outcome,) = plan_jobs([album / "b.JPG"], album / "nowhere", no_manifest).jobs
    assert isinstance(outcome, Outcome)
    assert isinstance(outcome.error, OutputError)


def do(manifest: Manifest, result: Result, *photos: str, **options: bool) -> Plan:
    """Plan photos into out/ and finish each with the same result; return the plan."""
    with manifest:
        plan = plan_jobs(map(Path, photos), Path("out"), manifest, **options)
        for job in plan.jobs:
            if isinstance(job, Job):
                finish(job, result, manifest)
    return plan


@pytest.mark.usefixtures("album")
def test_what_is_done_is_skipped(open_manifest: Open, result: Result) -> None:
    assert do(open_manifest(), result, "a.png", "b.JPG").done == 0
    assert Path("out/b.png").read_bytes() == b"labels"
    assert Path("out/b_overlay.jpg").read_bytes() == b"overlay"
    assert do(open_manifest(), result, "b.JPG", "a.png", "sub/c.webp")[1] == 2
    assert do(open_manifest(), result, "a.png", "b.JPG", "sub/c.webp") == ([], 3)
    assert do(open_manifest(), result, "a.png", overlay=False) == ([], 1)
    assert len(do(open_manifest(), result, "a.png", overwrite=True).jobs) == 1


def change_photo() -> None:
    Path("b.JPG").write_bytes(b"other")


def touch_photo() -> None:
    os.utime("b.JPG", ns=(1, 1))


def lose_a_result() -> None:
    Path("out/b_overlay.jpg").unlink()


@pytest.mark.usefixtures("album")
@pytest.mark.parametrize("change", [change_photo, touch_photo, lose_a_result])
def test_what_no_longer_fits_is_done_again(open_manifest: Open, result: Result, change: Callable[[], None]) -> None:
    do(open_manifest(), result, "a.png", "b.JPG")
    change()
    jobs, done = do(open_manifest(), result, "a.png", "b.JPG")
    assert done == 1
    assert [job.photo.name for job in jobs if isinstance(job, Job)] == ["b.JPG"]
    assert do(open_manifest(), result, "a.png", "b.JPG").done == 2


@pytest.mark.usefixtures("album")
@pytest.mark.parametrize(
    "origin",
    [
        Origin("tiny", "1" * 64, Settings()),
        Origin("tiny", "0" * 64, Settings(crf=False)),
        Origin("tiny", "0" * 64, Settings(min_confidence=0.5)),
    ],
)
def test_another_model_or_setting_does_all_again(open_manifest: Open, result: Result, origin: Origin) -> None:
    do(open_manifest(), result, "b.JPG")
    assert do(open_manifest(origin), result, "b.JPG").done == 0
    assert do(open_manifest(origin), result, "b.JPG").done == 1
    assert do(open_manifest(), result, "b.JPG").done == 0


@pytest.mark.usefixtures("album")
def test_what_somebody_changed_is_kept(open_manifest: Open, result: Result) -> None:
    do(open_manifest(), result, "b.JPG")
    Path("out/b.png").write_bytes(b"mended by hand")
    (refused,) = do(open_manifest(), result, "b.JPG").jobs
    assert "out/b.png was changed by somebody since; move it away, or give --force" in str(refused.error)
    assert Path("out/b.png").read_bytes() == b"mended by hand"
    do(open_manifest(), result, "b.JPG", overwrite=True)
    assert Path("out/b.png").read_bytes() == b"labels"


def test_another_photos_result_is_kept(album: Path, open_manifest: Open, result: Result, touch: Touch) -> None:
    do(open_manifest(), result, "b.JPG")
    touch(album, "more/b.jpg")
    (album / "more" / "b.jpg").write_text("another")
    (refused,) = do(open_manifest(), result, "more/b.jpg").jobs
    assert f"its result out/b.png is already that of {album / 'b.JPG'}; choose another folder (-o), or" in str(
        refused.error
    )
    (album / "b.JPG").rename(album / "more" / "b.JPG")
    assert do(open_manifest(), result, "more/b.JPG").done == 1  # moved, not changed
    assert len(do(open_manifest(), result, "more/b.jpg", overwrite=True).jobs) == 1
    (refused,) = do(open_manifest(), result, "more/b.JPG").jobs
    assert "is already that of" in str(refused.error)


@pytest.mark.usefixtures("album")
def test_a_failed_photo_keeps_its_old_results_and_is_tried_again(open_manifest: Open, result: Result) -> None:
    do(open_manifest(), result, "b.JPG")
    change_photo()
    with open_manifest() as manifest:
        (job,) = plan_jobs([Path("b.JPG")], Path("out"), manifest).jobs
        assert isinstance(job, Job)
        with pytest.raises(ImageError):
            finish(job, ImageError("damaged"), manifest)
    assert Path("out/b.png").read_bytes() == b"labels"
    assert len(do(open_manifest(), result, "b.JPG").jobs) == 1
    assert do(open_manifest(), result, "b.JPG").done == 1


@pytest.mark.usefixtures("album")
def test_a_missing_photo_is_left_to_the_reader(open_manifest: Open, result: Result) -> None:
    for _ in range(2):
        assert do(open_manifest(), result, "missing.jpg").done == 0


@pytest.mark.usefixtures("album")
def test_a_link_that_leads_nowhere_holds_up_no_other_photo(open_manifest: Open, result: Result) -> None:
    for place in ("out/a_overlay.jpg", "out/a.png"):
        Path(place).symlink_to("nowhere.jpg")
        refused, other = do(open_manifest(), result, "a.png", "b.JPG").jobs
        assert f"{place} exists; give --force" in str(refused.error)
        assert isinstance(other, Job)
        Path("out/b.png").unlink()
    do(open_manifest(), result, "a.png", overwrite=True)
    assert not Path("out/a.png").is_symlink()
    assert Path("out/a.png").read_bytes() == b"labels"
    assert not Path("out/nowhere.jpg").exists()


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """As on a disk that is nearly full: what is written beyond this size is an error."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("album")
@pytest.mark.parametrize("known", [False, True])
def test_where_the_overlay_does_not_fit_neither_is_there_and_the_next_run_makes_both(
    open_manifest: Open, no_manifest: Manifest, result: Result, known: bool
) -> None:
    result = replace(result, overlay=bytes(100_000))
    manifest = open_manifest() if known else no_manifest
    Path("out").mkdir(exist_ok=True)
    with files_of_at_most(50_000), pytest.raises(OutputError, match=r"cannot write out/b\.png, out/b_overlay\.jpg: "):
        do(manifest, result, "b.JPG")
    assert [path.name for path in Path("out").iterdir()] == ["manifest.jsonl"] * known
    assert len(do(open_manifest() if known else no_manifest, result, "b.JPG").jobs) == 1
    assert Path("out/b.png").read_bytes() == b"labels"
    assert Path("out/b_overlay.jpg").stat().st_size == 100_000
