"""Loads hostile projects and says what was opened: `python traced.py FOLDER`.

Prints as JSON, by the case's name, what it ended with, what Python opened (every file, folder, program and connection,
by its audit hooks), and what inotify saw of FOLDER/outside and FOLDER/home, whatever language opened it: tokenizers and
safetensors, in Rust, tell no hook. For strace each case begins and ends with an attempt to open /begin/<name> and /end.
"""

import ctypes
import json
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copytree
from typing import Any

import hostile
from hostile_cases import CASES

from detox.errors import InputError
from detox.params.origins import Source

EVENTS = ("open", "os.listdir", "os.scandir", "os.exec", "os.system", "os.posix_spawn", "subprocess.Popen")
CONNECTIONS = ("socket.connect", "socket.getaddrinfo", "ctypes.dlopen")
IN_ACCESS, IN_OPEN, IN_NONBLOCK = 0x1, 0x20, 0o4000

opened: list[str] = []


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook, which stays for as long as the process lives."""
    if event in EVENTS and not isinstance(arguments[0], int):
        opened.append(os.path.abspath(os.fsdecode(arguments[0] or ".")))
    elif event in CONNECTIONS:
        opened.append(f"{event} {arguments[-1]}")


class Watch:
    """The files and folders below some folders, and who of them was opened or read since the last look."""

    def __init__(self, *folders: Path):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self.libc.inotify_init1(IN_NONBLOCK)
        paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
        self.names = {self._add(path): path for path in paths}

    def _add(self, path: Path) -> int:
        number = int(self.libc.inotify_add_watch(self.descriptor, os.fsencode(path), IN_ACCESS | IN_OPEN))
        assert number > 0, os.strerror(ctypes.get_errno())
        return number

    def seen(self) -> Iterator[str]:
        """Their paths."""
        with suppress(BlockingIOError):
            events = os.read(self.descriptor, 1 << 20)
            while events:
                number, _, _, length = struct.unpack_from("iIII", events)
                yield str(self.names[number])
                events = events[16 + length :]


@contextmanager
def project(root: Path, name: str, spoil: hostile.Spoil) -> Iterator[dict[str, Source]]:
    """Within the block the working directory is a project that has been spoilt; its sources, pinned as it is."""
    folder = root / "projects" / str(len(list((root / "projects").iterdir())))
    copytree(root / "sound", folder)
    os.chdir(folder)
    spoil()
    sources = hostile.pinned()
    mark(f"/begin/{name}")
    opened.clear()
    yield sources
    mark("/end")
    os.chdir(root)


def mark(path: str) -> None:
    """An attempt to open it, for strace."""
    with suppress(OSError):
        os.open(path, os.O_RDONLY)


def ended() -> str:
    """What is said of the error that is being handled, if it is one line of ours."""
    error = sys.exc_info()[1]
    return f"error: {error}" if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def trace(root: Path) -> dict[str, dict[str, Any]]:
    """What every case ended with and opened."""
    hostile.fill(root)
    (root / "projects").mkdir()
    watch, found = Watch(root / "outside", root / "home"), {}
    sys.addaudithook(note)
    for name, (load, spoil) in CASES.items():
        with project(root, name, spoil) as sources:
            list(watch.seen())
            try:
                load(sources)
                end = "loaded"
            except BaseException:
                end = ended()
            found[name] = {"ended": end, "opened": sorted(set(opened)), "outside": sorted(set(watch.seen()))}
    return found


if __name__ == "__main__":
    print(json.dumps(trace(Path(sys.argv[1]).resolve())))
