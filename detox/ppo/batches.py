"""Which dialogues a rollout takes: risky ones, where something can be learnt, and calm ones, to keep their content."""

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

from detox.errors import InputError
from detox.model.sampling import seed_of

PROMPTS = 0  # what a seed is for


def batches(risky: Sequence[bool], size: int, share: float | None, seed: int) -> Iterator[list[int]]:
    """Endless batches of dialogues' numbers: this share of them, rounded, risky ones; None draws from all alike.

    Each kind comes in shuffled passes, one after the other, none of them skipped at the seam. Raises InputError if
    a kind that is wanted does not occur.
    """
    numbers = {kind: [number for number, each in enumerate(risky) if each is kind] for kind in (True, False)}
    many = round(size * share) if share is not None else 0
    wanted = {True: many, False: size - many} if share is not None else {}
    for kind, several in wanted.items():
        if several and not numbers[kind]:
            raise InputError(
                f"the reward finds a toxic turn in {'no' if kind else 'every'} training dialogue that was ranked, so "
                f"ppo.risky_share {share:g} cannot be: set it to null"
            )
    streams = [
        passes(numbers[kind], several, (seed, PROMPTS, int(kind))) for kind, several in wanted.items() if several
    ]
    streams = streams or [passes(range(len(risky)), size, (seed, PROMPTS))]
    for parts in zip(*streams, strict=True):
        yield [number for part in parts for number in part]


def passes(numbers: Sequence[int], size: int, key: tuple[int, ...]) -> Iterator[list[int]]:
    """Endless batches of these numbers: one shuffled pass after the other, none skipped at the seam."""
    order: list[int] = []
    for epoch in count():
        order += [numbers[place] for place in np.random.default_rng(seed_of(*key, epoch)).permutation(len(numbers))]
        while len(order) >= size:
            batch, order = order[:size], order[size:]
            yield batch
