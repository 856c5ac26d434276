import pytest

from deeplab import progress


def test_plain_progress_is_a_line_every_ten_seconds_and_one_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 3.0, 11.0, 12.0, 12.5])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    lines: list[str] = []
    show = progress.plain_show(lines.append)
    for done in (1, 2, 3, 4):
        show("main", done, 4, "loss 1")
    assert lines == ["main 2/4  loss 1", "main 4/4  loss 1"]


def test_a_stage_of_less_than_a_second_is_not_worth_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 8.0, 8.5])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    lines: list[str] = []
    show = progress.plain_show(lines.append)
    show("scoring", 1, 1, "")
    show("evaluating", 1, 1, "")
    show("writing", 1, 1, "")
    assert lines == ["evaluating 1/1"]


def test_without_a_terminal_results_go_to_stdout_and_the_rest_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.reporter() as out:
        out.result("cat 30 %")
        out.say("hello")
    assert capsys.readouterr() == ("cat 30 %\n", "hello\n")


def test_durations() -> None:
    assert [progress.duration(seconds) for seconds in (0, 59.9, 3661)] == ["0:00:00", "0:00:59", "1:01:01"]
