"""How far a stage is, as a log holds it."""

import pytest

from detox.runtime import progress
from detox.runtime.progress import Progress, duration, followed


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_a_duration_is_said_as_a_person_would(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_line_says_what_is_counted_and_what_is_left() -> None:
    # 3 steps since the start took 60 s, 10 are left.
    assert Progress("PPO", "step", 20, 7).line(10, 60) == "PPO: step 10 of 20, 3 min 20 s left"
    assert Progress("PPO", "step", 20, 7).line(20, 60) == "PPO: step 20 of 20, 0 s left"


def test_without_a_terminal_there_is_a_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    Progress("PPO", "step", 1).show(1, reward="2.50", KL="0.10")
    assert list(followed("ab", "Summaries", "batch")) == ["a", "b"]
    assert capsys.readouterr().err == (
        "PPO: step 1 of 1, 0 s left, reward 2.50, KL 0.10\n"
        "Summaries: batch 1 of 2, 0 s left\n"
        "Summaries: batch 2 of 2, 0 s left\n"
    )


def test_only_the_first_rank_speaks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RANK", "1")
    Progress("PPO", "step", 1).show(1)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_it_is_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bar = progress.Progress("PPO", "step", 2)
    bar.show(1, reward="2.50")
    bar.close()
    printed = capsys.readouterr().err
    assert "PPO:  50%" in printed
    assert "1/2" in printed
    assert "reward=2.50" in printed
