"""Measure a T5 of base size on the first GPU, or a small one: a PPO step, decoding, tuning, scoring. Prints JSON."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch

from benchmarks import flops, shapes, tuning
from benchmarks.step import NoReward, settings
from detox.model import prompts
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.params import origins, sections
from detox.ppo import trainer
from detox.ppo.rollouts import Models
from detox.runtime import devices
from detox.sources import local


class Sizes(NamedTuple):
    """Of the models and of what they are given."""

    width: int
    layers: int
    prompts: int  # of a rollout, each answered k times
    k: int
    tokens: int
    texts: int  # to score
    seconds: float  # of matrix products


FULL, SMALL = Sizes(768, 12, 16, 4, 64, 2000, 2.0), Sizes(64, 2, 2, 2, 4, 8, 0.1)


def seconds(work: Callable[[], object]) -> float:
    """That the second of two times takes, to the end of what the GPU has been given."""
    for _ in range(2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
    return time.perf_counter() - start


def products(dtype: torch.dtype, device: torch.device, limit: float) -> float:
    """TFLOP a second of the card on square matrices, a multiply-add being two."""
    size = 4096 if limit > 1 else 64
    left, right = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    times = 1 + int(limit / seconds(lambda: left @ right))
    return times * 2 * size**3 / seconds(lambda: [left @ right for _ in range(times)]) / 1e12


def step(folder: Path, dtype: str, device: torch.device, sizes: Sizes) -> dict[str, float]:
    """A PPO step, and decoding alone as a rollout decodes."""
    lengths = shapes.spread(sizes.prompts, *shapes.PROMPT_TOKENS)
    dialogues = json.loads(shapes.write_prompts(folder / "prompts.json", lengths).read_text())["dialogues"]
    k, episodes = sizes.k, sizes.prompts * sizes.k
    p = settings(episodes, episodes, k * max(1, sizes.prompts // 2), k, sizes.tokens, 2)
    policy = Policy(folder / "t5" / "base", folder / "t5" / "adapter", dtype, device)
    prompt = prompts.Prompt(prompts.tokenizer(folder / "t5" / "base"), 512)
    steps = trainer.train(Models(policy, NoReward(), prompt), dialogues, [True] * len(dialogues), p, seed=1)
    took = seconds(lambda: next(steps))
    encoded = prompt.encode(dialogues, device)
    with policy.rounded():
        drawn = seconds(lambda: policy.sample(*encoded, list(range(episodes)), sizes.tokens))
    attention = sizes.width // 64 * 64
    shape = flops.Shape(sizes.width, attention, sizes.width * 8 // 3, sizes.layers, shapes.VOCABULARY)
    needed = flops.needed(flops.forward(shape, lengths, k, sizes.tokens))
    return {
        "step_seconds": took,
        "step_tokens": episodes * sizes.tokens / took,
        "decoding_tokens": episodes * sizes.tokens / drawn,
        "step_tflops": needed / took / 1e12,
    }


def tuned(folder: Path, dtype: str, device: torch.device, sizes: Sizes) -> float:
    """Tokens of prompts and references a second, of the tuning of an adapter."""
    rows = tuning.dialogues(tuning.BATCH * max(1, sizes.prompts // 2), sizes.tokens)
    took = seconds(lambda: tuning.tune(folder / "t5" / "base", dtype, rows, sizes.tokens, device))
    return sum(len(row.text.split()) + sizes.tokens for row in rows) / took


def scoring(folder: Path, device: torch.device, sizes: Sizes) -> float:
    """Tokens of summaries a second, of a classifier."""
    path = folder / "roberta"
    source = origins.Source(path=str(path), sha256=local.digest(path))
    classifier = Classifier(sections.Classifier(source=source, toxic_label="hate", batch_size=256), device)
    texts = shapes.texts([40] * sizes.texts, Random(0))
    return 40 * sizes.texts / seconds(lambda: classifier.toxicity(texts))


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu_step", description=__doc__)
    parser.add_argument("dtype", choices=shapes.TYPES)
    parser.add_argument("folder", type=Path, help="with the models t5 and roberta of benchmarks.shapes")
    parser.add_argument("--small", action="store_true")
    told = parser.parse_args()
    sizes, device = SMALL if told.small else FULL, devices.chosen()
    figures = {"card_tflops": products(getattr(torch, told.dtype), device, sizes.seconds)}
    figures |= step(told.folder, told.dtype, device, sizes)
    figures |= {"tuning_tokens": tuned(told.folder, told.dtype, device, sizes)}
    if told.dtype == "float32":  # the classifiers' only type
        figures |= {"scoring_tokens": scoring(told.folder, device, sizes)}
    print(json.dumps(figures | {"peak_gb": torch.cuda.max_memory_allocated() / 2**30}))


if __name__ == "__main__":
    main()
