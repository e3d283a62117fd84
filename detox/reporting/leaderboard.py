"""The experiments of a search side by side: `python -m detox.reporting.leaderboard`, or `make leaderboard`.

A row for each experiment on the last commit that has trained, and for that commit; a column for each parameter in which
they differ, which `dvc exp show` has among some two hundred columns. What is compared is training alone, so that
nothing is chosen by the test dialogues.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from detox import git
from detox.errors import InputError, complaint, printable
from detox.params import profiles
from detox.params.reading import PARAMS

Row = Mapping[str, Any]

CURVE = "metrics/train.csv"
UNFINISHED = {"Queued", "Running", "Failed"}
SHOWN = {"reward": "Reward", "kl": "KL", "entropy": "Entropy", "response_tokens": "Tokens", "truncated": "Truncated"}


def table(rows: Sequence[Row], curves: Mapping[str, pd.DataFrame], sections: Collection[str]) -> pd.DataFrame:
    """The highest reward first. rows are `dvc.api.exp_show`'s, curves their metrics/train.csv by name.

    Each number is the mean over the last quarter of the steps; sections are those of params.yaml.
    """
    ends = {name: curve[list(SHOWN)].tail(-(-len(curve) // 4)).mean() for name, curve in curves.items()}
    named = {name_of(row): row for row in rows if name_of(row) in curves}
    ranked = sorted(named, key=lambda name: (-ends[name]["reward"], name))
    parameters = [key for key in rows[0] if key.split(".")[0] in sections]
    differing = [key for key in parameters if len({named[name].get(key) for name in ranked}) > 1]
    return pd.DataFrame(
        {"Experiment": name}
        | {key: "" if named[name].get(key) is None else f"{named[name][key]}" for key in differing}
        | {title: f"{ends[name][key]:.3f}" for key, title in SHOWN.items()}
        for name in ranked
    )


def name_of(row: Row) -> str:
    """Of an experiment; of a branch or commit where it is none."""
    return str(row["Experiment"] or row["rev"])


def _board() -> pd.DataFrame:
    # Here and not at the top, because it takes a second.
    import dvc.api

    rows = [row for row in dvc.api.exp_show() if row["rev"] != "workspace" and row["State"] not in UNFINISHED]
    curves = {}
    for name in map(name_of, rows):
        with dvc.api.open(CURVE, rev=name) as file:
            curves[name] = pd.read_csv(file)
    return table(rows, curves, profiles.read(PARAMS))


def main() -> None:
    """The command line."""
    from dvc.exceptions import DvcException

    try:
        git.check(Path())
        print(printable(_board().to_string(index=False), "\n"))
    except (DvcException, InputError, OSError) as error:
        sys.exit(complaint(error))


if __name__ == "__main__":
    main()
