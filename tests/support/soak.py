"""Kill stages of a small pipeline at a random instant, by a random signal to a random process; finish the run.

`python tests/support/soak.py N` does so N times, prints a line a round, and fails unless every round ended in the files
of an uninterrupted run, byte for byte, none of them undeclared, and left no process. The stages that keep a state take
turns, two rounds at a time, each in a project of its own. Linux only: it reads /proc.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from process_trees import MARK, await_end, name, processes, send
from ruamel.yaml import YAML
from small import TUNED, change_params, small_clone

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
WORKERS = 2
OWN = {".git", "cache", "tmp", "__pycache__"}  # of git, DVC and Python: no outputs


class Leg(NamedTuple):
    """A stage, and how it goes when nothing interrupts it."""

    stage: str
    begun: Path  # a copy of the project from before it
    seconds: float
    whole: dict[str, str]  # sha256 of every file that is to be there after it


class Round(NamedTuple):
    """What an interruption led to."""

    killed: str  # which process of which leg, by which signal, when
    code: int  # of the run that was to finish
    different: list[str]  # files of other bytes than the uninterrupted run's, missing, or not among its files
    orphans: list[str]  # processes that outlived the one which was started

    def is_clean(self) -> bool:
        """Whether nothing was lost or left."""
        return self.code == 0 and not self.different and not self.orphans


def soak(rounds: int, folder: Path) -> Iterator[Round]:
    """So many interrupted runs, in copies of a project that is made in `folder`."""
    legs = uninterrupted(folder)

    def one(number: int) -> Round:
        return interrupted(legs[number % len(legs)], folder / f"round-{number}", random.Random(number))

    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(one, range(rounds))


def uninterrupted(folder: Path) -> list[Leg]:
    """Runs the stages that keep a state: an adapter's tuning; then, with the miniature's adapter, the others."""
    project, tuned = small_clone(folder / "project"), folder / "tuned"
    must_finish(project, "prepare")
    shutil.copytree(project, tuned, symlinks=True)
    change_params(tuned, TUNED)
    must_finish(project, "fetch_adapter")
    return [timed(tuned, "fetch_adapter"), timed(project, "train_ppo"), timed(project, "summarize")]


def timed(project: Path, stage: str) -> Leg:
    """Runs the project's pipeline on to this stage, and keeps a copy of what was there before."""
    begun = project.parent / f"before-{stage}"
    shutil.copytree(project, begun, symlinks=True)
    before, begin = tree(project), time.monotonic()
    must_finish(project, stage)
    seconds, after = time.monotonic() - begin, tree(project)
    expected = {path for path in after if path in before or is_declared(path, project)}
    return Leg(stage, begun, seconds, {path: after[path] for path in expected})


def interrupted(leg: Leg, project: Path, chance: random.Random) -> Round:
    """One run that is hit, and the one that finishes it."""
    shutil.copytree(leg.begun, project, symlinks=True)
    killed = hit(leg, project, chance)
    orphans = await_end(project)
    code, now = finish(project, leg.stage), tree(project)
    shutil.rmtree(project)
    different = sorted(path for path in now.keys() | leg.whole.keys() if now.get(path) != leg.whole.get(path))
    return Round(killed, code, different, orphans)


def hit(leg: Leg, project: Path, chance: random.Random) -> str:
    """Starts the leg and sends one of its processes a signal; what that was. Returns when DVC has ended."""
    instant, number = chance.uniform(0, leg.seconds), chance.choice(SIGNALS)
    run = subprocess.Popen(
        ["dvc", "repro", leg.stage],
        cwd=project,
        env=environment(project),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(instant)
    run.poll()
    target = chance.choice(sorted(processes(project)) or [run.pid])
    killed = f"{number.name} to {name(target)} after {instant:.1f} of {leg.seconds:.1f} s of {leg.stage}"
    if run.returncode is None:
        send(target, number)
    run.wait()
    return killed


def must_finish(project: Path, stage: str) -> None:
    """Raises RuntimeError if the pipeline fails, undisturbed, before the end of this stage."""
    if finish(project, stage):
        raise RuntimeError(f"dvc repro {stage} failed, though nothing interrupted it")


def finish(project: Path, stage: str) -> int:
    """What `make repro` does, to this stage, undisturbed. The exit code; where it is not 0, it shows the last words."""
    for command in ([sys.executable, "-m", "detox.sharing.repair"], ["dvc", "repro", stage]):
        run = subprocess.run(
            command, cwd=project, env=environment(project), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if run.returncode:
            print(run.stdout.decode(errors="replace")[-3000:], file=sys.stderr)
            break
    return run.returncode


def environment(project: Path) -> dict[str, str]:
    """Of a run in this project: nothing that a user has set, and a variable by which its processes are found."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DVC_", "GIT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    dvc = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(project / ".dvc" / "tmp" / "site-cache")}
    return inherited | dvc | {"PATH": path, MARK: str(project), "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}


def is_declared(path: str, project: Path) -> bool:
    """Whether a run may write this file: dvc.yaml says so, or it is dvc.lock."""
    stages = YAML(typ="safe").load(project / "dvc.yaml")["stages"].values()
    entries = [entry for stage in stages for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    outs = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return path == "dvc.lock" or any(Path(path).is_relative_to(out) for out in outs)


def tree(project: Path) -> dict[str, str]:
    """sha256 of every file but git's, DVC's and Python's own."""
    files = [path.relative_to(project) for path in project.rglob("*") if path.is_file()]
    kept = [path for path in files if not OWN & set(path.parts)]
    return {str(path): hashlib.sha256((project / path).read_bytes()).hexdigest() for path in kept}


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
