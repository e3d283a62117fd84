"""How far a stage is: a bar where somebody watches a terminal, a line a step elsewhere, as a log can hold it."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


class Progress:
    """`done` of `total` of some unit, with numbers beside it; the first rank alone speaks."""

    def __init__(self, title: str, unit: str, total: int, done: int = 0):
        self.title, self.unit, self.total, self.begun = title, unit, total, done
        self.start = time.monotonic()
        self.quiet = os.environ.get("RANK", "0") != "0"
        watched = sys.stderr.isatty() and not self.quiet
        # Of every step, since a step of PPO takes minutes.
        self.bar = tqdm(total=total, initial=done, desc=title, unit=f" {unit}", miniters=1) if watched else None

    def show(self, done: int, **numbers: str) -> None:
        """That so many are done."""
        if self.bar is not None:
            self.bar.set_postfix(numbers, refresh=False)
            self.bar.update(done - self.bar.n)
        elif not self.quiet:
            beside = "".join(f", {name} {number}" for name, number in numbers.items())
            print(self.line(done, time.monotonic() - self.start) + beside, file=sys.stderr, flush=True)

    def line(self, done: int, seconds: float) -> str:
        """What a log holds, after so many seconds."""
        left = seconds / max(1, done - self.begun) * (self.total - done)
        return f"{self.title}: {self.unit} {done} of {self.total}, {duration(left)} left"

    def close(self) -> None:
        """Leaves the terminal's line."""
        if self.bar is not None:
            self.bar.close()


def followed(items: Sequence[Item], title: str, unit: str) -> Iterator[Item]:
    """The items, counted as the one after each is asked for."""
    progress = Progress(title, unit, len(items))
    try:
        for done, item in enumerate(items, start=1):
            yield item
            progress.show(done)
    finally:
        progress.close()


def duration(seconds: float) -> str:
    """As a person would say it: 5 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
