"""How a stage's process ends: on a signal, with its parent, and at once where another one is at its work."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import forked
from imports import ROOT

from detox.errors import InputError
from detox.runtime import processes


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_stop_is_an_exit_with_the_shells_code_after_what_is_to_be_done_last(
    number: int, code: int, tmp_path: Path
) -> None:
    def run() -> None:
        signal.signal(number, signal.SIG_DFL)  # these tests may run under nohup
        with processes.stoppable():
            try:
                os.kill(os.getpid(), number)
                time.sleep(60)
            finally:
                (tmp_path / "saved").touch()

    assert forked(run) == code
    assert (tmp_path / "saved").exists()


def test_nohup_stays_in_force() -> None:
    def run() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with processes.stoppable():
            os.kill(os.getpid(), signal.SIGHUP)

    assert forked(run) == 0


def test_the_handlers_before_are_back_after_the_block() -> None:
    before = [signal.getsignal(number) for number in processes.STOPS]
    with processes.stoppable():
        pass
    assert [signal.getsignal(number) for number in processes.STOPS] == before


CHILD = """
import os, time
from pathlib import Path
from detox.runtime import processes
with processes.stoppable(), processes.ending_with_parent():
    try:
        Path("ready").write_text(str(os.getpid()))
        time.sleep(300)
    finally:
        Path("ended").touch()
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def comes(condition: Callable[[], bool]) -> bool:
    """Whether this comes true; a minute is given to it, of which it needs a moment."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_stage_ends_in_order_when_its_parent_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], cwd=tmp_path, env=environment)
    assert comes((tmp_path / "ready").exists)
    parent.kill()
    parent.wait()
    assert comes((tmp_path / "ended").exists)


def test_a_stage_whose_parent_has_died_before_it_looked_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in another session than its parent stands for an orphan, whose new parent is in another one, too."""
    monkeypatch.setenv("DVC_STAGE", "train_ppo")

    def run() -> None:
        os.setsid()
        with processes.ending_with_parent():
            pass

    assert forked(run) == 143


def test_nor_does_a_rank_that_another_process_than_its_parent_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processes.PARENT, "1")

    def run() -> None:
        with processes.ending_with_parent():
            pass

    assert forked(run) == 143
    monkeypatch.setenv(processes.PARENT, str(os.getpid()))
    assert forked(run) == 0


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / ".resume" / "train_ppo"

    def run() -> None:
        message = r"^train_ppo is running already: wait for it, or stop it"
        with pytest.raises(InputError, match=message), processes.locked(folder, "train_ppo"):
            pass

    with processes.locked(folder, "train_ppo"):
        assert forked(run) == 0
    with processes.locked(folder, "train_ppo"):
        pass
    assert not folder.parent.exists()


def test_a_lock_does_not_outlive_a_process_that_was_killed(tmp_path: Path) -> None:
    def run() -> None:
        with processes.locked(tmp_path / "x" / "y", "a stage"):
            os.kill(os.getpid(), signal.SIGKILL)

    assert forked(run) == -signal.SIGKILL
    with processes.locked(tmp_path / "x" / "y", "a stage"):
        pass
