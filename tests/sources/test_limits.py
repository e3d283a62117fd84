"""A download that brings more than it said, or takes for ever, ends."""

import os
import resource
import signal
from pathlib import Path

import pytest
from forks import forked

from detox.sources import limits


def grow(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def test_no_file_grows_beyond_the_largest_that_was_stated(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGALRM)
    with limits.bounded("a", [1, limits.LEAST + 9]):
        grow(tmp_path / "a", limits.LEAST + 9)
        with pytest.raises(OSError, match="File too large"):
            grow(tmp_path / "b", limits.LEAST + 10)
    grow(tmp_path / "b", limits.LEAST + 10)
    assert before == (resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGALRM))
    assert signal.alarm(0) == 0


def test_a_server_that_never_ends_is_left_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """After ten minutes, and a second for each 100 kB: here they are over at once."""

    def wait() -> None:
        with limits.bounded("https://example.com/a", [5_000_000]):
            assert signal.alarm(0) == 650
            os.kill(os.getpid(), signal.SIGALRM)
            signal.pause()

    assert forked(wait) == 1
    assert capfd.readouterr().err == (
        "\nerror: https://example.com/a has not come in 650 s: check the network and the server\n"
    )
