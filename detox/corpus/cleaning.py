"""Cleaning and splitting a source: in one pass over it, and one over what is kept of it.

What is kept lies in a file meanwhile. Memory holds digests in the place of texts (`reader.digest`), some 500 bytes a
dialogue, and beside them only the summaries that are merged into a dialogue which was kept before.
"""

import math
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from detox import files
from detox.corpus import reader
from detox.corpus.layout import Layout
from detox.corpus.parts import Kept, Part
from detox.corpus.reader import digest
from detox.errors import InputError
from detox.params.sections import Prepare

DROPPED = ("too_short", "too_long", "duplicate", "empty")
OUTSIDE = -1  # the number of a text that the limits exclude


def prepare(p: Prepare, layout: Layout, folder: Path) -> dict[str, Any]:
    """Writes train.jsonl, dev.jsonl and test.jsonl into the folder; returns what metrics/prepare.json says of them.

    Where a fraction is given, the part is the last such share of the kept train rows, unshuffled (dev before test);
    where it is null, the part is the source's own file, cleaned by the same rule.
    """
    folder.mkdir()
    with tempfile.TemporaryDirectory(dir=folder) as kept:
        parts, counts = split(p, layout, Path(kept))
        near = near_duplicates(parts["train"].letters(), parts["test"].letters())
        if p.drop_leaks:
            parts["train"] = without_leaks(parts["train"], parts["test"])
        sizes = {name: len(part.texts()) for name, part in parts.items()}
        for name, part in parts.items():
            files.write_lines(folder / f"{name}.jsonl", part.lines())
    return {
        **{name: counts[name] for name in ("read", "merged")},
        "kept": sum(sizes.values()),
        "dropped": {name: counts[name] for name in DROPPED} | {"leak": counts["kept"] - sum(sizes.values())},
        **sizes,
        "near_duplicates_across_split": near,
    }


def without_leaks(train: Part, test: Part) -> Part:
    """The training part without the dialogues of the test, byte for byte. Raises InputError if none is left."""
    part = train._replace(without=frozenset(test.texts()).intersection(train.texts()))
    if not part.texts():
        raise InputError(
            "every training dialogue is a test dialogue, too: give other files, or set prepare.drop_leaks to false"
        )
    return part


def split(p: Prepare, layout: Layout, folder: Path) -> tuple[dict[str, Part], Counter[str]]:
    """The train, dev and test part, and the counts of `clean` summed over the files that were read."""
    train = _cleaned(p, layout, "train", folder)
    counts, rest = train.counts.copy(), len(train.letters)
    parts: dict[str, Part] = {}
    for name, fraction in (("test", p.test_fraction), ("dev", p.dev_fraction)):
        if fraction is None:
            own = _cleaned(p, layout, name, folder)
            parts[name] = Part(own, range(len(own.letters)))
            counts.update(own.counts)
        else:
            end, rest = rest, cut(rest, math.ceil(fraction * len(train.letters)))
            parts[name] = Part(train, range(rest, end))
    return {"train": Part(train, range(rest)), "dev": parts["dev"], "test": parts["test"]}, counts


def clean(rows: Iterable[Mapping[str, Any]], shortest: int, longest: int, path: Path) -> Kept:
    """The dialogues with shortest < len(text) ≤ longest, each text once, and what became of every row.

    Counted in this order, so that read = kept + merged + empty + duplicate + too_short + too_long:
    `empty` rows have a blank dialogue; a row whose text came before is `merged` into that row's references if it
    brings a new summary, else it is a `duplicate`; `too_short` and `too_long` are what is left outside the limits.
    """
    cleaner = Cleaner(shortest, longest)
    counts: Counter[str] = Counter()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            fate = cleaner.fate(row["text"], row["references"])
            counts["read"] += 1
            counts[fate] += 1
            if fate == "kept":
                file.write(files.json_line(row))
    return Kept(path, cleaner.texts, cleaner.letters, cleaner.merged, counts)


class Cleaner:
    """What has to be remembered of the rows before a row to say what becomes of it."""

    def __init__(self, shortest: int, longest: int) -> None:
        self.shortest, self.longest = shortest, longest
        self.numbers: dict[bytes, int] = {}  # by text: of the row that is kept for it, or OUTSIDE
        self.stated: set[bytes] = set()  # each text with each of its references
        self.texts: list[bytes] = []
        self.letters: list[bytes] = []
        self.merged: dict[int, list[str]] = {}

    def fate(self, text: str, references: list[str]) -> str:
        """What becomes of the next row, as `clean` counts it."""
        if not text.strip():
            return "empty"
        name = digest(text)
        pairs = {summary: digest(name.hex() + summary) for summary in references}
        new = [summary for summary in references if pairs[summary] not in self.stated]
        self.stated.update(pairs.values())
        if name in self.numbers:
            return self._again(self.numbers[name], new)
        self.numbers[name] = OUTSIDE
        if len(text) <= self.shortest:
            return "too_short"
        if len(text) > self.longest:
            return "too_long"
        self.numbers[name] = len(self.letters)
        self.texts.append(name)
        self.letters.append(digest(letters(text)))
        return "kept"

    def _again(self, number: int, new: list[str]) -> str:
        if new and number != OUTSIDE:
            self.merged.setdefault(number, []).extend(new)
        return "merged" if new else "duplicate"


def cut(rows: int, aside: int) -> int:
    """How many of the rows stay if the last `aside` of them go. Raises InputError if none would."""
    if rows <= aside:
        raise InputError(
            f"{rows} dialogues are too few to set {aside} aside: lower prepare.test_fraction or "
            "prepare.dev_fraction, or give a larger source"
        )
    return rows - aside


def near_duplicates(train: Iterable[bytes], test: Iterable[bytes]) -> int:
    """How many test dialogues have the `letters` of a train dialogue."""
    seen = set(train)
    return sum(each in seen for each in test)


def letters(text: str) -> str:
    """The text but for case, punctuation and white space."""
    return re.sub(r"[\W_]+", "", text.lower())


def _cleaned(p: Prepare, layout: Layout, part: str, folder: Path) -> Kept:
    rows = reader.read_source(paths := layout.files(part), p.columns)
    kept = clean(rows, p.min_characters, p.max_characters, folder / part)
    if not kept.letters:
        dropped = ", ".join(f"{kept.counts[name]} {name}" for name in DROPPED)
        raise InputError(
            f"{paths[0]}: no dialogue is left of {kept.counts['read']} ({dropped}): change prepare.min_characters "
            f"({p.min_characters}) or prepare.max_characters ({p.max_characters})"
        )
    return kept
