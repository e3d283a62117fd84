"""Stages that are started as a user starts them, in the working directory or another, and what is seen of them."""

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import start
from projects import write_params
from tiny import PPO

LONG = PPO | {"steps": 12, "checkpoint_every": 1, "kl_limit": 1e6, "learning_rate": 0.003, "value_learning_rate": 0.003}
PYTHON = [sys.executable, "-m"]
PROMISE_SECONDS = 60  # in which all have ended where one is lost


def told(processes: int, machines: int = 1, device: str = "cpu", **sections: Any) -> None:
    write_params(compute={"device": device, "processes": processes, "machines": machines}, **sections)


def begun(stage: str, command: list[str] = PYTHON) -> subprocess.Popen[str]:
    return start(Path.cwd(), *command, f"stages.{stage}")


def finish(stage: str, command: list[str] = PYTHON) -> str:
    """What the stage prints, which has to succeed."""
    with begun(stage, command) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return printed


def children(process: int) -> list[int]:
    """Its ranks, in their order."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def comes(condition: Callable[[], object]) -> bool:
    """Whether this comes true; three minutes are given to it."""
    deadline = time.monotonic() + 180
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def is_under_way() -> bool:
    # By glob: rglob would look into a state that is being removed.
    return bool(list(Path(".resume").glob("*/*/step_*/manifest.json")))


def steps_saved() -> int:
    return int(max(path.name for path in Path(".resume").glob("*/*/step_*"))[5:])


def goes_on(processes: int) -> int:
    """Finishes the long run in so many processes; the step after which it has begun."""
    told(processes, ppo=LONG)
    first = int(re.findall(r"^train_ppo: going on from step (\d+)$", finish("train_ppo"), re.MULTILINE)[0])
    assert not Path(".resume").exists()
    return first


def rows() -> list[dict[str, float]]:
    with Path("metrics/train.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def assert_same_rows(some: list[dict[str, float]], others: list[dict[str, float]]) -> None:
    """The same samples, and the same rewards and KL but for rounding."""
    assert len(some) == len(others)
    for row, other in zip(some, others, strict=True):
        for name in ("reward", "kl", "response_tokens", "truncated"):
            assert row[name] == pytest.approx(other[name], abs=1e-4), name


def errors(printed: str) -> list[str]:
    assert "Traceback" not in printed
    return [line for line in printed.splitlines() if line.startswith("error: ")]
