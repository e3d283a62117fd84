"""Time PPO steps of this project, in a process or several; prints a line of JSON."""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from benchmarks import shapes
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.prompts import Prompt
from detox.params import reading, training
from detox.ppo import trainer
from detox.ppo.rollouts import Models
from detox.ppo.stats import StepStats
from detox.runtime import allocator, handover, ranks

SIZES = {
    "episodes": 16,
    "mini-batch": 4,
    "micro-batch": 2,
    "k": 1,
    "tokens": 64,
    "steps": 1,
    "warm-up": 0,
    "processes": 1,
}


class NoReward(Classifier):
    """Scores at once, so that the policy's own work is measured."""

    def __init__(self) -> None:
        pass

    def margin(self, texts: list[str]) -> Tensor:  # type: ignore[override]
        return torch.linspace(-1, 1, len(texts))


def settings(episodes: int, mini_batch: int, micro_batch: int, k: int, tokens: int, steps: int) -> training.Ppo:
    """Those of params.yaml, but for sizes, and with dialogues as they come."""
    changed = {
        "steps": steps,
        "batch_size": episodes,
        "mini_batch_size": mini_batch,
        "micro_batch_size": micro_batch,
        "decode_batch_size": episodes,
        "prefix_every": tokens,
        "samples_per_prompt": k,
        "max_new_tokens": tokens,
        "epochs": 1,
        "risky_share": None,
    }
    return training.Ppo(**{**vars(reading.load(training.Ppo)), **changed})


def prepared(
    base: Path, adapter: Path, texts: Path, dtype: str, steps: int, warm_up: int, processes: int = 1, **sizes: int
) -> Iterator[StepStats]:
    """The steps, of which those of the warm-up have been taken; no dialogue is sampled in two of them."""
    allocator.keep_freed()
    p = settings(steps=warm_up + steps, **sizes)
    dialogues = json.loads(texts.read_text(encoding="utf-8"))["dialogues"]
    different = dialogues[: p.steps * p.batch_size // p.samples_per_prompt]
    policy, tokenizer = Policy(base, adapter, dtype), AutoTokenizer.from_pretrained(base)
    taken = trainer.train(
        Models(policy, NoReward(), Prompt(tokenizer, 512)), different, [True] * len(different), p, seed=1
    )
    for _ in range(warm_up):
        next(taken)
    return taken


def arguments(module: str, description: str | None) -> dict[str, Any]:
    """What a measurement of our steps is told on its command line."""
    parser = argparse.ArgumentParser(f"python -m benchmarks.{module}", description=description)
    for name in ("base", "adapter", "texts"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--dtype", choices=shapes.TYPES, default="float32")
    for name, default in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return vars(parser.parse_args())


def measure(told: dict[str, Any]) -> None:
    """Measures from when all ranks are ready; the peak of the memory is that of the first one."""
    steps = prepared(**told)
    ranks.gathered(b"ready")
    start = time.perf_counter()
    tokens = [row.response_tokens for row in steps]
    seconds = (time.perf_counter() - start) / told["steps"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if ranks.rank() == 0:
        print(json.dumps({"seconds": seconds, "peak_gb": peak, "response_tokens": sum(tokens) / len(tokens)}))


def main() -> None:
    told = arguments("step", __doc__)
    if "RANK" in os.environ:
        handover.join(lambda: measure(told))
    elif told["processes"] == 1:
        measure(told)
    else:
        handover.launch("benchmarks.step", sys.argv[1:], told["processes"], machines=1)


if __name__ == "__main__":
    main()
