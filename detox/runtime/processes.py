"""How a stage's process lives and ends: with its parent, alone at its work, and in order when it is told to stop."""

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from detox.errors import InputError

STOPS = (signal.SIGTERM, signal.SIGHUP)  # HUP: the terminal was closed
POLL_SECONDS = 0.2
# In the environment of several processes: who has started them, and the threads of all on this machine together.
PARENT, THREADS = "DETOX_PARENT", "DETOX_THREADS"


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise SystemExit, so that what has begun is undone or saved.

    Its code is the shell's, 128 + the signal's number: 143 and 129. A signal that was ignored (nohup) stays so.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in STOPS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ending_with_parent() -> Iterator[None]:
    """Within the block this process gets SIGTERM, again and again, once its parent has died.

    DVC leaves its stage running when it is killed, and would start a second one beside it. Linux's PR_SET_PDEATHSIG is
    not used: it means the thread that started the process, and there is nothing like it on macOS.
    """
    parent = os.getppid()
    orphan = os.environ.get(PARENT, str(parent)) != str(parent)
    with suppress(OSError):
        if "DVC_STAGE" in os.environ and "RANK" not in os.environ:  # to a rank torchrun has given another session
            orphan = os.getsid(parent) != os.getsid(0)
    if orphan:  # DVC, or who else has started this process, died before this line
        raise SystemExit(128 + signal.SIGTERM)

    left = threading.Event()

    def watch() -> None:
        while not left.wait(POLL_SECONDS):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        left.set()


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Within the block no other process gets past here with this folder, which is made, and removed if left empty.

    The kernel lifts the lock when the process ends, however it does. Raises InputError if another one holds it.
    """
    descriptor = _lock(folder, what)
    try:
        yield
    finally:
        for empty in (folder, folder.parent):
            with suppress(OSError):
                empty.rmdir()
        os.close(descriptor)


def _lock(folder: Path, what: str) -> int:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # removed between the two lines by the process that held it
            continue
        except OSError as error:
            raise InputError(
                f"{folder} cannot be made ({error.strerror}): check the disk and its permissions"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(f"{what} is running already: wait for it, or stop it, then run this again") from None
        # Else what is locked has been removed or renamed meanwhile by the process that held it.
        if folder.exists() and os.path.samestat(folder.stat(), os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)
