"""Kill a small version of the pipeline at a random instant, by a random signal to a random process of it; finish it.

`python tests/soak.py N` does so N times in a clone of the current commit, prints a line a round, and fails unless every
round ended in the files of an uninterrupted run, byte for byte, and left no process. Linux only: it reads /proc.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from imports import ROOT
from ruamel.yaml import YAML

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
GRACE_SECONDS = 20
OWN = {".git", "cache", "tmp", "__pycache__"}  # of git, DVC and Python: no outputs
SMALL: dict[str, dict[str, Any]] = {
    "ppo": {
        "steps": 4,
        "batch_size": 16,
        "mini_batch_size": 16,
        "micro_batch_size": 8,
        "snapshot_every": 2,
        "checkpoint_every": 1,
        "max_new_tokens": 24,
    },
    "summarize": {"batch_size": 40, "stress_minimum": 10, "checkpoint_every": 1, "max_new_tokens": 24},
    "rivals": {"dialogues": 8, "pool": 4, "scales": [0.5]},
    "evaluate": {"resamples": 199},
}
ROWS = {"train": 128, "test": 40}


class Round(NamedTuple):
    """What an interruption led to."""

    killed: str  # which process, by which signal, when
    code: int  # of the run that was to finish
    different: list[str]  # files of other bytes than the uninterrupted run's, missing, or not among its files
    orphans: list[str]  # processes that outlived the one which was started

    def is_clean(self) -> bool:
        """Whether nothing was lost or left."""
        return self.code == 0 and not self.different and not self.orphans


def soak(rounds: int, folder: Path) -> Iterator[Round]:
    """So many interrupted runs, in a clone made in `folder`."""
    clone = small_clone(folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DVC_", "GIT_"))}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    environment |= {"DVC_SITE_CACHE_DIR": str(folder / "site-cache"), "SOAK": str(clone), "TQDM_DISABLE": "1"}
    begin = time.monotonic()
    subprocess.run(["dvc", "repro"], cwd=clone, env=environment, check=True, capture_output=True)
    seconds, whole = time.monotonic() - begin, tree(clone)
    for number in range(rounds):
        git(clone, "reset", "--quiet", "--hard")
        git(clone, "clean", "-fdxq")
        yield interrupted(clone, environment, random.Random(number), seconds, whole)


def small_clone(folder: Path) -> Path:
    """A clone of the current commit with few dialogues and short training."""
    clone = folder / "project"
    git(folder, "clone", "--quiet", str(ROOT), str(clone))
    for part, count in ROWS.items():
        path = clone / "data" / "miniature" / f"{part}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:: len(lines) // count]), encoding="utf-8")
    yaml = YAML()
    params = yaml.load(clone / "params.yaml")
    for section, values in SMALL.items():
        params[section].update(values)
    yaml.dump(params, clone / "params.yaml")
    subprocess.run([sys.executable, "-m", "detox.pins"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
    author = ("-c", "user.name=soak", "-c", "user.email=soak@example.org")
    git(clone, *author, "commit", "--quiet", "--all", "--message", "A small pipeline")
    return clone


def git(folder: Path, *arguments: str) -> None:
    """Run git, which must succeed."""
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def interrupted(
    clone: Path, environment: dict[str, str], chance: random.Random, seconds: float, whole: dict[str, str]
) -> Round:
    """One run that is hit, and the one that finishes it."""
    instant, number = chance.uniform(0, seconds), chance.choice(SIGNALS)
    run = subprocess.Popen(
        ["dvc", "repro"],
        cwd=clone,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(instant)
    run.poll()
    target = chance.choice(sorted(processes(clone)) or [run.pid])
    killed = f"{number.name} to {name(target)} after {instant:.1f} s"
    if run.returncode is None:
        os.kill(target, number)
    run.wait()
    orphans = await_end(clone)
    finish = subprocess.run(
        ["dvc", "repro"], cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if finish.returncode:
        print(finish.stdout.decode(errors="replace")[-3000:], file=sys.stderr)
    now = tree(clone)
    different = sorted(path for path in now.keys() | whole.keys() if now.get(path) != whole.get(path))
    return Round(killed, finish.returncode, different, orphans)


def processes(clone: Path) -> list[int]:
    """Those that a run in this clone has started, itself included: they carry a variable that names it."""
    mark = f"SOAK={clone}".encode()
    return [
        int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in content(path).split(b"\0")
    ]


def name(process: int) -> str:
    """What the process runs."""
    words = content(Path(f"/proc/{process}/cmdline")).decode().split("\0")
    return " ".join(Path(word).name for word in words if word)[:60] or "a process that had ended"


def content(path: Path) -> bytes:
    """Of a file in /proc, which goes with its process."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def await_end(clone: Path) -> list[str]:
    """Names of the processes that are still there after a while; they are killed."""
    deadline = time.monotonic() + GRACE_SECONDS
    while (left := processes(clone)) and time.monotonic() < deadline:
        time.sleep(0.1)
    names = [name(process) for process in left]
    for process in left:
        os.kill(process, signal.SIGKILL)
    return names


def tree(clone: Path) -> dict[str, str]:
    """sha256 of every file but git's, DVC's and Python's own."""
    files = [path.relative_to(clone) for path in clone.rglob("*") if path.is_file()]
    kept = [path for path in files if not OWN & set(path.parts)]
    return {str(path): hashlib.sha256((clone / path).read_bytes()).hexdigest() for path in kept}


def main() -> None:
    """N rounds, and what they add up to."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        for number, each in enumerate(soak(int(sys.argv[1]), Path(folder)), start=1):
            rounds.append(each)
            verdict = "same bytes" if each.is_clean() else f"exit {each.code}, {each.different}, {each.orphans}"
            print(f"{number:4}  {each.killed}: {verdict}", flush=True)
    clean = sum(each.is_clean() for each in rounds)
    print(f"{clean} of {len(rounds)} rounds ended in the same bytes and left no process and no other file")
    sys.exit(clean < len(rounds))


if __name__ == "__main__":
    main()
