"""A limit on the time in which a transfer does not get on, since nobody knows how long it takes as a whole."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fsspec.callbacks import Callback
from tqdm import tqdm


@contextmanager
def watched(seconds: int, line: str) -> Iterator[None]:
    """Within the block, which must be the main thread's, SystemExit is raised with this line after so many seconds.

    A `Transfer` of as many seconds starts them anew. SystemExit, because DVC goes on after any lesser exception.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(f"error: {line}")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        # What is left of a transfer may start the seconds once more.
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)


class Transfer(Callback):
    """What fsspec tells of files on their way: every byte that has come moves the bar and starts the seconds anew.

    A file that has failed is told like one that has come, but without bytes.
    """

    def __init__(self, seconds: int, bar: "tqdm[Any]") -> None:
        super().__init__()
        self.seconds, self.bar = seconds, bar

    def branched(self, path_1: str, path_2: str, **_: Any) -> Callback:
        """Of one file."""
        return _File(self.seconds, self.bar)


class _File(Transfer):
    def relative_update(self, inc: int = 1) -> None:
        self.bar.update(inc)
        signal.setitimer(signal.ITIMER_REAL, self.seconds, self.seconds)
