"""Stages in several processes, as a user starts them: they do one's work, and end together however one of them ends."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import start
from imports import ROOT
from projects import contents, names, write_params
from safetensors.torch import load_file
from tiny import PPO
from torch.testing import assert_close

pytest_plugins = ["models", "projects"]
pytestmark = pytest.mark.slow

LONG = PPO | {"steps": 30, "checkpoint_every": 1, "kl_limit": 1e6}
PYTHON = [sys.executable, "-m"]
LAUNCH = f"accelerate launch --config_file {ROOT / 'accelerate.yaml'} --num_processes 2 -m".split()


@pytest.fixture(autouse=True)
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test stands in the project's root, whose stages may be started; nothing is unfinished after it."""
    monkeypatch.chdir(finished)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_params()
    yield
    shutil.rmtree(".resume", ignore_errors=True)


def told(launcher: str, processes: int, **sections: Any) -> None:
    write_params(compute={"device": "cpu", "launcher": launcher, "processes": processes}, **sections)


def begun(stage: str, command: list[str] = PYTHON) -> subprocess.Popen[str]:
    return start(Path.cwd(), *command, f"stages.{stage}")


def finish(stage: str, command: list[str] = PYTHON) -> str:
    """What the stage prints, which has to succeed."""
    with begun(stage, command) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return printed


def children(process: int) -> list[int]:
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
    return bool(list(Path(".resume").rglob("step_*/manifest.json")))


def rows() -> list[dict[str, float]]:
    with Path("metrics/train.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def weights() -> dict[str, Any]:
    return load_file(Path("models/ppo/adapter_model.safetensors"))


def test_two_processes_train_and_summarise_as_one_does_but_for_rounding() -> None:
    alone, adapter, summaries = rows(), weights(), contents("data/summaries")
    told("python", 2)
    assert finish("train_ppo").count(" 0/2 [00:00<?, ?it/s]") == 1, "the first rank alone has a progress bar"
    for row, other in zip(rows(), alone, strict=True):
        assert row == pytest.approx(other, abs=1e-4)
    assert_close(weights(), adapter, rtol=0, atol=1e-3)
    assert names("metrics") == {"adapter.json", "train.csv", "train.json"}
    finish("summarize")
    assert contents("data/summaries").keys() == summaries.keys()
    for name in ("data/summaries/sft.jsonl", "data/summaries/stress.jsonl"):
        assert contents("data/summaries")[name] == summaries[name]
    assert not Path(".resume").exists()


def test_accelerate_launch_starts_a_stage_too() -> None:
    alone = rows()
    finish("train_ppo", LAUNCH)
    for row, other in zip(rows(), alone, strict=True):
        assert row == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize(("launcher", "count", "killed", "then"), [("python", 3, 2, 1), ("accelerate", 2, 1, 3)])
def test_a_rank_that_is_killed_ends_all_by_name_and_another_number_of_them_goes_on(
    launcher: str, count: int, killed: int, then: int
) -> None:
    told(launcher, count, ppo=LONG)
    with begun("train_ppo") as process:
        assert comes(lambda: process.poll() is not None or is_under_way())
        ranks = children(process.pid)
        os.kill(ranks[killed - (launcher == "python")], signal.SIGKILL)
        death = time.monotonic()
        printed, _ = process.communicate()
    assert time.monotonic() - death < 60
    assert process.returncode == 1
    assert [line for line in printed.splitlines() if line.startswith("error: ")] == [
        f"error: rank {killed} was killed by SIGKILL, and so all have ended: see above what it has said, if anything; "
        "lower compute.processes if memory ran out; run this again to go on from the last state"
    ]
    assert "Traceback" not in printed
    assert not [rank for rank in ranks if is_there(rank)]
    steps = int(max(path.name for path in Path(".resume").rglob("step_*"))[5:])
    told("python", then, ppo=LONG)
    begun_at = int(re.findall(r"(\d+)/30", finish("train_ppo"))[0])
    assert begun_at == steps > 0
    assert len(rows()) == 30
    assert not Path(".resume").exists()


@pytest.mark.parametrize(("launcher", "number"), [("python", signal.SIGKILL), ("accelerate", signal.SIGTERM)])
def test_all_ranks_end_with_the_process_that_was_started(launcher: str, number: int) -> None:
    told(launcher, 2, ppo=LONG)
    with begun("train_ppo") as process:
        assert comes(lambda: process.poll() is not None or is_under_way())
        ranks = children(process.pid)
        process.send_signal(number)
        process.wait()
        assert comes(lambda: not any(is_there(rank) for rank in ranks))
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 143)


@pytest.mark.parametrize("launcher", ["python", "accelerate"])
def test_bad_input_is_one_line_however_many_read_it(launcher: str) -> None:
    told(launcher, 2, reward={"source": {"path": "nowhere", "sha256": "0" * 64}, "toxic_label": "x", "batch_size": 4})
    with begun("summarize") as process:
        printed, _ = process.communicate()
    assert process.returncode == 1
    assert [line for line in printed.splitlines() if "error" in line] == [
        "error: nowhere does not exist: check the source's path in params.yaml"
    ]
