"""Where the models compute: on the CPU, or on one GPU by CUDA."""

import os

import torch

from detox import params
from detox.errors import InputError
from detox.runtime import ranks

CPU = torch.device("cpu")


def chosen() -> torch.device:
    """What params.yaml says (`compute.device`), made ready to give the same bytes in every run: of GPUs the first.

    Raises InputError where torch finds no GPU, or where several processes would share it.
    """
    if params.load(params.Compute).device == "cpu":
        return CPU
    if ranks.size() > 1:
        raise InputError(f"compute.device is cuda, which is for one process, but there are {ranks.size()}: start one")
    # Before CUDA looks at these. Of several GPUs transformers' trainer would use all; sums would have no fixed order.
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if not torch.cuda.is_available():
        raise InputError(
            f"{params.PARAMS}: compute.device is cuda, but torch {torch.__version__} finds no GPU: set it to cpu, or "
            "install a torch for this machine's CUDA"
        )
    torch.use_deterministic_algorithms(True)
    return torch.device("cuda")


def name(device: torch.device) -> str:
    """Of the GPU; of the CPU what kind of device it is, since detox.runtime.checkpoints knows more of it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
