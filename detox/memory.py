"""Going on where memory runs out: the same episodes, losses and summaries but for rounding, in smaller batches."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

from detox import params, ranks
from detox.errors import InputError

Step = TypeVar("Step")
Result = TypeVar("Result")


class Training(Protocol):
    """What training has come to, and can be brought back to."""

    def freeze(self) -> Any: ...
    def restore(self, state: Any) -> None: ...


def sparing(train: Callable[[params.Ppo], Iterator[Step]], p: params.Ppo, state: Training) -> Iterator[Step]:
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
            tqdm.write(f"warning: out of memory: {smaller}", file=sys.stderr)
        state.restore(done)


def in_parts(
    work: Callable[[list[int]], dict[int, Result]], batches: Iterable[list[int]], each: str
) -> Iterator[dict[int, Result]]:
    """The results of every batch, by row. One that runs out of memory is done in halves, as are all after it.

    Raises InputError if a single row, of which `each` says what it is, does not fit.
    """
    size: int | None = None
    for rows in batches:
        results: dict[int, Result] = {}
        while left := rows[len(results) :]:
            try:
                results |= work(left[:size])
            except (MemoryError, RuntimeError) as error:
                if not exhausted(error):
                    raise
                size = len(left[:size]) // 2
                if not size:
                    raise InputError(f"out of memory with {each}") from error
                tqdm.write(f"warning: out of memory: again with {size} at once", file=sys.stderr)
        yield results


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
