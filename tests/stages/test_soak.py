"""Stages killed at random instants; `make soak N=100` does it more often."""

import sys
from pathlib import Path

import pytest
from soak import soak


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_interrupted_runs_end_in_the_same_bytes_and_leave_nothing(tmp_path: Path) -> None:
    rounds = list(soak(10, tmp_path))
    assert [each for each in rounds if not each.is_clean()] == []
    assert len(rounds) == 10
