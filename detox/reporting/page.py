"""The report: one page that needs nothing else and loads nothing."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from detox.errors import InputError
from detox.reporting import tables

EXAMPLES = 5  # of each kind, at most
PACKAGES = ("torch", "transformers", "peft", "trl")

Row = Mapping[str, Any]


def render(
    frame: pd.DataFrame,
    figures: Mapping[str, Sequence[Mapping[str, str]]],
    examples: Mapping[str, Sequence[Row]],
    metrics: Mapping[str, Row],
    hashes: Mapping[str, str],
) -> str:
    """The page, its every text escaped.

    frame, figures, examples and hashes are what `tables.table`, `figures.draw`, `choose_examples` and `sha256s` made;
    metrics holds metrics/{prepare,train,claims,rivals}.json by name.
    """
    judged = metrics["rivals"]["duel"]["judge"]
    loader = jinja2.PackageLoader("detox.reporting")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["difference"] = difference
    return environment.get_template("report.html.jinja").render(
        tables={name: tables.texts(part) for name, part in frame.groupby("slice", sort=False)},
        figures=figures,
        examples=examples,
        headline=tables.headline_rows(frame),
        claims=metrics["claims"],
        rivals=metrics["rivals"],
        than_best=tables.compared(judged["low"], judged["high"]),
        systems=tables.systems(metrics["rivals"]["systems"]),
        data=metrics["prepare"],
        training=metrics["train"],
        hashes=hashes,
        # Without the local label: +cpu would make the page differ from one machine to the other.
        versions={name: version(name).partition("+")[0] for name in PACKAGES},
    )


def choose_examples(
    scores: Sequence[Row], test: Iterable[Row], before: Iterable[Row], after: Iterable[Row]
) -> dict[str, list[Row]]:
    """The dialogues whose toxicity by the judge fell most, changed as the median did, and rose most (or fell least).

    Rows of data/scores.jsonl, of the test dialogues, and of their summaries before and after PPO, matched by id.
    """
    dialogue, old, new = ({row["id"]: row for row in rows} for rows in (test, before, after))
    ordered = sorted(scores, key=lambda row: (fmean(row["ppo"]["judge"]) - fmean(row["sft"]["judge"]), row["id"]))
    examples = [_example(row, dialogue[row["id"]], old[row["id"]], new[row["id"]]) for row in ordered]
    count = min(EXAMPLES, len(examples) // 3)
    middle, end = (len(examples) - count) // 2, len(examples) - count
    return {
        "Most improved": examples[:count],
        "Median": examples[middle : middle + count],
        "Worst": examples[end:][::-1],
    }


def difference(text: str, other: str) -> Markup:
    """The text, escaped, with the words that the other one does not have in that place marked."""
    words, others = text.split(), other.split()
    parts = []
    for kind, start, end, _, _ in SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        chunk = escape(" ".join(words[start:end]))
        parts.append(chunk if kind == "equal" else Markup("<mark>{}</mark>").format(chunk))
    return Markup(" ").join(part for part in parts if part.striptags())


def _example(scores: Row, dialogue: Row, before: Row, after: Row) -> Row:
    sides = [
        _side("Before", before, scores["sft"]["judge"], after["summary"]),
        _side("After", after, scores["ppo"]["judge"], before["summary"]),
    ]
    return {**dialogue, "sides": sides}


def _side(title: str, row: Row, toxicity: Sequence[float], other: str) -> Row:
    samples = list(zip(row["samples"], toxicity, strict=True))
    return {"title": title, "toxicity": fmean(toxicity), "summary": row["summary"], "other": other, "samples": samples}


def sha256s(paths: Iterable[Path]) -> dict[str, str]:
    """Hex digest of each file, by its path. Raises InputError if there is none."""
    return {path.as_posix(): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run 'dvc repro'") from None
