"""Ranks that are forked from the process of a test, to share work on what it has made."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forks import end_of, fork

from detox.runtime import launcher, processes, ranks


def in_ranks(count: int, run: Callable[[], Any]) -> list[Any]:
    """What each of so many ranks returns of this, which JSON has to hold. All of them have to come to an end."""
    with TemporaryDirectory() as folder:

        def one(rank: int) -> None:
            os.environ.update(launcher.surroundings(), RANK=str(rank), WORLD_SIZE=str(count))
            os.environ[processes.STORE] = f"{folder}/store"
            with ranks.joined():
                Path(folder, str(rank)).write_text(json.dumps(run()))

        children = [fork(lambda rank=rank: one(rank)) for rank in range(count)]  # type: ignore[misc]
        assert [end_of(child) for child in children] == [0] * count
        return [json.loads(Path(folder, str(rank)).read_text()) for rank in range(count)]
