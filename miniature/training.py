"""Training that goes on where it stopped: the loop, its learning rate, and its states."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

STATE_EVERY = 50
DECAY = 0.3  # share of the steps, at the end, in which the learning rate falls to 0


class Plan(NamedTuple):
    """How long and how fast."""

    steps: int
    batch: int
    learning_rate: float
    seed: int


def rate(step: int, steps: int) -> float:
    """Factor of the learning rate: a short warm-up, constant, then linear to 0.

    Whoever wants more steps can go on from any state before the decay.
    """
    warmup = max(1, min(100, steps // 20))
    return min(1.0, (step + 1) / warmup, (steps - step) / (DECAY * steps))


def fit(
    model: Any,
    data: Callable[[int], Iterator[dict[str, Tensor]]],
    loss_of: Callable[[dict[str, Tensor]], Tensor],
    optimizer: torch.optim.Optimizer,
    plan: Plan,
    state: Path,
    every: int = STATE_EVERY,
) -> float:
    """Minimises the loss over `data(first step)`; goes on from the file `state`, written `every` steps.

    Returns the seconds of the processor that it took, all runs together.
    """
    first, seconds = restore(model, optimizer, state)
    began, average = time.process_time() - seconds, 0.0
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    device = weights[0].device
    model.train()
    progress = tqdm(total=plan.steps, initial=first, desc=state.stem, mininterval=10)
    batches = data(first)
    for step in range(first, plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * rate(step, plan.steps)
        loss = loss_of({name: tensor.to(device) for name, tensor in next(batches).items()})
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        average = 0.98 * average + 0.02 * loss.item() if average else loss.item()
        progress.update()
        progress.set_postfix(loss=f"{average:.3f}", refresh=False)
        if (step + 1) % every == 0 or step + 1 == plan.steps:
            seconds = time.process_time() - began
            save(model, optimizer, step + 1, seconds, state)
    model.eval()
    return seconds


def save(model: Any, optimizer: torch.optim.Optimizer, step: int, seconds: float, state: Path) -> None:
    """Writes the trained weights, the optimiser, the number of steps done and the seconds that they took."""
    state.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"weights/{name}": weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    numbers: dict[str, float] = {}
    for place, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            kind = tensors if isinstance(value, Tensor) else numbers
            kind[f"optimizer/{place}/{name}"] = value
    told = {"step": step, "seconds": seconds, "numbers": numbers}
    temporary = state.with_suffix(".partial")
    save_file({name: each.contiguous() for name, each in tensors.items()}, temporary, {"told": json.dumps(told)})
    os.replace(temporary, state)


def restore(model: Any, optimizer: torch.optim.Optimizer, state: Path) -> tuple[int, float]:
    """Reads them back, if there are any; the number of steps done and their seconds."""
    if not state.is_file():
        return 0, 0.0
    with safe_open(state, "pt") as file:
        told = json.loads(file.metadata()["told"])
    tensors = load_file(state)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.copy_(tensors[f"weights/{name}"])
    moments: dict[int, dict[str, Any]] = {}
    for key, value in (tensors | told["numbers"]).items():
        kind, place, name = [*key.split("/", 2), ""][:3]
        if kind == "optimizer":
            moments.setdefault(int(place), {})[name] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(told["step"]), float(told["seconds"])
