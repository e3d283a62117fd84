"""Ranks that are forked from the process of a test, to share work on what it has made."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState
from forks import end_of, fork

from detox.runtime import group, processes


def in_ranks(count: int, run: Callable[[], Any]) -> list[Any]:
    """What each of so many ranks returns of this, which JSON has to hold. All of them have to come to an end.

    Their store is the test's, as it is torchrun's; they share the threads as accelerate has them do.
    """
    threads = torch.get_num_threads()
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def one(rank: int) -> None:
            shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "RANK": rank, "LOCAL_RANK": rank}
            meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_USE_AGENT_STORE": True}
            own = {processes.THREADS: threads, "OMP_NUM_THREADS": max(1, threads // count), "GLOO_SOCKET_IFNAME": "lo"}
            os.environ.update({name: str(value) for name, value in (shared | meeting | own).items()})
            torch.set_num_threads(max(1, threads // count))
            PartialState._reset_state()  # what transformers' trainer has made of the test's own process
            with group.joined():
                watch = group.current.watch  # type: ignore[union-attr]
                Path(folder, str(rank)).write_text(json.dumps(run()))
            assert not watch.is_alive()  # Python would abort if it ended while that asks the store

        children = [fork(lambda rank=rank: one(rank)) for rank in range(count)]  # type: ignore[misc]
        # Not before: a process that is forked beside the store's own thread may copy a lock that this one holds.
        store = dist.TCPStore(  # type: ignore[attr-defined]
            "127.0.0.1", port, is_master=True, wait_for_workers=False, master_listen_fd=server.detach()
        )
        assert [end_of(child) for child in children] == [0] * count
        del store  # where they met until now
        return [json.loads(Path(folder, str(rank)).read_text()) for rank in range(count)]
