"""Before-and-after tables: a row per slice and measure, as numbers and as people read them."""

from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any

import pandas as pd

# Label, where the number stands under <slice>.<policy>, and the entry of <slice>.change that goes with it.
MEASURES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("Toxicity, judge", ("judge", "mean"), "judge"),
    ("Toxicity, judge: 95th percentile", ("judge", "p95"), None),
    ("Toxic samples, judge", ("judge", "rate"), None),
    ("Toxicity, reward", ("reward", "mean"), "reward"),
    ("Toxicity, reward: 95th percentile", ("reward", "p95"), None),
    ("Toxic samples, reward", ("reward", "rate"), None),
    ("ROUGE-1", ("rouge1",), "rouge1"),
    ("ROUGE-2", ("rouge2",), "rouge2"),
    ("ROUGE-L", ("rougeL",), "rougeL"),
    ("ROUGE-Lsum", ("rougeLsum",), "rougeLsum"),
    ("Words", ("words",), "words"),
    ("Distinct word pairs", ("distinct2",), None),
)
SLICES = ("all", "stress", "seen", "unseen")
HEADLINE = [
    ("all", "Toxicity, judge"),
    ("all", "Toxicity, reward"),
    ("stress", "Toxicity, judge"),
    ("all", "ROUGE-L"),
    ("all", "Words"),
]


def table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Before and after, a row per slice and measure: slice, measure, before, after, relative, change, low, high, p.

    change, low, high are shares of `before` where `relative`, else in the measure's own unit; absent ones are NaN.
    """
    rows = [_row(name, evaluation[name], *measure) for name in SLICES if name in evaluation for measure in MEASURES]
    return pd.DataFrame(rows).astype(dict.fromkeys(("change", "low", "high", "p"), float))


def _row(name: str, part: Mapping[str, Any], label: str, path: tuple[str, ...], key: str | None) -> dict[str, Any]:
    before, after = (reduce(getitem, path, part[policy]) for policy in ("sft", "ppo"))
    change = part["change"][key] if key else {}
    relative = key in ("judge", "reward")
    size = change.get("relative" if relative else "absolute")
    row = {"slice": name, "measure": label, "before": before, "after": after, "relative": relative, "change": size}
    return row | {column: change.get(column) for column in ("low", "high", "p")}


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `table` as people read them: Measure, Before, After, Change [95 % interval], p."""
    number = "{:.4f}".format
    return pd.DataFrame(
        {
            "Measure": frame["measure"],
            "Before": frame["before"].map(number),
            "After": frame["after"].map(number),
            "Change [95 % interval]": [_change(row) for row in frame.to_dict("records")],
            "p": frame["p"].map(number, na_action="ignore").fillna(""),
        }
    )


def _change(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["change"]):
        return ""
    if row["relative"]:
        return "{:+.1f} % [{:+.1f}, {:+.1f}]".format(*(100 * row[key] for key in ("change", "low", "high")))
    return "{change:+.4f} [{low:+.4f}, {high:+.4f}]".format(**row)


def sliced(frame: pd.DataFrame) -> pd.DataFrame:
    """`texts` for a table of several slices: each measure's label begins with its slice."""
    return texts(frame.assign(measure=frame["slice"] + ": " + frame["measure"]))


def headline(frame: pd.DataFrame) -> str:
    """The rows that matter most, in aligned columns; indented by four spaces, or Markdown would fill the lines."""
    short = sliced(frame.set_index(["slice", "measure"], drop=False).loc[HEADLINE])
    lines = short.set_index("Measure").to_string(index_names=False).splitlines()
    return "".join(f"    {line.rstrip()}\n" for line in lines)
