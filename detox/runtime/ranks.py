"""The processes that share the work of one run, called ranks: which of it is whose, and what they tell one another.

One process alone is rank 0 of 1: it has no process group, all of the work is its own, and nothing is sent.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from detox.runtime import processes

VERDICT_SECONDS = 30  # in which a launcher that has lost a rank ends the others

Item = TypeVar("Item")


class Elsewhere(MemoryError):
    """Memory has run out in another rank, at a time when this one was to hear from it."""


@contextmanager
def joined() -> Iterator[None]:
    """Within the block this process hears from the others that its launcher has started, as the environment says.

    All enter it together, and leave it together unless one of them fails.
    """
    store = os.environ.get(processes.STORE)
    number, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if processes.SHARE in os.environ:
        os.environ[processes.SHARE] = str(torch.get_num_threads())
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
    where = store and f"file://{store}"
    _exchange(lambda: dist.init_process_group("gloo", init_method=where, rank=number, world_size=count))
    try:
        _agree(0)
        yield
        _agree(0)
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Which of the processes this one is, from 0. The first alone speaks and writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many they are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def threads() -> int:
    """Of all ranks together: what one process alone would have, where they share it."""
    return int(os.environ.get(processes.SHARE) or size() * torch.get_num_threads())


def meet(step: int) -> None:
    """Raises RuntimeError unless all ranks are about to take the same step: they would mix what they know of two."""
    if size() > 1 and len(steps := set(_agree(step))) > 1:
        raise RuntimeError(f"ranks are at different steps: {sorted(steps)}")


def dealt(items: Iterable[Item]) -> list[Item]:
    """This rank's share of what stands in the order of its cost: dealt to and fro (a b b a a b …), to cost alike."""
    turns = [*range(size()), *reversed(range(size()))]
    return [item for place, item in enumerate(items) if turns[place % len(turns)] == rank()]


def gathered(content: bytes) -> list[bytes]:
    """What each rank has to say, by rank. Raises Elsewhere."""
    if size() == 1:
        return [content]
    lengths = _agree(len(content))
    own = torch.zeros(max(lengths), dtype=torch.uint8)
    own[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else own[:0]
    all_of_them = [torch.empty_like(own) for _ in lengths]
    _exchange(dist.all_gather, all_of_them, own)
    return [each[:length].numpy().tobytes() for each, length in zip(all_of_them, lengths, strict=True)]


def add_up(tensors: Sequence[Tensor]) -> None:
    """Puts the sum over all ranks in the place of each of these tensors, to the same bits in every rank."""
    if size() > 1:
        _agree(0)
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        _exchange(dist.all_reduce, flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))


def add_up_gradients(weights: Sequence[Tensor]) -> None:
    """The same for the gradients of these, which are 0 in a rank that had no share of the work."""
    if size() > 1:
        for weight in weights:
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
        add_up([weight.grad for weight in weights if weight.grad is not None])


def shared_out(function: Callable[[Sequence[Item]], Tensor], items: Sequence[Item]) -> Tensor:
    """`function(items)`, a number for each of them, of which every rank computes a share. Raises Elsewhere."""
    if size() == 1:
        return function(items)
    numbers = torch.zeros(len(items))
    if own := items[rank() :: size()]:
        numbers[rank() :: size()] = function(own)
    add_up([numbers])
    return numbers


def each(function: Callable[[Item], Any], items: Sequence[Item]) -> list[Any]:
    """`function` of each item, which has to be what JSON can say, of which every rank computes a share.

    Raises Elsewhere.
    """
    results: list[Any] = [None] * len(items)
    own = [function(item) for item in items[rank() :: size()]]
    for number, part in enumerate(gathered(json.dumps(own).encode())):
        results[number :: size()] = json.loads(part)
    return results


def tell(error: Exception) -> None:
    """Has Elsewhere raised in the ranks that wait for this one, in which memory has run out, unless they know."""
    if size() > 1 and not isinstance(error, Elsewhere):
        _agree(-1)


def _agree(number: int) -> list[int]:
    """What each rank gives, before they exchange anything. Raises Elsewhere where another gives -1 and this one not."""
    numbers = [torch.zeros(1, dtype=torch.int64) for _ in range(size())]
    _exchange(dist.all_gather, numbers, torch.tensor([number]))
    if number >= 0 and any(each < 0 for each in numbers):
        raise Elsewhere("out of memory in another process")
    return [int(each) for each in numbers]


def _exchange(operation: Callable[..., Any], *arguments: Any) -> None:
    """Runs a collective operation. Where another rank has ended, waits to be ended by the launcher, which knows why."""
    try:
        operation(*arguments)
    except RuntimeError:
        time.sleep(VERDICT_SECONDS)
        raise
