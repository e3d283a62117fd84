"""Say what `dvc repro` is about to run, how long that takes on this machine, and what would stop it. Writes nothing.

Looks at params.yaml, the pins, the repositories on the hub, disks, memory and device; with --check opens all that the
stages will need, too, as the stage `check` does. A line on stderr for each thing that is wrong, and exit code 1.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from detox import git
from detox.errors import InputError, InputErrors, noted, printable
from stages import check, said_in_lines, yield_while_waiting

COPIES, BESIDE = 3, 4  # of every adapter: in a state, in the workspace, in DVC's cache; adapters beside the snapshots
WAIT = 10  # seconds in which the S3 remote answers

Files = Mapping[str, int]


class Pending(NamedTuple):
    """What DVC has to do."""

    stages: list[str]  # in an order in which they may run
    cache: Path  # DVC's own folder for what it keeps


class Here(NamedTuple):
    """What a run begins with, by section of params.yaml."""

    p: check.Sections
    paths: Mapping[str, Path]  # of the sources that are there
    repositories: Mapping[str, Files]  # what is wanted of those that are still on the hub, in bytes

    def weights(self, section: str) -> int | None:
        """Bytes of a source's weights, if they are known."""
        files = self.repositories.get(section, {})
        if section in self.paths:
            files = {path.name: path.stat().st_size for path in self.paths[section].glob("*")}
        return sum(size for name, size in files.items() if name.endswith((".safetensors", ".bin"))) or None

    def disk(self, todo: Pending) -> list[tuple[Path, int]]:
        """Folders, and the bytes that are to be written there."""
        from detox.sources import repositories

        sources = {name: self.p[name].source for name in self.repositories}
        needs = repositories.needs(sources, self.repositories, Path("downloads"))
        needs.append((todo.cache, sum(sum(files.values()) for files in self.repositories.values())))
        if "train_ppo" in todo.stages and "ppo" in self.p:
            adapters = BESIDE + self.p["ppo"].steps // self.p["ppo"].snapshot_every
            needs.append((Path("models"), COPIES * adapters * (self.weights("adapter") or 0)))
        return needs

    def models(self, todo: Pending) -> dict[str, float]:
        """Bytes of the models that a stage has in memory, by its name, in all of its processes."""
        if not {"compute", "model"} <= self.p.keys():
            return {}
        halves = 0.5 if self.p["model"].dtype == "bfloat16" else 1.0
        base, reward, judge = (self.weights(name) or 0 for name in ("model", "reward", "judge"))
        least = {"train_ppo": halves * base + reward, "summarize": halves * base + reward, "evaluate": reward + judge}
        return {name: least[name] * self.p["compute"].processes for name in todo.stages if name in least}


def main() -> None:
    yield_while_waiting()
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m stages.plan", description=__doc__, formatter_class=formatter)
    parser.add_argument("--check", action="store_true", help="open every model and the data, too")
    parser.add_argument("--remote", action="store_true", help="ask the S3 remote, too, whether these keys may list it")
    arguments = parser.parse_args()
    with said_in_lines():
        print(printable(plan(pending(arguments.remote), arguments.check), "\n"))


def pending(remote: bool) -> Pending:
    """What has changed, and all that comes after it. Raises InputError if DVC refuses, or its remote if asked."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    git.check(Path())
    try:
        with Repo() as repo:
            if remote:
                from detox.sharing.storage import Storage

                Storage(repo, WAIT).check()
            changed, graph, cache = set(repo.status()), repo.index.graph, Path(repo.cache.local.path)
            after = {stage.addressing: {each.addressing for each in graph.successors(stage)} for stage in graph}
    except DvcException as error:
        raise InputError(f"DVC says: {error}") from error
    stages: list[str] = []
    while after:
        name = next(name for name, inputs in after.items() if not inputs & after.keys())
        if name in changed or after[name] & set(stages):
            stages.append(name)
        del after[name]
    return Pending(stages, cache)


def plan(todo: Pending, opened: bool) -> str:
    """What is to be said before a run. Raises InputErrors for all that is wrong."""
    from detox.runtime import capacity

    errors: list[InputError] = []
    if not todo.stages and not opened:
        return "Nothing has changed: there is nothing to run."
    here = gathered(todo, errors)
    with noted(errors):
        capacity.check_memory(here.models(todo))
    with noted(errors):
        capacity.check_disks(here.disk(todo))
    check.device(here.p, errors)
    if opened or errors:
        check.contents(here.p, here.paths.keys(), errors)
    if errors:
        raise InputErrors(errors)
    if not todo.stages:
        return "All is there and fits. Nothing has changed: there is nothing to run."

    from benchmarks import announcement  # here, because it loads torch

    weights = {name: here.weights(name) for name in ("model", "reward", "judge")}
    return announcement.told(todo.stages, here.p, "prepare" in here.paths, weights, here.disk(todo))


def gathered(todo: Pending, errors: list[InputError]) -> Here:
    """What is there and what has still to come; looks at the parameters, the pins and the hub."""
    from detox.params import origins, reading, training
    from detox.runtime import trackers
    from detox.sources import local, repositories

    p = check.read(errors)
    with noted(errors):
        p["rank"] = reading.load(training.Rank)
    with noted(errors):
        p["ppo"] = reading.load(training.Ppo)
    with noted(errors):
        trackers.wanted()
    sources = {name: p[name].source for name in origins.SOURCES if name in p}
    for source in sources.values():
        with noted(errors):
            local.check_pinned(source)
    stale = {"downloads": "fetch_sources" in todo.stages, "data/prepared": "prepare" in todo.stages}
    paths = {name: Path(source.path) for name, source in sources.items() if not stale.get(place(source), False)}
    pinned = {name: source for name, source in sources.items() if name not in paths and source.revision}
    found: dict[str, Files] = {}
    if pinned:
        with noted(errors):
            found = repositories.check_all(pinned)
    return Here(p, paths, found)


def place(source: Any) -> str:
    """The out of a stage in which a source lies, or its own path."""
    return "downloads" if source.remote else str(source.path)


if __name__ == "__main__":
    main()
