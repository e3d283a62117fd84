"""The head of a corpus: what the first rows of its files say of all of it, before it is read, cleaned and split."""

import math
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from detox import files
from detox.corpus import columns, layout, reader, tables
from detox.corpus.cleaning import Cleaner
from detox.errors import InputError, InputErrors, brief, noted
from detox.params.sections import Prepare

ROWS = 10_000  # that are read of a part to estimate how many of its rows are kept
CLUSTERS = 2  # that an interval needs at least: detox.evaluation.statistics
MORE = "add test dialogues, or change prepare.test_fraction or the limits on characters"


class Head(NamedTuple):
    """Of the first rows of a file."""

    kept: int
    characters: int  # of the dialogues that are kept, all together
    share: float  # of the files' bytes that these rows have, about; 1: there are no more

    @property
    def rows(self) -> int:
        """Rows of the whole file that are kept, if its other rows are like these."""
        return round(self.kept / self.share) if self.share else 0


class Corpus(NamedTuple):
    """How many dialogues each part will have, about, and how long a dialogue is."""

    train: int
    dev: int
    test: int
    characters: float


def check(p: Prepare) -> None:
    """Raises InputErrors for every part whose first row is wrong, and unless the test part has two clusters.

    A cluster is a scenario where the data marks them, else a dialogue. No interval can be had of fewer.
    """
    errors: list[InputError] = []
    for part in parts(p):
        with noted(errors):
            next(kept_rows(p, part), None)
    if not errors:
        with noted(errors):
            check_groups(test_groups(p), f"{p.source.path}: the test part", MORE)
    if errors:
        raise InputErrors(errors)


def parts(p: Prepare) -> list[str]:
    """The parts that have a file of their own."""
    fractions = {"train": None, "dev": p.dev_fraction, "test": p.test_fraction}
    return [part for part, fraction in fractions.items() if fraction is None]


def kept_rows(p: Prepare, part: str) -> Iterator[dict[str, Any]]:
    """The rows of a file that will be kept, checked one by one. Raises InputError as `reader` does."""
    cleaner = Cleaner(p.min_characters, p.max_characters)
    for row in rows(p, part):
        if cleaner.fate(row["text"], row["references"]) == "kept":
            yield row


def rows(p: Prepare, part: str) -> Iterator[dict[str, Any]]:
    """The rows of a part's files, checked one by one. Raises InputError as `reader` does."""
    return reader.read_source(layout.find(Path(p.source.path), p.config).files(part), p.columns)


def check_groups(groups: Collection[str], where: str, remedy: str) -> None:
    """Raises InputError unless there are two clusters, by their names."""
    if len(groups) < CLUSTERS:
        only = ", ".join(map(brief, groups)) or "none"
        raise InputError(
            f"{where} has fewer clusters (scenarios, or dialogues where none is marked) than the {CLUSTERS} that an "
            f"interval needs: {only}: {remedy}"
        )


def test_groups(p: Prepare) -> set[str]:
    """The first clusters of the test part, `CLUSTERS` of them if there are so many.

    Rows are read until that is known: all of them only where a share of a file that marks scenarios is set aside.
    """
    if p.test_fraction is None:
        groups: set[str] = set()
        for row in kept_rows(p, "test"):
            groups.add(row["group"])
            if len(groups) == CLUSTERS:
                break
        return groups
    own: list[str] = []
    marked = False
    for row in kept_rows(p, "train"):
        own.append(row["group"])
        marked |= row["group"] != row["id"]
        if not marked and p.test_fraction * len(own) > 1:  # so two rows at least, each a cluster of its own
            break
    return set(own[len(own) - math.ceil(p.test_fraction * len(own)) :])


def estimate(p: Prepare) -> Corpus:
    """About how many dialogues each part will have. Raises InputError as `reader` does."""
    heads = {part: head(p, part) for part in parts(p)}
    whole = heads["train"].rows
    dev, test = (
        heads[part].rows if fraction is None else math.ceil(fraction * whole)
        for part, fraction in (("dev", p.dev_fraction), ("test", p.test_fraction))
    )
    aside = sum(count for part, count in (("dev", dev), ("test", test)) if part not in heads)
    kept = heads["train"].kept
    return Corpus(whole - aside, dev, test, heads["train"].characters / kept if kept else 0)


def head(p: Prepare, part: str) -> Head:
    """What the first rows of a part's files say of it."""
    cleaner, read, kept, characters = Cleaner(p.min_characters, p.max_characters), 0, 0, 0
    for row in islice(rows(p, part), ROWS):
        read += 1
        if cleaner.fate(row["text"], row["references"]) == "kept":
            kept += 1
            characters += len(row["text"])
    return Head(kept, characters, _share(p, part) if read == ROWS else 1.0)


def _share(p: Prepare, part: str) -> float:
    """Which share of the bytes of a part's files its first rows have, about: of compressed ones less than that."""
    paths = layout.find(Path(p.source.path), p.config).files(part)
    wanted = [p.columns.dialogue or columns.DIALOGUE]
    sizes = (_size(path, row) for path in paths for _, row in tables.rows(path, wanted, columns.remedy("dialogue")))
    return min(1.0, sum(islice(sizes, ROWS)) / sum(path.stat().st_size for path in paths))


def _size(path: Path, row: Mapping[str, Any]) -> int:
    """Bytes of a row in its file: in JSON with the names of its columns, else with a comma or a line end each."""
    if tables.kind(path) == "json":
        return len(files.json_line(row).encode())
    return sum(len(str(value).encode()) + 1 for value in row.values())
