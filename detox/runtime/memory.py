"""Going on where memory runs out: the same episodes, losses and summaries but for rounding, in smaller batches."""

import errno
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import torch
from tqdm import tqdm

from detox.errors import InputError
from detox.params import training
from detox.runtime import ranks

# What libraries say: torch on a CPU, on CUDA, HIP, XPU and MPS; cuBLAS, cuDNN; oneDNN; C++; numpy, Arrow; the kernel.
EXHAUSTED = (
    *("out of memory", "out_of_memory", "outofmemory", "can't allocate memory", "cannot allocate memory"),
    *("not enough memory", "insufficient memory", "alloc_failed", "allocation failed", "memory allocation"),
    *("failed to allocate", "unable to allocate", "could not allocate", "bad_alloc", "bad allocation"),
    *("could not create a primitive", "could not create a memory", "could not execute a primitive"),
)
REASON = 160  # characters

Step = TypeVar("Step")
Result = TypeVar("Result")


class Training(Protocol):
    """What training has come to, and can be brought back to."""

    def freeze(self) -> Any: ...
    def restore(self, state: Any) -> None: ...


def sparing(train: Callable[[training.Ppo], Iterator[Step]], p: training.Ppo, state: Training) -> Iterator[Step]:
    """The steps of `train(p)`. One that runs out of memory begins again in parts of half the size, as do all after it.

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
        except (MemoryError, RuntimeError, OSError) as error:
            if not exhausted(error):
                raise
            ranks.tell(error)
            p = halved(p, error)
        if ranks.rank() == 0:
            smaller = f"{p.decode_batch_size} episodes written, {p.micro_batch_size} read at once"
            tqdm.write(f"warning: out of memory: step {done.step + 1} again, {smaller}", file=sys.stderr)
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
            except (MemoryError, RuntimeError, OSError) as error:
                if not exhausted(error):
                    raise
                size = len(left[:size]) // 2
                if not size:
                    raise InputError(f"out of memory with {each} ({reason(error)})") from error
                tqdm.write(f"warning: out of memory: again with {size} at once", file=sys.stderr)
        yield results


def exhausted(error: Exception) -> bool:
    """Whether this is Python, the system or a library running out of memory; many a library says so in its text alone,
    and oneDNN only that it could not create what it wanted.
    """
    kinds = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if kinds or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    said = str(error).casefold()
    return isinstance(error, RuntimeError) and any(text in said for text in EXHAUSTED)


def reason(error: Exception) -> str:
    """What was said of it, in a few words."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:REASON]


def halved(p: training.Ppo, error: Exception) -> training.Ppo:
    """With half as many episodes at most written and read at once. Raises InputError if they are of one prompt."""
    k = p.samples_per_prompt
    written, read = min(p.decode_batch_size, p.batch_size) // k, p.micro_batch_size // k
    if max(written, read) == 1:
        raise InputError(
            f"out of memory with the episodes of one prompt at once, {k} of them: "
            "lower ppo.samples_per_prompt, ppo.batch_size, ppo.max_new_tokens or model.max_prompt_tokens "
            f"({reason(error)})"
        ) from error
    fewer = next((size for size in range(read // 2, 0, -1) if read % size == 0), 1)  # a mini-batch has whole ones
    return replace(p, decode_batch_size=max(1, written // 2) * k, micro_batch_size=fewer * k)
