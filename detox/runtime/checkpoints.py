"""State of an unfinished run on disk: atomic, verified, keyed by all it depends on; safetensors and JSON, no pickle.

It stands in .resume/<stage>/<fingerprint>/step_<number>/ of the repository, outside the outs, which DVC removes before
every run. DVC_ROOT names the repository from the copy of `dvc exp run --temp` too, which so finds its own state again.
A run that succeeds removes its state; that of other parameters or inputs has another fingerprint, and is left alone.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load, save
from torch import Tensor

from detox import files
from detox.errors import one_line
from detox.runtime import fingerprints, processes, ranks

TENSORS, RECORD, MANIFEST = "state.safetensors", "state.json", "manifest.json"
KEPT = 2


class State(NamedTuple):
    """All that the rest of a run depends on, after `step` steps."""

    step: int
    record: dict[str, Any]  # as JSON can hold it
    tensors: dict[str, Tensor]


Fits = Callable[[State], bool]


class Damaged(Exception):
    """What is wrong with a checkpoint."""


class Run:
    """A run of a stage: `state` is what an interrupted one has left; `keep` is called with the state of every step.

    Of several ranks the first reads and writes; what it has read is the state of all.
    """

    def __init__(self, area: Path, every: int, fits: Fits):
        self.area, self.every = area, every
        self.state = shared(None if ranks.rank() else newest(area, fits))
        self._unwritten: State | None = None

    def keep(self, state: State) -> None:
        """Remembers the state, and writes it every so many steps."""
        self._unwritten = state
        if state.step % self.every == 0:
            self.write()

    def write(self) -> None:
        """Writes the latest state unless that has been done."""
        if ranks.rank() == 0 and self._unwritten:
            write(self.area, self._unwritten)
        self._unwritten = None  # of T5-base 42 MB


@contextmanager
def resumable(
    stage: str, settings: Sequence[Any], inputs: Sequence[Path], every: int, fits: Fits, unit: str = "step"
) -> Iterator[Run]:
    """Within the block a run of the stage that leaves its latest state when it is interrupted, and else nothing.

    A state that is found has to be one that this run may have left, as `fits` says: its hashes say only that it is
    what was written there.

    Raises InputError if another process is at this very run, or a rank has other parameters, inputs or code.
    """
    fingerprints.check_alike(settings, inputs)
    area = Path(os.environ.get("DVC_ROOT", ""), ".resume", stage, fingerprints.fingerprint(settings, inputs))
    what = f"{stage} with the same parameters and inputs"
    with nullcontext() if ranks.rank() else processes.locked(area, what):
        run = Run(area, every, fits)
        if run.state:
            say(f"{stage}: going on from {unit} {run.state.step}")
        try:
            yield run
        except BaseException as error:
            run.write()
            if not isinstance(error, Exception) and any(area.glob("step_*")):  # told to stop
                say(f"{stage}: saved at {unit} {latest(area)}; run this again to go on")
            raise
        if ranks.rank() == 0:
            files.remove(area)


def say(line: str) -> None:
    """A line on stderr, of the first rank alone."""
    if ranks.rank() == 0:
        print(line, file=sys.stderr, flush=True)


def latest(area: Path) -> int:
    """The step of the newest checkpoint."""
    return int(max(path.name for path in area.glob("step_*")).partition("_")[2])


def shared(state: State | None) -> State | None:
    """What the first rank holds, in all of them; the others hold nothing."""
    if ranks.size() == 1:
        return state
    record = json.dumps(state and (state.step, state.record)).encode()
    record, tensors = (ranks.gathered(each)[0] for each in (record, save(state.tensors) if state else b""))
    step, values = json.loads(record) or (0, {})
    return State(step, values, load(tensors)) if tensors else None


def write(area: Path, state: State) -> None:
    """The state as a checkpoint, whole or not at all, on the disk when this returns; the one before stays, too.

    Raises InputError where the disk is full or read-only.
    """
    record = json.dumps({"step": state.step, "record": state.record})
    files_of = {TENSORS: save(state.tensors), RECORD: record.encode()}
    manifest = {
        "fingerprint": area.name,
        "files": {name: fingerprints.sha256(content) for name, content in files_of.items()},
    }
    with files.atomic(area / f"step_{state.step:06d}") as folder:
        folder.mkdir()
        for name, content in files_of.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_text(json.dumps(manifest))
    for old in sorted(area.glob("step_*"))[:-KEPT]:
        files.remove(old)


def newest(area: Path, fits: Fits) -> State | None:
    """The newest checkpoint that is whole and fits. One that is not is named on stderr and removed."""
    for path in sorted(area.glob("step_*"), reverse=True):
        try:
            if fits(state := read(path)):
                return state
            raise Damaged("holds what this run cannot have left")
        except Damaged as error:
            print(one_line(f"warning: {path} {error}: going back to the state before it"), file=sys.stderr)
            files.remove(path)
    return None


def read(path: Path) -> State:
    """A checkpoint, every byte of it checked. Raises Damaged."""
    parts = [path / name for name in (TENSORS, RECORD, MANIFEST)]
    if any(each.is_symlink() for each in (path, *parts)) or any(each.exists() > each.is_file() for each in parts):
        raise Damaged("is a link, or holds one, or what is no file")
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        contents = {name: (path / name).read_bytes() for name in (TENSORS, RECORD)}
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"is incomplete ({getattr(error, 'strerror', None) or 'its manifest is not JSON'})") from error
    hashes = {name: fingerprints.sha256(content) for name, content in contents.items()}
    if not isinstance(manifest, dict) or manifest.get("files") != hashes:
        raise Damaged("is damaged (its bytes are not those of its manifest)")
    try:
        told = json.loads(contents[RECORD])
        state = State(int(told["step"]), dict(told["record"]), load(contents[TENSORS]))
    except Exception as error:  # whatever it makes of what stands there
        raise Damaged(f"is damaged ({type(error).__name__} in what it holds)") from error
    if manifest.get("fingerprint") != path.parent.name or path.name != f"step_{state.step:06d}":
        raise Damaged("belongs to another run")
    return state
