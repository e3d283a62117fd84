"""The headline of two revisions side by side, each read from git by DVC."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from detox import git, parsing
from detox.errors import InputError
from detox.reporting import tables

EVALUATION, LOCK = Path("metrics/evaluate.json"), Path("dvc.lock")
WORKSPACE = "workspace"
SHOWN = ["After", "Change [95 % interval]"]


def evaluation(revision: str) -> dict[str, Any]:
    """metrics/evaluate.json at a branch, tag, commit or experiment, or as it is in the workspace.

    Raises InputError if git does not read the repository, if there is no such revision, or no such file in it.
    """
    if revision == WORKSPACE:
        return parsing.read_metrics(EVALUATION)
    git.check(Path())
    try:
        tree: dict[str, Any] = json.loads(_text(EVALUATION, revision))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{EVALUATION} at {revision!r}: {reason}: give a branch, tag, commit or experiment") from error
    return tree


def _text(path: Path, revision: str) -> str:
    """A file that git has at a revision. Raises OSError if there is none."""
    # Here and not at the top, because it takes a second.
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        return str(dvc.api.read(path.as_posix(), rev=revision))
    except DvcException as error:
        raise OSError(str(error)) from error


def check_fresh(revision: str) -> None:
    """Raises InputError if the metrics there are older than the adapter, as after an experiment that only trained."""
    try:
        text = LOCK.read_text(encoding="utf-8") if revision == WORKSPACE else _text(LOCK, revision)
    except OSError:
        return  # metrics that no pipeline has made: there is nothing that they could be older than
    if older := stale(YAML(typ="safe").load(text).get("stages", {})):
        stage, path = older
        raise InputError(
            f"{EVALUATION} at {revision!r} is older than its {path}, which {stage} has not read yet: run the "
            "pipeline to its end there (dvc exp run … evaluate, or dvc repro)"
        )


def stale(stages: Mapping[str, Any]) -> tuple[str, str] | None:
    """Of the stages in dvc.lock up to `evaluate` one that read another version of an output than there is, and that."""
    written = {out["path"]: (name, out["md5"]) for name, stage in stages.items() for out in stage.get("outs", [])}
    waiting, seen = ["evaluate"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for dep in stages.get(name, {}).get("deps", []):
            if dep["path"] in written:
                producer, md5 = written[dep["path"]]
                if md5 != dep["md5"]:
                    return name, dep["path"]
                waiting += [producer] if producer not in seen else []
    return None


def compare(first: str, second: str) -> str:
    """The rows of the headline: after PPO and the change by PPO in each revision, and second − first after PPO."""
    frames = [tables.shortened(_frame(revision)) for revision in (first, second)]
    sides = [tables.sliced(frame).set_index("Measure")[SHOWN] for frame in frames]
    difference = (frames[1]["after"] - frames[0]["after"]).dropna().map("{:+.4f}".format)
    difference.index = difference.index.map(": ".join)
    table = pd.concat([*sides, difference.to_frame("After")], axis="columns", keys=[first, second, "difference"])
    return table.fillna("").to_string(index_names=False)


def _frame(revision: str) -> pd.DataFrame:
    tree = evaluation(revision)
    check_fresh(revision)
    try:
        return tables.table(tree)
    except KeyError as error:
        raise InputError(
            f"{EVALUATION} at {revision!r} has no {error}: it is another version's, check that out to read it"
        ) from error
