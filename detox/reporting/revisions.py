"""The headline of two revisions side by side, each read from git by DVC."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from detox import git, parsing
from detox.errors import InputError
from detox.reporting import tables

EVALUATION = Path("metrics/evaluate.json")
WORKSPACE = "workspace"
SHOWN = ["After", "Change [95 % interval]"]


def evaluation(revision: str) -> dict[str, Any]:
    """metrics/evaluate.json at a branch, tag, commit or experiment, or as it is in the workspace.

    Raises InputError if git does not read the repository, if there is no such revision, or no such file in it.
    """
    if revision == WORKSPACE:
        return parsing.read_metrics(EVALUATION)
    git.check(Path())
    # Here and not at the top, because it takes a second.
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        tree: dict[str, Any] = json.loads(dvc.api.read(EVALUATION.as_posix(), rev=revision))
    except (DvcException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{EVALUATION} at {revision!r}: {reason}: give a branch, tag, commit or experiment") from error
    return tree


def compare(first: str, second: str) -> str:
    """The rows of the headline: after PPO and the change by PPO in each revision, and second − first after PPO."""
    frames = [tables.shortened(_frame(revision)) for revision in (first, second)]
    sides = [tables.sliced(frame).set_index("Measure")[SHOWN] for frame in frames]
    difference = (frames[1]["after"] - frames[0]["after"]).dropna().map("{:+.4f}".format)
    difference.index = difference.index.map(": ".join)
    table = pd.concat([*sides, difference.to_frame("After")], axis="columns", keys=[first, second, "difference"])
    return table.fillna("").to_string(index_names=False)


def _frame(revision: str) -> pd.DataFrame:
    try:
        return tables.table(evaluation(revision))
    except KeyError as error:
        raise InputError(
            f"{EVALUATION} at {revision!r} has no {error}: it is another version's, check that out to read it"
        ) from error
