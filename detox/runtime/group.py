"""The processes that share the work of one run: how they meet, agree before they exchange anything, and notice a loss.

They agree through the store where they have met, without a time limit: one that has much to do, or nothing, makes no
other fail. Each gives signs of life there; one that is killed, frozen, idle or cut off gives none, and so ends all.
"""

import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from detox.errors import InputError
from detox.runtime import devices

SIGN, SILENCE, MEETING = 2, 15, 300  # seconds between signs of life, without one, and for all to come
IDLE = 25  # seconds without work, nor waiting for others, after which a rank gives no sign of life
BUSY = 0.02  # share of a core that is work: threads that do nothing but watch take up to 0.005 of a slow one
SAVING = 8  # seconds for the first rank to save its state; all of these and torchrun's 30 are below 60
LATER = 5  # seconds for the first rank to say what is wrong, before another does
AGAIN = "run this again to go on from the last state"


class Elsewhere(MemoryError):
    """Memory has run out in another rank, at a time when this one was to hear from it."""


class Group:
    """This process among the others."""

    def __init__(self, store: Any, rank: int, size: int):
        self.store, self.rank, self.size = store, rank, size
        self.turn, self.waits, self.lost, self.over = 0, False, "", threading.Event()
        store.set(f"host/{rank}", socket.gethostname())
        self.watch = threading.Thread(target=self._watch, daemon=True)
        self.watch.start()

    def exchange(self, number: int, operation: Callable[..., Any] = lambda: None, *arguments: Any) -> list[int]:
        """What each rank gives, by rank, once all are there; then a collective operation.

        Raises Elsewhere where another gives -1 and this one not. Where one is lost, it waits to be ended by name.
        """
        self.waits = True
        try:
            numbers = self._agree(number)
            operation(*arguments)
            return numbers
        except RuntimeError:
            time.sleep(60)
            raise
        finally:
            self.waits = False

    def _agree(self, number: int) -> list[int]:
        self.turn += 1
        self.store.set(f"{self.turn}/{self.rank}", str(number))
        keys, begun = [f"{self.turn}/{rank}" for rank in range(self.size)], time.monotonic()
        while not self.store.check(keys):
            time.sleep(min(0.1, 0.001 + (time.monotonic() - begun) / 20))
        numbers = [int(each) for each in self.store.multi_get(keys)]
        self.store.delete_key(f"{self.turn - 1}/{self.rank}")  # which all have read
        if number >= 0 > min(numbers):
            raise Elsewhere("out of memory in another process")
        return numbers

    def _watch(self) -> None:
        """Ends this process when any is lost or has failed; the first by a signal, so that it saves its state."""
        store, following = self.store.clone(), (self.rank + 1) % self.size  # on the other one the process may wait
        worked, seen, used, sign = time.monotonic(), time.monotonic(), 0.0, b""
        while not self.lost and not self.over.wait(SIGN):
            now, before, used = time.monotonic(), used, time.process_time() - time.thread_time()
            worked = now if self.waits or used - before > SIGN * BUSY else worked
            try:
                if now - worked < IDLE:
                    store.set(f"sign/{self.rank}", str(now))
                last, sign = sign, read(store, f"sign/{following}")
                seen, limit = now if sign != last else seen, SILENCE if sign else MEETING
                if now - seen > limit:
                    post(store, following, f" has given no sign of life for {limit} s: {AGAIN}")
                self.lost = read(store, "end").decode()
            except dist.DistError:
                self.lost = f"the machine of rank 0 cannot be reached: {AGAIN}"
        if self.lost and self.rank == 0 and self.speaks():
            os.kill(os.getpid(), signal.SIGTERM)
        if self.lost and not self.over.wait(SAVING if self.rank == 0 else LATER if local() else 0):
            if self.speaks():
                print(f"error: {self.lost}", file=sys.stderr, flush=True)
            os._exit(1)

    def leave(self) -> None:
        """Stops watching: were Python to end while that thread asks the store, the process would abort."""
        self.over.set()
        self.watch.join(LATER)

    def speaks(self) -> bool:
        """Whether it is for this rank to say why all end: the first of its machine that has asked."""
        machine, rank = os.environ.get("GROUP_RANK", f"of {self.rank}"), str(self.rank)
        try:
            return self.store.clone().compare_set(f"said/{machine}", "", rank).decode() == rank
        except dist.DistError:
            return local() == 0


def local() -> int:
    """Which of the ranks of its machine this one is."""
    return int(os.environ.get("LOCAL_RANK", 0))


def read(store: Any, key: str) -> bytes:
    """What is there, or nothing."""
    return store.get(key) if store.check([key]) else b""


def post(store: Any, rank: int, what: str) -> None:
    """Tells all what is wrong with a rank, by which they end; what is told first counts."""
    host = read(store, f"host/{rank}").decode()  # none where it has never come
    store.compare_set("end", "", f"rank {rank}{f' on {host}' if host else ''}{what}")


current: Group | None = None  # one process alone has none


@contextmanager
def joined() -> Iterator[None]:
    """Within the block this process is one of those that accelerate or torchrun has started, as the environment says.

    All enter it together, and leave it together unless one of them fails; then the first raises InputError.
    """
    global current
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store, _, _ = next(dist.rendezvous("env://", timeout=timedelta(seconds=MEETING)))  # type: ignore[attr-defined]
    current = group = Group(store, rank, size)
    try:
        kind = devices.kind()
        if len(set(group.exchange(devices.KINDS.index(kind)))) > 1:
            raise InputError("compute.device is not the same on all machines: set it to one that each of them has")
        devices.join(kind, store=store, rank=rank, world_size=size)
        yield
        group.exchange(0)
        dist.destroy_process_group()
    except BaseException as error:
        if group.lost:
            time.sleep(60 if rank else 0)  # to be ended, by the thread that watches
            raise InputError(group.lost) from error
        if isinstance(error, Exception):
            if rank:
                if not isinstance(error, InputError):
                    traceback.print_exc()
                time.sleep(LATER)  # what is wrong for all the first one says, and ends this one
            else:
                group.speaks()
            with suppress(dist.DistError):
                post(store, rank, f": {error}")
            time.sleep(60 if rank else 0)  # to be ended, by the thread above if by nobody else
        raise
    finally:
        group.leave()
        current = None
