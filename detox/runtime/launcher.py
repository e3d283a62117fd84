"""How the processes of a stage, its ranks, begin and end: together, in one or in several.

A stage that is to share its work (`compute.processes`) starts the other ranks itself and is the first of them, or has
`accelerate launch` start all. It may as well be started by that command, or by torchrun, which then says how many.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from detox import params
from detox.errors import InputError
from detox.runtime import processes

SIGNAL_SECONDS = 30  # for the first rank to save its state and to end, once another has died
FIRST_SECONDS = 20  # for the first rank to say what is wrong, before another does

Main = Callable[[], None]


def alone(stage: str, main: Main) -> None:
    """Runs `main` as the one process of its stage in this folder, which speaks, writes, and ends with its parent."""
    with processes.stoppable(), processes.locked(Path(".resume", stage), stage), processes.ending_with_parent():
        main()


def in_ranks(stage: str, main: Main) -> None:
    """Runs `main` in as many processes as params.yaml says. Raises InputError if one of them dies."""
    if int(os.environ.get("RANK", 0)):
        follow(main)
    elif "RANK" in os.environ:
        alone(stage, lambda: join(main))
    elif (p := params.load(params.Compute)).processes == 1:
        alone(stage, main)
    elif p.launcher == "python":
        alone(stage, lambda: lead(f"stages.{stage}", main, p.processes))
    else:
        accelerate(stage, p.processes)


def join(main: Main) -> None:
    """Runs `main` when all ranks are there."""
    from detox.runtime import ranks

    with ranks.joined():
        main()


def follow(main: Main) -> None:
    """Runs `main` in a rank that is not the first: it says nothing unless it fails alone, and has nothing to save."""
    os.environ["TQDM_DISABLE"] = "1"
    for number in (signal.SIGINT, *processes.STOPS):
        signal.signal(number, signal.SIG_DFL)
    with redirect_stdout(None), processes.ending_with_parent():
        try:
            join(main)
        except InputError as error:
            time.sleep(FIRST_SECONDS)  # what is wrong for all ranks the first one says, and ends this one
            raise InputError(f"rank {os.environ['RANK']}: {error}") from error


def lead(module: str, main: Main, count: int) -> None:
    """Starts the other ranks, and runs `main` as the first."""
    with tempfile.TemporaryDirectory() as folder:
        shared = {**surroundings(), "WORLD_SIZE": str(count), processes.STORE: f"{folder}/store"}
        with accompanied([sys.executable, "-m", module, *sys.argv[1:]], shared, count):
            os.environ.update(shared, RANK="0", LOCAL_RANK="0")
            join(main)


@contextmanager
def accompanied(command: list[str], environment: dict[str, str], count: int) -> Iterator[None]:
    """Within the block the ranks from 1 are running. If one dies this process ends, by an InputError that names it."""
    own = {**os.environ, **environment, processes.PARENT: str(os.getpid())}
    others = {
        # In a group of their own: Ctrl-C is for the first rank, which saves its state and ends them.
        rank: subprocess.Popen(command, env={**own, "RANK": str(rank), "LOCAL_RANK": str(rank)}, process_group=0)  # noqa: S603
        for rank in range(1, count)
    }
    lost: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not lost and not over.wait(processes.POLL_SECONDS):
            lost.extend(ended(rank, other.returncode) for rank, other in others.items() if other.poll())
        if lost:
            os.kill(os.getpid(), signal.SIGTERM)
            if not over.wait(SIGNAL_SECONDS):  # it waits for the dead one where no signal reaches it
                print(f"error: {lost[0]}", file=sys.stderr, flush=True)
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except BaseException as error:
        if lost:
            raise InputError(lost[0]) from error
        raise
    finally:
        over.set()
        for other in others.values():
            other.kill()  # it has nothing to save
            other.wait()


def accelerate(stage: str, count: int) -> None:
    """Has `accelerate launch` start all ranks, from within this process, so that they end with it."""
    os.environ.setdefault("LOGLEVEL", "CRITICAL")  # of torchrun, before it is loaded: it logs what is said below
    import torch
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # What accelerate calls several GPUs is several processes by torchrun, on a CPU as well.
    options = f"--multi_gpu --num_machines=1 --num_processes={count} --main_process_port=0 --mixed_precision=no"
    threads = f"--dynamo_backend=no --num_cpu_threads_per_process={torch.get_num_threads()}"
    arguments = launch_command_parser().parse_args(f"{options} {threads} --module stages.{stage}".split())
    with processes.ending_with_parent():
        os.environ.update(surroundings(), **{processes.PARENT: str(os.getpid())})
        try:
            launch_command(arguments)
        except SignalException as stop:
            sys.exit(128 + stop.sigval)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if rank == 0 and failure.exitcode > 0:  # it has said why
                sys.exit(failure.exitcode)
            raise InputError(ended(rank, failure.exitcode)) from error


def surroundings() -> dict[str, str]:
    """Environment variables of ranks: they share threads, and a network that does not leave the machine.

    Gloo does not log, since every rank would say that another has ended.
    """
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    return {processes.SHARE: "", "GLOO_SOCKET_IFNAME": loopback, "TORCH_CPP_LOG_LEVEL": "FATAL"}


def ended(rank: int, code: int) -> str:
    """What is said of a rank that has ended before its time, by its exit code or minus the signal that killed it."""
    how = f"ended with exit code {code}" if code > 0 else f"was killed by {signal.Signals(-code).name}"
    return (
        f"rank {rank} {how}, and so all have ended: see above what it has said, if anything; lower compute.processes "
        "if memory ran out; run this again to go on from the last state"
    )
