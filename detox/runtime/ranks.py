"""The processes that share the work of one run, called ranks: which of it is whose, and what they tell one another.

One process alone is rank 0 of 1: all of the work is its own, and nothing is sent.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from detox.runtime import group
from detox.runtime.group import Elsewhere

Item = TypeVar("Item")


def rank() -> int:
    """Which of the processes this one is, from 0. The first alone speaks and writes."""
    return group.current.rank if group.current else 0


def size() -> int:
    """How many they are."""
    return group.current.size if group.current else 1


def meet(step: int) -> None:
    """Raises RuntimeError unless all ranks are about to take the same step: they would mix what they know of two."""
    if len(steps := set(_exchange(step))) > 1:
        raise RuntimeError(f"ranks are at different steps: {sorted(steps)}")


def dealt(items: Iterable[Item]) -> list[Item]:
    """This rank's share of what stands in the order of its cost: dealt to and fro (a b b a a b …), to cost alike."""
    turns = [*range(size()), *reversed(range(size()))]
    return [item for place, item in enumerate(items) if turns[place % len(turns)] == rank()]


def gathered(content: bytes) -> list[bytes]:
    """What each rank has to say, by rank. Raises Elsewhere."""
    if size() == 1:
        return [content]
    lengths = _exchange(len(content))
    own = torch.zeros(max(1, *lengths), dtype=torch.uint8)
    own[: len(content)] = torch.frombuffer(bytearray(content or b"0"), dtype=torch.uint8)[: len(content)]
    all_of_them = [torch.empty_like(own) for _ in lengths]
    _exchange(0, dist.all_gather, all_of_them, own)
    return [each[:length].numpy().tobytes() for each, length in zip(all_of_them, lengths, strict=True)]


def add_up_gradients(weights: Sequence[Tensor]) -> None:
    """Puts the sum over all ranks in the place of each gradient, which is 0 in a rank that had no share of the work.

    To the same bits in every rank.
    """
    if size() > 1:
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        _exchange(0, dist.all_reduce, flat)
        for weight, total in zip(weights, flat.split([weight.numel() for weight in weights]), strict=True):
            weight.grad = total.view_as(weight)


def shared_out(function: Callable[[Sequence[Item]], Iterable[Any]], items: Sequence[Item]) -> Iterable[Any]:
    """`function(items)`, of each item a number or what else JSON holds, of which every rank computes a share.

    Raises Elsewhere.
    """
    if size() == 1:
        return function(items)
    results: list[Any] = [None] * len(items)
    share = items[rank() :: size()]
    own = list(function(share)) if share else []
    for number, part in enumerate(gathered(json.dumps(own, default=float).encode())):
        results[number :: size()] = json.loads(part)
    return results


def tell(error: Exception) -> None:
    """Has Elsewhere raised in the ranks that wait for this one, in which memory has run out, unless they know."""
    if not isinstance(error, Elsewhere):
        _exchange(-1)


def _exchange(number: int, operation: Callable[..., Any] = lambda: None, *arguments: Any) -> list[int]:
    return group.current.exchange(number, operation, *arguments) if group.current else [number]
