"""Time the tuning of an adapter on this base; prints a line of JSON with the seconds of a step of 16 examples."""

import argparse
import json
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import torch

from benchmarks import shapes
from detox.corpus.dialogues import Dialogue
from detox.model import prompts
from detox.params import training
from detox.runtime import allocator
from detox.runtime.devices import CPU
from detox.tuning import supervised

BATCH, STEPS = 16, 3
TUNING: dict[str, Any] = {"rank": 32, "alpha": 32, "dropout": 0.05, "targets": ["q", "v"], "learning_rate": 0.001}


def dialogues(count: int, tokens: int) -> list[Dialogue]:
    """Prompts spread over the lengths, each with a reference of so many tokens."""
    rng = Random(0)
    texts = shapes.texts(shapes.spread(count, *shapes.PROMPT_TOKENS), rng)
    return [Dialogue(str(n), text, tuple(shapes.texts([tokens], rng)), str(n)) for n, text in enumerate(texts)]


def tune(base: Path, dtype: str, rows: list[Dialogue], tokens: int, device: torch.device = CPU) -> None:
    """Tunes an adapter for a pass over these, and forgets it."""
    p = training.Tuning(**TUNING, batch_size=BATCH, epochs=1, patience=1, max_summary_tokens=tokens + 1)
    plan = supervised.Plan(base, dtype, p, prompts.Prompt(prompts.tokenizer(base), 512), 1, device)
    with tempfile.TemporaryDirectory() as folder:
        supervised.tune(plan, rows, [], Path(folder, "unfinished"), Path(folder, "tuned"), lambda curve: None)


def seconds(base: Path, dtype: str, steps: int, tokens: int) -> float:
    """That a run of so many steps takes, loading and saving included."""
    rows = dialogues(steps * BATCH, tokens)
    start = time.perf_counter()
    tune(base, dtype, rows, tokens)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("--dtype", choices=shapes.TYPES, default="float32")
    parser.add_argument("--tokens", type=int, default=64)
    told = parser.parse_args()
    allocator.keep_freed()
    once, more = (seconds(told.base, told.dtype, steps, told.tokens) for steps in (1, 1 + STEPS))
    print(json.dumps({"seconds": (more - once) / STEPS}))


if __name__ == "__main__":
    main()
