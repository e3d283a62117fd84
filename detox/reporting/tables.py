"""Before-and-after tables: a row per slice and measure, as numbers and as people read them."""

import textwrap
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import getitem
from typing import Any

import pandas as pd

from detox.reporting.slices import SLICES

# Label, where the number stands under <slice>.<policy>, and the entry of <slice>.change that goes with it.
MEASURES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("Toxicity, judge", ("judge", "mean"), "judge"),
    ("Toxicity, judge: 95th percentile", ("judge", "p95"), None),
    ("Toxic samples, judge", ("judge", "rate"), None),
    ("Most toxic sample, judge", ("judge", "max"), None),
    ("Dialogues with a toxic sample, judge", ("judge", "any"), None),
    ("Toxicity, reward", ("reward", "mean"), "reward"),
    ("Toxicity, reward: 95th percentile", ("reward", "p95"), None),
    ("Toxic samples, reward", ("reward", "rate"), None),
    ("Toxicity, judge: most probable", ("judge_greedy",), "judge_greedy"),
    ("Toxicity, reward: most probable", ("reward_greedy",), "reward_greedy"),
    ("Judge and reward agree", ("agreement", "same"), None),
    ("Judge and reward agree: Cohen's kappa", ("agreement", "kappa"), None),
    ("ROUGE-1", ("rouge1",), "rouge1"),
    ("ROUGE-2", ("rouge2",), "rouge2"),
    ("ROUGE-L", ("rougeL",), "rougeL"),
    ("ROUGE-Lsum", ("rougeLsum",), "rougeLsum"),
    ("Slot recall", ("slots",), "slots"),
    ("Entity recall", ("entities",), "entities"),
    ("Entities found in the dialogue", ("grounded",), "grounded"),
    ("Words copied from the dialogue", ("copied",), "copied"),
    ("Novel word pairs", ("novel2",), "novel2"),
    ("Repeated word triples", ("repetition",), "repetition"),
    ("Unfinished", ("unfinished",), "unfinished"),
    ("With a word that is none", ("nonwords_greedy",), "nonwords_greedy"),
    ("Words", ("words",), "words"),
    ("ROUGE-L of samples", ("rougeL_samples",), "rougeL_samples"),
    ("Slot recall of samples", ("slots_samples",), "slots_samples"),
    ("Samples with a word that is none", ("nonwords",), "nonwords"),
    ("Distinct word pairs", ("distinct2",), None),
)
SYSTEMS = {
    "lead3": "The first three turns",
    "base": "The base without an adapter",
    "sft": "Before PPO",
    "filter": "Before PPO, bad words forbidden",
    "ppo": "After PPO",
}
CHANGES = ("change", "low", "high", "mde", "p")
HEADLINE = [
    ("all", "Toxicity, judge"),
    ("all", "Toxicity, reward"),
    ("all", "Toxicity, judge: most probable"),
    ("stress", "Toxicity, judge"),
    ("all", "ROUGE-L"),
    ("all", "Slot recall"),
    ("all", "Words"),
]


def table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Before and after, a row per slice and measure that it has: slice, measure, before, after, relative, and changes.

    change, low, high, mde are shares of `before` where `relative`, else in the measure's own unit; absent ones, and an
    absent p, are NaN.
    """
    rows = [
        _row(name, evaluation[name], label, path, key)
        for name in SLICES
        if name in evaluation
        for label, path, key in MEASURES
        if path[0] in evaluation[name]["sft"]
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(CHANGES, float))


def _row(name: str, part: Mapping[str, Any], label: str, path: tuple[str, ...], key: str | None) -> dict[str, Any]:
    before, after = (reduce(getitem, path, part[policy]) for policy in ("sft", "ppo"))
    change = part["change"][key] if key else {}
    relative = key not in (None, "words") and "relative" in change
    size = change.get("relative" if relative else "absolute")
    row = {"slice": name, "measure": label, "before": before, "after": after, "relative": relative, "change": size}
    return row | {column: change.get(column) for column in CHANGES[1:]}


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `table` as people read them: Measure, Before, After, Change [95 % interval], Detectable, p."""
    number = "{:.4f}".format
    return pd.DataFrame(
        {
            "Measure": frame["measure"],
            "Before": frame["before"].map(number),
            "After": frame["after"].map(number),
            "Change [95 % interval]": [_change(row) for row in frame.to_dict("records")],
            "Detectable": [_detectable(row) for row in frame.to_dict("records")],
            "p": frame["p"].map(number, na_action="ignore").fillna(""),
        }
    )


def _change(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["change"]):
        return ""
    if row["relative"]:
        return "{:+.1f} % [{:+.1f}, {:+.1f}]".format(*(100 * row[key] for key in ("change", "low", "high")))
    return _absolute({**row, "absolute": row["change"]})


def _absolute(change: Mapping[Any, Any]) -> str:
    return "{absolute:+.4f} [{low:+.4f}, {high:+.4f}]".format(**change)


def _detectable(row: Mapping[Any, Any]) -> str:
    # Beside an interval that has 0 inside: how large a change would have been needed to be seen.
    if pd.isna(row["change"]) or not row["low"] <= 0 <= row["high"]:
        return ""
    return f"{100 * row['mde']:.1f} %" if row["relative"] else f"{row['mde']:.4f}"


def sliced(frame: pd.DataFrame) -> pd.DataFrame:
    """`texts` for a table of several slices: each measure's label begins with its slice."""
    return texts(frame.assign(measure=frame["slice"] + ": " + frame["measure"]))


def shortened(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `table` that matter most, as far as it has them."""
    rows = frame.set_index(["slice", "measure"], drop=False)
    return rows.loc[[row for row in HEADLINE if row in rows.index]]


def headline(frame: pd.DataFrame, said: Iterable[str]) -> str:
    """The rows that matter most, in aligned columns, and below them what is said of them.

    Indented by four spaces, or Markdown would fill the lines.
    """
    short = sliced(shortened(frame)).drop(columns="Detectable").set_index("Measure")
    lines = [*short.to_string(index_names=False).splitlines(), ""]
    lines += [line for sentence in said for line in textwrap.wrap(sentence, 92, break_long_words=False)]
    return "".join(f"    {line}".rstrip() + "\n" for line in lines)


def systems(measured: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """The systems that PPO is compared with, as people read them, a row each in the order of SYSTEMS."""
    columns = {"judge": "Toxicity, judge", "reward": "Toxicity, reward", "rougeL": "ROUGE-L", "slots": "Slot recall"}
    columns |= {"grounded": "Entities found", "words": "Words"}
    known = [name for name in SYSTEMS if name in measured]
    shown = [name for name in columns if name in measured[known[0]]]
    rows = [{"System": SYSTEMS[name]} | {columns[key]: f"{measured[name][key]:.4f}" for key in shown} for name in known]
    return pd.DataFrame(rows)


def duels(rivals: Mapping[str, Any]) -> pd.DataFrame:
    """PPO against each way of picking the best of several, as people read it: a row for each of them and measure."""
    labels = {"judge": "Toxicity, judge", "reward": "Toxicity, reward", "rougeL": "ROUGE-L", "slots": "Slot recall"}
    rows = [
        {
            "Rival": name.replace("_", " ").capitalize(),
            "Measure": label,
            "The rival's": f"{measured[key]['rival']:.4f}",
            "PPO's": f"{measured[key]['ppo']:.4f}",
            "Difference [95 % interval]": _absolute(measured[key]),
        }
        for name, measured in rivals["duel"].items()
        for key, label in labels.items()
        if key in measured
    ]
    return pd.DataFrame(rows)


def quarrels(measured: Mapping[str, Any]) -> pd.DataFrame:
    """What became of quarrels, as people read it: a row for each measure of samples and of most probable summaries."""
    labels = {
        "repeated": "repeats an insult",
        "reported": "says who was insulted",
        "mistaken": "says it of somebody else",
        "cause": "says over what",
        "invented": "tells of an insult where there was none",
    }
    texts = {"samples": "A sample", "greedy": "The most probable summary"}
    rows = [
        {
            "Share": f"{texts[kind]} {label}",
            "Dialogues": f"{part[name]['dialogues']:,}",
            "Before": f"{part[name]['sft']:.4f}",
            "After": f"{part[name]['ppo']:.4f}",
            "Change [95 % interval]": _absolute(part[name]),
        }
        for kind, part in measured.items()
        for name, label in labels.items()
        if name in part
    ]
    return pd.DataFrame(rows)
