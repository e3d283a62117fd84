"""Stages in several processes, as a user starts them: they do one's work, and end together however one of them ends."""

import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import start
from imports import ROOT
from launches import (
    LONG,
    PROMISE_SECONDS,
    assert_same_rows,
    begun,
    children,
    comes,
    errors,
    finish,
    goes_on,
    is_there,
    is_under_way,
    rows,
    steps_saved,
    told,
)
from projects import contents, names, write_params
from safetensors.torch import load_file
from torch.testing import assert_close

pytest_plugins = ["models", "projects"]
slow = pytest.mark.slow

LAUNCH = f"accelerate launch --config_file {ROOT / 'accelerate.yaml'} --num_processes 2 --log_dir /dev/null -m".split()
TORCHRUN = "torchrun --nproc-per-node 2 --log-dir /dev/null -m".split()


@pytest.fixture(autouse=True)
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test stands in the project's root, whose stages may be started; nothing is unfinished or left after it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(finished)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_params()
    yield
    shutil.rmtree(".resume", ignore_errors=True)
    assert names(str(tmp_path)) == set()


def weights() -> dict[str, Any]:
    return load_file(Path("models/ppo/adapter_model.safetensors"))


@slow
def test_two_processes_train_and_summarise_as_one_does_but_for_rounding() -> None:
    alone, adapter, summaries = rows(), weights(), contents("data/summaries")
    told(2)
    printed = finish("train_ppo")
    assert printed.count("PPO: step 1 of 2") == 1, "the first rank alone says how far it is"
    assert printed.count("device: cpu, 2 processes on 1 machine(s)\n") == 1
    assert_same_rows(rows(), alone)
    assert_close(weights(), adapter, rtol=0, atol=1e-3)
    assert {path for path in names("metrics") if path.startswith((".", "train", "samples"))} == {
        "samples.json",
        "train.csv",
        "train.json",
    }
    finish("summarize")
    assert contents("data/summaries").keys() == summaries.keys()
    for name in ("data/summaries/sft.jsonl", "data/summaries/stress.jsonl"):
        assert contents("data/summaries")[name] == summaries[name]
    assert not Path(".resume").exists()


@slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_two_processes_on_gpus_train_as_one_does_on_the_cpu() -> None:
    """On one GPU they share it, over gloo; on two over NCCL."""
    alone = rows()
    told(2, device="auto")
    assert "device: cpu" not in finish("train_ppo")
    for row, other in zip(rows(), alone, strict=True):
        assert row == pytest.approx(other, abs=1e-3)


@slow
@pytest.mark.parametrize("command", [LAUNCH, TORCHRUN], ids=["accelerate", "torchrun"])
def test_a_stage_may_be_started_by_what_it_hands_itself_to(command: list[str]) -> None:
    alone = rows()
    finish("train_ppo", command)
    assert_same_rows(rows(), alone)


@pytest.fixture(scope="module")
def long_run(finished: Path) -> list[dict[str, float]]:
    """The long run in one process that nothing interrupts."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(finished)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        told(1, ppo=LONG)
        finish("train_ppo")
        return rows()


def ended(rank: int, number: signal.Signals, ready: Callable[[], bool]) -> list[str]:
    """The errors that training ends with, in time and with all of its ranks, once this rank has got this signal."""
    with begun("train_ppo") as process:
        assert comes(lambda: process.poll() is not None or ready())
        ranks = children(process.pid)
        os.kill(ranks[rank], number)
        death = time.monotonic()
        printed, _ = process.communicate()
    assert time.monotonic() - death < PROMISE_SECONDS
    assert process.returncode == 1
    assert not [each for each in ranks if is_there(each)]
    return errors(printed)


@slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("RANK_KILLS", "4"))))
def test_a_rank_that_is_killed_ends_all_by_name_and_another_number_of_them_goes_on(
    seed: int, long_run: list[dict[str, float]]
) -> None:
    """At random: how many there are, which is killed, after how many steps, and how many go on."""
    chance = random.Random(seed)
    count, then = chance.choice([(2, 1), (3, 1), (2, 3), (3, 2)])
    killed, after = chance.randrange(count), chance.randrange(1, 9)
    told(count, ppo=LONG)
    assert ended(killed, signal.SIGKILL, lambda: is_under_way() and steps_saved() >= after) == [
        f"error: rank {killed} on {socket.gethostname()} was killed by SIGKILL, and so all have ended: "
        "lower compute.processes if memory ran out; run this again to go on from the last state"
    ]
    steps = steps_saved()
    assert goes_on(then) == steps > 0
    assert_same_rows(rows(), long_run)


@slow
@pytest.mark.parametrize("stuck", [0, 1])
def test_a_rank_that_is_frozen_ends_all_by_name_and_they_go_on(stuck: int, long_run: list[dict[str, float]]) -> None:
    told(2, ppo=LONG)
    assert ended(stuck, signal.SIGSTOP, is_under_way) == [
        f"error: rank {stuck} on {socket.gethostname()} has given no sign of life for 15 s: "
        "run this again to go on from the last state"
    ]
    assert goes_on(1) > 0
    assert_same_rows(rows(), long_run)


@slow
def test_a_rank_that_does_nothing_though_others_wait_for_it_ends_all_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}")
    begin = time.monotonic()
    with start(Path.cwd(), *TORCHRUN, "idle_rank") as process:
        printed, _ = process.communicate()
    assert time.monotonic() - begin < 2 * PROMISE_SECONDS  # with what starting takes
    assert process.returncode == 1
    assert [line for line in printed.splitlines() if line.startswith("error: ")] == [
        f"error: rank 1 on {socket.gethostname()} has given no sign of life for 15 s: "
        "run this again to go on from the last state"
    ]


@slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_all_ranks_end_with_the_process_that_was_started(number: int, code: int) -> None:
    told(2, ppo=LONG | {"checkpoint_every": 3})
    with begun("train_ppo") as process:
        assert comes(lambda: process.poll() is not None or is_under_way())
        ranks, saved = children(process.pid), steps_saved()
        process.send_signal(number)
        printed, _ = process.communicate()
        assert comes(lambda: not any(is_there(rank) for rank in ranks))
    assert process.returncode == code
    assert errors(printed) == []
    assert steps_saved() >= saved


@slow
def test_bad_input_is_one_line_however_many_read_it() -> None:
    told(2, reward={"source": {"path": "nowhere", "sha256": "0" * 64}, "toxic_label": "x", "batch_size": 4})
    with begun("summarize") as process:
        printed, _ = process.communicate()
    assert process.returncode == 1
    assert errors(printed) == ["error: nowhere does not exist: check the source's path in params.yaml"]
