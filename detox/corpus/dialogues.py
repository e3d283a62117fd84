"""Prepared dialogues with their reference summaries."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detox import parsing
from detox.errors import InputError


@dataclass(frozen=True)
class Dialogue:
    """One dialogue; `group` is the scenario that the source marks, else the id."""

    id: str
    text: str
    references: tuple[str, ...]
    group: str


def load(path: Path) -> list[Dialogue]:
    """The dialogues of a prepared JSONL file. Raises InputError, with the line, for a row that is none."""
    return [
        _dialogue(row, f"{path}, line {line}") for line, row in parsing.jsonl_rows(parsing.numbered_lines(path), path)
    ]


def evenly(dialogues: Sequence[Dialogue], count: int | None) -> list[Dialogue]:
    """`count` of the dialogues, evenly spaced, in their order; all where there are no more, or for None."""
    count = len(dialogues) if count is None else min(count, len(dialogues))
    return [dialogues[place * len(dialogues) // count] for place in range(count)]


def turns(text: str) -> list[str]:
    """The turns of a dialogue without their speakers."""
    return [re.sub(r"^#\w+#: ", "", line) for line in text.splitlines()]


def _dialogue(row: Mapping[str, Any], where: str) -> Dialogue:
    references = row.get("references")
    texts = [row.get(name) for name in ("id", "text", "group")]
    if not isinstance(references, list) or not all(isinstance(text, str) for text in [*texts, *references]):
        raise InputError(f"{where}: not a dialogue with id, text, references and group: run `dvc repro prepare`")
    return Dialogue(row["id"], row["text"], tuple(references), row["group"])
