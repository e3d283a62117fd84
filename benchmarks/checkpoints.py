"""How much longer training and summarising take with checkpoints than without: `make bench-checkpoints`, some minutes.

Needs what `make repro` makes. In one process and from the same start, in turn with and without: the work that lies
between two checkpoints, and one of them, with a state as large as at the end of the stage. Start-up, which would hide
the cost, is left out. Without means without all that an interruption asks for: copying the state at every step, too.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from tqdm import trange

from detox import adapters, checkpoints, dialogues, memory, params, prompts, sources, summaries, trainer
from detox.errors import InputError
from detox.policy import POLICY, Policy
from detox.rewards import Classifier
from detox.train_state import TrainState
from detox.train_stats import StepStats
from stages import keep_freed_memory, yield_while_waiting

PREPARED, ADAPTER = Path("data/prepared"), Path("models/adapter")
SEED = 1


def training(folder: Path | None) -> float:
    """Seconds of PPO; a checkpoint is written into `folder`, if any."""
    model, p = params.load(params.Model), params.load(params.Ppo)
    base = sources.local(model.source)
    policy, tokenizer = Policy(base, ADAPTER), prompts.tokenizer(base)
    reward = Classifier(params.load(params.Classifier, section="reward"))
    texts = [dialogue.text for dialogue in dialogues.load(PREPARED / "train.jsonl")]
    few = replace(p, steps=p.checkpoint_every, kl_horizon=p.checkpoint_every * p.batch_size // 4)
    state = TrainState(policy, few)
    for number in range(p.steps // p.snapshot_every):
        state.snapshots[number] = adapters.weights(policy.language_model, POLICY)

    def train(p: params.Ppo) -> Iterator[StepStats]:
        return trainer.train(policy, reward, tokenizer, texts, model.max_prompt_tokens, p, SEED, state)

    begin = time.perf_counter()
    if folder:
        run = checkpoints.Run(folder, p.checkpoint_every)
        for _ in memory.sparing(train, few, state):
            run.keep(state.freeze())
    else:
        list(train(few))
    return time.perf_counter() - begin


def summarising(folder: Path | None) -> float:
    """Seconds of decoding; a checkpoint is written into `folder`, if any."""
    model, p = params.load(params.Model), params.load(params.Summarize)
    base = sources.local(model.source)
    policy, tokenizer = Policy(base, ADAPTER), prompts.tokenizer(base)
    keys = [None, *summaries.keys(SEED, summaries.SAMPLES, p.samples)]
    test = dialogues.load(PREPARED / "test.jsonl")
    drawn = {row: [*dialogue.references[:1] * len(keys)] for row, dialogue in enumerate(test)}
    texts = [dialogue.text for dialogue in test[: p.checkpoint_every * (p.batch_size // len(keys))]]
    sizes = {"batch_size": p.batch_size, "max_prompt_tokens": model.max_prompt_tokens}
    batches = summaries.draw(policy, tokenizer, texts, keys, max_new_tokens=p.max_new_tokens, done={}, **sizes)
    begin = time.perf_counter()
    if folder:
        run = checkpoints.Run(folder, p.checkpoint_every)
        for step, batch in enumerate(batches, start=1):
            drawn |= batch
            run.keep(checkpoints.State(step, {name: list(drawn.items()) for name in ("sft", "ppo")}, {}))
    else:
        list(batches)
    return time.perf_counter() - begin


def ratios(work: Callable[[Path | None], float], pairs: int) -> list[float]:
    """Seconds with a checkpoint / seconds without, of each pair; which comes first alternates."""
    found = []
    for number in trange(pairs, desc=work.__name__):
        seconds = {}
        for kept in (True, False) if number % 2 else (False, True):
            with tempfile.TemporaryDirectory(dir=".", prefix=".partial-") as folder:  # on the disk of .resume
                seconds[kept] = work(Path(folder) if kept else None)
        found.append(seconds[True] / seconds[False])
    return found


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.checkpoints", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="of runs (default: 5)")
    pairs = parser.parse_args().pairs
    keep_freed_memory()
    yield_while_waiting()
    for work in (training, summarising):
        try:
            found = ratios(work, pairs)
        except InputError as error:
            sys.exit(f"error: {error}")
        each = ", ".join(f"{ratio - 1:+.1%}" for ratio in found)
        print(f"{work.__name__}: {median(found) - 1:+.1%} with checkpoints, the median of {each}")


if __name__ == "__main__":
    main()
