"""How much longer training and summarising take because of their checkpoints: `make bench-checkpoints`, some minutes.

Needs what `make repro` makes. What is run is the work that lies between two checkpoints, and one of them, with a state
as large as at the end of the stage; start-up, which would hide the cost, is left out. The cost is what the clock says
of all that an interruption asks for: writing, and copying the state at every step, too. Two runs, with and without,
differ by more than that on a machine that is not one's own: by up to a quarter either way.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

from tqdm import trange

from detox.corpus import dialogues
from detox.errors import InputError
from detox.generation import summaries
from detox.model import adapters, prompts
from detox.model.classifier import Classifier
from detox.model.policy import POLICY, Policy
from detox.params import reading, sections, training
from detox.ppo import trainer
from detox.ppo.rollouts import Models
from detox.ppo.state import TrainState
from detox.ppo.stats import StepStats
from detox.runtime import allocator, checkpoints, memory
from detox.sources import local
from stages import yield_while_waiting

PREPARED, ADAPTER = Path("data/prepared"), Path("models/adapter")
SEED = 1

P = ParamSpec("P")
T = TypeVar("T")


class Stopwatch:
    """Seconds that functions have taken."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[P, T]) -> Callable[P, T]:
        """The function, whose time counts."""

        @wraps(function)
        def counted(*args: P.args, **kwargs: P.kwargs) -> T:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - begin

        return counted


def ppo(kept: Stopwatch, folder: Path) -> float:
    """Seconds of PPO up to its first checkpoint, which is written into `folder`."""
    model, p = reading.load(sections.Model), reading.load(training.Ppo)
    base = local.path(model.source)
    policy, prompt = Policy(base, ADAPTER), prompts.load(base, model)
    reward = Classifier(reading.load(sections.Classifier, section="reward"))
    texts = [dialogue.text for dialogue in dialogues.load(PREPARED / "train.jsonl")]
    few = replace(p, steps=p.checkpoint_every)
    state = TrainState(policy, few)
    for number in range(p.steps // p.snapshot_every):
        state.snapshots[number] = adapters.weights(policy.language_model, POLICY)
    state.freeze = kept.timed(state.freeze)  # type: ignore[method-assign]

    def train(p: training.Ppo) -> Iterator[StepStats]:
        return trainer.train(Models(policy, reward, prompt), texts, [True] * len(texts), p, SEED, state)

    keep = kept.timed(checkpoints.Run(folder, p.checkpoint_every, lambda state: True).keep)
    begin = time.perf_counter()
    for _ in memory.sparing(train, few, state):
        keep(state.freeze())
    return time.perf_counter() - begin


def summarising(kept: Stopwatch, folder: Path) -> float:
    """Seconds of decoding up to its first checkpoint, which is written into `folder`."""
    model, p = reading.load(sections.Model), reading.load(sections.Summarize)
    base = local.path(model.source)
    policy, prompt = Policy(base, ADAPTER), prompts.load(base, model)
    keys = [None, *summaries.keys(SEED, summaries.SAMPLES, p.samples)]
    test = dialogues.load(PREPARED / "test.jsonl")
    drawn = {row: [*dialogue.references[:1] * len(keys)] for row, dialogue in enumerate(test)}
    texts = [dialogue.text for dialogue in test[: p.checkpoint_every * (p.batch_size // len(keys))]]
    sizes = {"batch_size": p.batch_size, "max_new_tokens": p.max_new_tokens}
    keep = kept.timed(checkpoints.Run(folder, p.checkpoint_every, lambda state: True).keep)
    batches = summaries.draw(summaries.Writer(policy, prompt, **sizes), texts, keys, {})
    begin = time.perf_counter()
    for step, batch in enumerate(batches, start=1):
        drawn |= batch
        keep(checkpoints.State(step, {name: list(drawn.items()) for name in ("sft", "ppo")}, {}))
    return time.perf_counter() - begin


def costs(work: Callable[[Stopwatch, Path], float], runs: int) -> list[float]:
    """Seconds of the checkpoint / seconds of the work without it, of each run."""
    found = []
    for _ in trange(runs, desc=work.__name__):
        kept = Stopwatch()
        with tempfile.TemporaryDirectory(dir=".", prefix=".partial-") as folder:  # on the disk of .resume
            seconds = work(kept, Path(folder))
        found.append(kept.seconds / (seconds - kept.seconds))
    return found


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.checkpoints", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each kind of work (default: 5)")
    runs = parser.parse_args().runs
    allocator.keep_freed()
    yield_while_waiting()
    for work in (ppo, summarising):
        try:
            found = costs(work, runs)
        except InputError as error:
            sys.exit(f"error: {error}")
        print(f"{work.__name__}: {median(found):.2%}, the median of {', '.join(f'{cost:.2%}' for cost in found)}")


if __name__ == "__main__":
    main()
