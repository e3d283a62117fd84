"""Two machines, here two launches on loopback, each in its own folder: they do one's work, and the first writes."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import start
from imports import ROOT
from launches import (
    LONG,
    PROMISE_SECONDS,
    PYTHON,
    assert_same_rows,
    begun,
    children,
    comes,
    errors,
    goes_on,
    is_there,
    is_under_way,
    rows,
    told,
)
from projects import contents, write_params

from detox.errors import InputError
from detox.runtime import handover

pytest_plugins = ["models", "projects"]
slow = pytest.mark.slow

INPUTS = ["data/prepared", "data/risk.jsonl", "models/adapter"]
HOST = socket.gethostname()


@pytest.fixture(autouse=True)
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test stands in the first machine's folder; nothing is unfinished after it."""
    monkeypatch.chdir(finished)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield
    shutil.rmtree(".resume", ignore_errors=True)
    write_params()


def second(folder: Path) -> Path:
    """The second machine's folder: parameters and inputs, nothing else."""
    subprocess.run(["cp", "--recursive", "--parents", *INPUTS, "params.yaml", folder], check=True)
    return folder


def both(stage: str, folder: Path) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
    """The two commands that a person types on two machines."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])

    def one(rank: str, folder: Path) -> subprocess.Popen[str]:
        meeting = {"NODE_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
        return start(folder, *PYTHON, f"stages.{stage}", **meeting)

    return one("0", Path.cwd()), one("1", folder)


def end(*machines: subprocess.Popen[str]) -> list[str]:
    """What each has printed when it has ended."""
    printed = []
    for machine in machines:
        with machine:
            printed.append(machine.communicate()[0])
    return printed


@slow
def test_two_machines_train_as_one_does_and_the_second_writes_nothing(tmp_path: Path) -> None:
    alone = rows()
    told(1, machines=2)
    before = contents(str(second(tmp_path)))
    machines = both("train_ppo", tmp_path)
    printed = end(*machines)
    assert [machine.returncode for machine in machines] == [0, 0], printed
    assert "device: cpu, 2 processes on 2 machine(s)\n" in printed[0]
    assert printed[1] == ""
    assert_same_rows(rows(), alone)
    assert contents(str(tmp_path)) == before


@slow
def test_a_machine_that_has_other_inputs_or_parameters_is_told_so_before_the_first_step(tmp_path: Path) -> None:
    told(1, machines=2)
    path = second(tmp_path) / "data/prepared/train.jsonl"
    path.write_text(path.read_text().replace("tea", "milk"))
    (tmp_path / "params.yaml").write_text((tmp_path / "params.yaml").read_text().replace('"seed": 5', '"seed": 6'))
    machines = both("train_ppo", tmp_path)
    said = [errors(printed) for printed in end(*machines)]
    assert [machine.returncode for machine in machines] == [1, 1], said
    what = (
        "rank 1 has another 'params.yaml', 'data/prepared/train.jsonl' than rank 0: bring its machine to the commit of "
        "the first, and copy what is missing from there"
    )
    assert said[0] == [f"error: {what}"]
    assert said[1] in ([f"error: rank 1 on {HOST}: {what}"], [f"error: rank 0 on {HOST}: {what}"])
    assert not is_under_way()


@slow
def test_what_a_machine_lacks_both_say(tmp_path: Path) -> None:
    told(1, machines=2)
    shutil.rmtree(second(tmp_path) / "models/adapter")
    said = [errors(printed) for printed in end(*both("train_ppo", tmp_path))]
    assert all(len(lines) == 1 for lines in said), said
    assert all(lines[0].startswith(f"error: rank 1 on {HOST}: models/adapter") for lines in said), said


@slow
@pytest.mark.parametrize("lost", ["its rank is killed", "all of it is frozen"])
def test_a_machine_that_is_lost_ends_the_other_by_name_which_goes_on_alone(lost: str, tmp_path: Path) -> None:
    told(1, ppo=LONG)
    with begun("train_ppo") as process:
        process.communicate()
    alone = rows()
    told(1, machines=2, ppo=LONG)
    first, other = both("train_ppo", second(tmp_path))
    assert comes(lambda: first.poll() is not None or is_under_way())
    [rank] = children(other.pid)
    for process_id in [rank] if lost == "its rank is killed" else [other.pid, rank]:
        os.kill(process_id, signal.SIGKILL if lost == "its rank is killed" else signal.SIGSTOP)
    death = time.monotonic()
    [printed] = end(first)
    assert time.monotonic() - death < PROMISE_SECONDS
    assert first.returncode == 1
    assert errors(printed) == [
        f"error: rank 1 on {HOST} has given no sign of life for 15 s: run this again to go on from the last state"
    ]
    if lost == "all of it is frozen":
        for process_id in (other.pid, rank):
            os.kill(process_id, signal.SIGCONT)
    [said] = end(other)
    assert len(errors(said)) == 1
    assert comes(lambda: not is_there(rank))
    assert goes_on(1) > 0
    assert_same_rows(rows(), alone)


def test_several_machines_want_to_be_told_which_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"NODE_RANK": "1", "MASTER_ADDR": "host", "MASTER_PORT": "29500"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert handover.meeting(2)[:3] == ["--machine_rank=1", "--main_process_ip=host", "--main_process_port=29500"]
    monkeypatch.setattr("accelerate.commands.config.config_args.default_config_file", "nowhere")
    monkeypatch.delenv("NODE_RANK")
    with pytest.raises(InputError, match=r"machines is 2, but nothing says .* set NODE_RANK, MASTER_ADDR, MASTER_PORT"):
        handover.meeting(2)
