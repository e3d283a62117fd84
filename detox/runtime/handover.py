"""How a stage begins: as one process, or in the hands of `accelerate launch`, which starts, watches and ends several.

A stage hands itself over where params.yaml asks for more than one process or machine. It may as well be started by that
command, or by torchrun, which then say how many there are. Nothing here imports torch before that is known.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from detox.errors import InputError
from detox.params import reading, sections
from detox.runtime import processes

Main = Callable[[], None]

# Options of `accelerate launch` that say of several machines which this is and where all meet.
MEETING = {"machine_rank": "NODE_RANK", "main_process_ip": "MASTER_ADDR", "main_process_port": "MASTER_PORT"}


def alone(stage: str, main: Main) -> None:
    """Runs `main` as the one process of its stage in this folder, which speaks, writes, and ends with its parent."""
    with processes.stoppable(), processes.locked(Path(".resume", stage), stage), processes.ending_with_parent():
        main()


def in_ranks(stage: str, main: Main) -> None:
    """Runs `main` in as many processes as params.yaml says, or as who has started this one says."""
    if "RANK" in os.environ:
        (alone if os.environ["RANK"] == "0" else follow)(stage, lambda: join(main))
    elif (p := reading.load(sections.Compute)).processes * p.machines == 1:
        alone(stage, main)
    else:
        launch(f"stages.{stage}", [], p.processes, p.machines)


def follow(stage: str, main: Main) -> None:
    """Runs `main` in a rank that is not the first: it says nothing, and has nothing to save."""
    os.environ["TQDM_DISABLE"] = "1"
    for number in (signal.SIGINT, *processes.STOPS):
        signal.signal(number, signal.SIG_DFL)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), processes.ending_with_parent():
        main()


def join(main: Main) -> None:
    """Runs `main` when all ranks are there."""
    from detox.runtime import group

    with group.joined():
        main()


def launch(module: str, arguments: list[str], count: int, machines: int) -> None:
    """Has `accelerate launch` run a module in `count` processes on each machine, from within this one.

    Raises InputError, by its name and host, if a rank is killed; ends by its exit code if it has said itself why.
    """
    logging.disable(logging.CRITICAL)  # torchrun logs what is said below
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # else every rank would say that another has ended
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup, which torchrun would not obey
        os.environ.setdefault("PET_SIGNALS_TO_HANDLE", "SIGTERM,SIGINT")
    with processes.stoppable(), processes.ending_with_parent():
        import torch
        from accelerate.commands.launch import launch_command, launch_command_parser
        from torch.distributed.elastic.multiprocessing.api import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

        os.environ |= {processes.PARENT: str(os.getpid()), processes.THREADS: str(torch.get_num_threads())}
        # What accelerate calls several GPUs is several processes by torchrun, on a CPU as well.
        options = f"""--multi_gpu --num_machines={machines} --num_processes={count * machines} --mixed_precision=no
            --num_cpu_threads_per_process={max(1, torch.get_num_threads() // count)} --dynamo_backend=no
            --log_dir={os.devnull}""".split()
        told = [*options, *meeting(machines), "--module", module, *arguments]
        try:
            launch_command(launch_command_parser().parse_args(told))
        except SignalException as stop:
            sys.exit(128 + stop.sigval)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode > 0:  # it has said why
                sys.exit(failure.exitcode)
            raise InputError(
                f"rank {rank} on {socket.gethostname()} was killed by {signal.Signals(-failure.exitcode).name}, and so "
                "all have ended: lower compute.processes if memory ran out; run this again to go on from the last state"
            ) from error
        except (torch.distributed.DistError, ConnectionError) as error:
            raise InputError(f"the {machines} machine(s) have not met, or lost one another: {error}") from error


def meeting(machines: int) -> list[str]:
    """Options that say where all meet; of several machines accelerate's own configuration may say it, too.

    Raises InputError where neither that nor the environment does.
    """
    from accelerate.commands.config.config_args import default_config_file

    if machines == 1:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"  # nothing leaves the machine
        return ["--main_process_port=0"]
    told = [f"--{option}={os.environ[name]}" for option, name in MEETING.items() if name in os.environ]
    if len(told) < len(MEETING) and not Path(default_config_file).exists():
        raise InputError(
            f"{reading.PARAMS}: compute.machines is {machines}, but nothing says which of them this is and where all "
            f"meet: set {', '.join(MEETING.values())}, or run `accelerate config` on each machine"
        )
    return [*told, "--rdzv_conf=timeout=3600"]  # seconds in which the others are to come
