"""How much a download may bring, and how long it may take: no more than it said, or an adapter has."""

import os
import resource
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

UNSAID = (64 * 2**20, 2 * 2**30)  # bytes of an adapter's two files, of which a web server need not say the sizes
LEAST = 64 * 2**20  # of what the limit on files is: what else is written meanwhile, as a log, has room
SLOWEST, BESIDE = 100_000, 600  # bytes a second, and seconds in which nothing comes


@contextmanager
def bounded(what: str, sizes: Sequence[int]) -> Iterator[None]:
    """Within the block no file becomes larger than the largest of these: to write on is an OSError. Where all of them
    have not come in the time that a very slow line needs, the process ends, in one line.

    It cannot do less: what waits for a server that sends a byte now and then waits in threads.
    """
    seconds = BESIDE + sum(sizes) // SLOWEST

    def stop(number: int, frame: FrameType | None) -> None:
        os.write(2, f"\nerror: {what} has not come in {seconds} s: check the network and the server\n".encode())
        os._exit(1)

    before, (soft, hard) = signal.signal(signal.SIGALRM, stop), resource.getrlimit(resource.RLIMIT_FSIZE)
    most = max(LEAST, *sizes, 0)
    signal.alarm(seconds)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most if hard < 0 else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
