"""Where the models compute: on the CPU, on NVIDIA GPUs by CUDA, or on an Apple GPU by MPS."""

import os
from typing import Any

import torch
import torch.distributed as dist

from detox.errors import InputError
from detox.params import reading, sections

CPU = torch.device("cpu")
KINDS = ("cuda", "mps", "cpu")  # best first


def kind() -> str:
    """cpu, cuda or mps: what params.yaml says (`compute.device`), or the best of these that is there.

    Raises InputError where torch finds no such device.
    """
    wanted = reading.load(sections.Compute).device
    there = dict(zip(KINDS, (torch.cuda.is_available(), torch.backends.mps.is_available(), True), strict=True))
    found = next(name for name in KINDS if there[name]) if wanted == "auto" else wanted
    if not there[found]:
        raise InputError(
            f"{reading.PARAMS}: compute.device is {found}, but torch {torch.__version__} finds no such GPU: set it to "
            "auto or cpu, or install a torch for this machine's GPU"
        )
    return found


def join(kind: str, **meeting: Any) -> None:
    """Makes this one of several processes: of GPUs each takes its own over NCCL; too few they share, over gloo.

    Raises InputError for MPS, which one process has.
    """
    from accelerate import PartialState

    if kind == "mps":
        raise InputError("compute.device mps is for one process: set compute.processes to 1, or the device to cpu")
    fewer = kind == "cpu" or torch.cuda.device_count() < int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    os.environ.setdefault("LOCAL_RANK", "0")  # some clusters start one process a machine, and say no more
    PartialState(cpu=kind == "cpu", backend="gloo" if fewer else "cpu:gloo,cuda:nccl", **meeting)


def chosen() -> torch.device:
    """The device of this process, made ready to give the same bytes in every run, and printed.

    Raises InputError where torch finds none such.
    """
    several = dist.is_initialized()
    if not several:  # Of several GPUs transformers' trainer would use all; sums would have no fixed order.
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    device = torch.device(kind())  # after that line, or CUDA would not see it
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    machines = int(os.environ.get("GROUP_WORLD_SIZE", 1))
    sharing = f", {dist.get_world_size()} processes on {machines} machine(s)" if several else ""
    print(f"device: {name(device)}{sharing}")
    return device


def name(device: torch.device) -> str:
    """Of the GPU; of the CPU what kind of device it is, since detox.runtime.checkpoints knows more of it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
