"""What the steps of a run come to, for those who follow runs elsewhere: accelerate's own trackers, by name.

None of them can end a run or hold it up: each works in a thread of its own, and one that fails is left, with a line on
stderr. They are given numbers alone. Of an error its kind is said and not its text, which may hold a key.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from detox.runtime import checkpoints, ranks, trackers

PATIENCE, IMPATIENCE = 30, 2  # seconds for them to finish, also where the run has failed and has a state to save

Numbers = Mapping[str, float]


@contextmanager
def tracked(
    wanted: Sequence[str], run: str, settings: Mapping[str, float | None]
) -> Iterator[Callable[[int, Numbers], None]]:
    """Within the block a call with a step and its numbers goes to all of them, of the first rank alone.

    The settings are numbers, too; those that are None are left out.

    A run of the same name goes on where it was, but with mlflow, which begins another one.
    """
    known = {name: value for name, value in settings.items() if value is not None}
    names = [] if ranks.rank() else wanted
    folder = trackers.area()
    if names:  # before there is a thread: the environment is the whole process's
        os.environ.update(trackers.defaults(folder) | os.environ)
    told = [Tracker(name, run, folder, known) for name in names]

    def log(step: int, numbers: Numbers) -> None:
        for tracker in told:
            tracker.todo.put((step, {name: value for name, value in numbers.items() if name != "step"}))

    patience = IMPATIENCE
    try:
        yield log
        patience = PATIENCE
    finally:
        for tracker in told:
            tracker.todo.put(None)
        end = time.monotonic() + patience
        for tracker in told:
            tracker.finish(end)


class Tracker:
    """One of them, in its thread."""

    def __init__(self, name: str, run: str, folder: Path, settings: Numbers):
        self.name, self.run, self.folder, self.settings = name, run, folder, settings
        self.todo: SimpleQueue[tuple[int, Numbers] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def finish(self, end: float) -> None:
        """Waits for it until then, by the clock of `time.monotonic`."""
        self.thread.join(max(0.0, end - time.monotonic()))
        if self.thread.is_alive():
            checkpoints.say(f"warning: track: {self.name} is late, and its last numbers may be missing")

    def _work(self) -> None:
        try:
            tracker = begun(self.name, self.run, self.folder, self.settings)
            while entry := self.todo.get():
                step, numbers = entry
                tracker.log(dict(numbers), step=step)
            tracker.finish()
        except (Exception, SystemExit) as error:
            checkpoints.say(f"warning: track: {self.name} has failed ({type(error).__name__}): going on without it")


def begun(name: str, run: str, folder: Path, settings: Numbers) -> Any:
    """accelerate's tracker, which has been told the settings."""
    from accelerate import tracking

    # Its own would ask accelerate which rank this is, and so have that join the ranks once more.
    tracking.logger = logging.getLogger(tracking.__name__)
    folder.mkdir(exist_ok=True)
    tracker = tracking.LOGGER_TYPE_TO_CLASS[name](**trackers.options(name, run, folder))
    tracker.main_process_only = False
    tracker.start()
    tracker.store_init_configuration(dict(settings))
    return tracker
