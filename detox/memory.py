"""Going on where memory runs out: the same episodes and losses but for rounding, in smaller micro-batches."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

from detox import params, ranks
from detox.errors import InputError
from detox.train_state import TrainState
from detox.train_stats import StepStats


def sparing(
    train: Callable[[params.Ppo], Iterator[StepStats]], p: params.Ppo, state: TrainState
) -> Iterator[StepStats]:
    """The steps of `train(p)`. One that runs out of memory begins again with half the micro-batch, as do all after it.

    So it does in every rank where it is one of them that runs out.

    Raises InputError if a single prompt does not fit.
    """
    while True:
        done = state.freeze()
        try:
            for row in train(p):
                yield row
                done = state.freeze()
            return
        except (MemoryError, RuntimeError) as error:
            if not exhausted(error):
                raise
            ranks.tell(error)
            p = halved(p)
        smaller = f"step {done.step + 1} again with {p.micro_batch_size} episodes at once"
        if ranks.rank() == 0:
            print(f"warning: out of memory: {smaller}", file=sys.stderr)
        state.restore(done)


def exhausted(error: Exception) -> bool:
    """Whether this is Python or torch running out of memory; on a CPU torch says so in the text alone."""
    texts = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


def halved(p: params.Ppo) -> params.Ppo:
    """With at most half as many episodes in a micro-batch, still a divisor. Raises InputError if it has one prompt."""
    prompts = p.micro_batch_size // p.samples_per_prompt
    if prompts == 1:
        raise InputError(
            f"out of memory with {p.micro_batch_size} episodes in a micro-batch, which are of one prompt: "
            "lower ppo.batch_size, ppo.max_new_tokens or model.max_prompt_tokens"
        )
    size = next(size for size in range(prompts // 2, 0, -1) if prompts % size == 0)
    return replace(p, micro_batch_size=size * p.samples_per_prompt)
