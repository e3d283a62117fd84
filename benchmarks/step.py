"""Time PPO steps of this project on the models of `shapes`, one process a measurement; prints a line of JSON."""

import argparse
import json
import resource
import time
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer

from detox import params, trainer
from detox.policy import Policy
from detox.rewards import Classifier


class NoReward(Classifier):
    """Scores at once, so that the policy's own work is measured."""

    def __init__(self) -> None:
        pass

    def margin(self, texts: list[str]) -> Tensor:  # type: ignore[override]
        return torch.linspace(-1, 1, len(texts))


def settings(
    folder: Path, episodes: int, mini_batch: int, micro_batch: int, k: int, tokens: int, steps: int
) -> params.Ppo:
    """Those of params.yaml, but for sizes."""
    changed = {
        "steps": steps,
        "batch_size": episodes,
        "mini_batch_size": mini_batch,
        "micro_batch_size": micro_batch,
        "samples_per_prompt": k,
        "max_new_tokens": tokens,
        "epochs": 1,
    }
    return params.Ppo(**{**vars(params.load(params.Ppo)), **changed})


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.step", description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, default in (
        ("episodes", 16),
        ("mini-batch", 4),
        ("micro-batch", 4),
        ("k", 1),
        ("tokens", 64),
        ("steps", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = vars(parser.parse_args())
    folder: Path = arguments["folder"]
    policy = Policy(folder / "base", folder / "adapter")
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    steps = trainer.train(
        policy,
        NoReward(),
        AutoTokenizer.from_pretrained(folder / "base"),
        texts["dialogues"],
        512,
        settings(**arguments),
        seed=1,
    )
    start = time.perf_counter()
    for _ in steps:
        pass
    seconds = (time.perf_counter() - start) / arguments["steps"]
    print(json.dumps({"seconds": seconds, "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


if __name__ == "__main__":
    main()
