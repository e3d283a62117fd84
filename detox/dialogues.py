"""Dialogues with their reference summaries: cleaning and splitting a source, and loading what came of it."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detox import corpora, files
from detox.errors import InputError
from detox.params import Prepare

if TYPE_CHECKING:
    from datasets import Dataset

DROPPED = ("too_short", "too_long", "duplicate", "empty")


@dataclass(frozen=True)
class Dialogue:
    """One dialogue; `group` is the scenario that the source marks, else the id."""

    id: str
    text: str
    references: tuple[str, ...]
    group: str


def load(path: Path) -> list[Dialogue]:
    """The dialogues of a prepared JSONL file. Raises InputError, with the line, for a row that is none."""
    return [_dialogue(row, f"{path}, line {line}") for line, row in files.numbered_rows(path)]


def _dialogue(row: Mapping[str, Any], where: str) -> Dialogue:
    references = row.get("references")
    texts = [row.get(name) for name in ("id", "text", "group")]
    if not isinstance(references, list) or not all(isinstance(text, str) for text in [*texts, *references]):
        raise InputError(f"{where}: not a dialogue with id, text, references and group: run `dvc repro prepare`")
    return Dialogue(row["id"], row["text"], tuple(references), row["group"])


def prepare(p: Prepare) -> tuple[dict[str, "Dataset"], Counter[str]]:
    """The train, dev and test part of the source, and the counts of `clean` summed over the files that were read.

    Where a fraction is given, the part is the last such share of the kept train rows, unshuffled (dev before test);
    where it is null, the part is the source's own file, cleaned by the same rule.
    """
    source = Path(p.source.path)
    train, counts = _cleaned(corpora.find(source, "train"), p)
    total = len(train)
    parts: dict[str, Dataset] = {}
    for name, fraction in (("test", p.test_fraction), ("dev", p.dev_fraction)):
        if fraction is None:
            parts[name], more = _cleaned(corpora.find(source, name), p)
            counts.update(more)
        else:
            train, parts[name] = cut(train, math.ceil(fraction * total))
    return {"train": train, "dev": parts["dev"], "test": parts["test"]}, counts


def clean(rows: "Dataset", shortest: int, longest: int) -> tuple["Dataset", Counter[str]]:
    """The dialogues with shortest < len(text) ≤ longest, each text once, and what became of every row.

    Counted in this order, so that read = kept + merged + empty + duplicate + too_short + too_long:
    `empty` rows have a blank dialogue; a row whose text came before is `merged` into that row's references if it
    brings a new summary, else it is a `duplicate`; `too_short` and `too_long` are what is left outside the limits.
    """
    spoken = rows.filter(lambda text: bool(text.strip()), input_columns="text")
    unique, counts = _merged(spoken)
    long_enough = unique.filter(lambda text: len(text) > shortest, input_columns="text")
    kept = long_enough.filter(lambda text: len(text) <= longest, input_columns="text")
    counts.update(read=len(rows), kept=len(kept), empty=len(rows) - len(spoken))
    counts.update(too_short=len(unique) - len(long_enough), too_long=len(long_enough) - len(kept))
    return kept, counts


def cut(rows: "Dataset", count: int) -> tuple["Dataset", "Dataset"]:
    """All rows but the last `count`, and those, in order. Raises InputError if no row would stay."""
    rest = len(rows) - count
    if rest < 1:
        raise InputError(
            f"{len(rows)} dialogues are too few to set {count} aside: lower prepare.test_fraction or "
            "prepare.dev_fraction, or give a larger source"
        )
    return rows.select(range(rest)), rows.select(list(range(rest, len(rows))))


def near_duplicates(train: "Dataset", test: "Dataset") -> int:
    """How many test dialogues equal a train dialogue but for case, punctuation and white space."""
    seen = {_letters(text) for text in train["text"]}
    return sum(_letters(text) in seen for text in test["text"])


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _cleaned(path: Path, p: Prepare) -> tuple["Dataset", Counter[str]]:
    rows, counts = clean(corpora.read_source(path), p.min_characters, p.max_characters)
    if not len(rows):
        dropped = ", ".join(f"{counts[name]} {name}" for name in DROPPED)
        raise InputError(
            f"{path}: no dialogue is left of {counts['read']} ({dropped}): change prepare.min_characters "
            f"({p.min_characters}) or prepare.max_characters ({p.max_characters})"
        )
    return rows, counts


def _merged(rows: "Dataset") -> tuple["Dataset", Counter[str]]:
    from datasets import Dataset

    counts: Counter[str] = Counter()
    firsts: dict[str, dict[str, Any]] = {}
    for row in rows:
        first = firsts.setdefault(row["text"], row)
        if first is not row:
            new = [summary for summary in row["references"] if summary not in first["references"]]
            first["references"].extend(new)
            counts["merged" if new else "duplicate"] += 1
    columns = {name: [row[name] for row in firsts.values()] for name in rows.column_names}
    return Dataset.from_dict(columns, features=rows.features), counts
