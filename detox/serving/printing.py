"""How answers are printed: as text for people, or as JSON for programs. What a text of theirs says to a terminal, by
ESC or otherwise, is escaped.
"""

import json
import textwrap
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from detox.errors import printable

WIDTH = 100  # of a summary's lines in text
JOINERS = "\u200c\u200d"  # without a width, between letters of Persian or Hindi, and in emoji

Row = dict[str, Any]


class Format(StrEnum):
    """How answers are printed."""

    text = "text"
    json = "json"
    jsonl = "jsonl"


def printed(rows: Iterable[Row], output: Format, as_text: Callable[[Row], str]) -> None:
    """Prints the rows in this format: as text, or as JSON."""
    if output is Format.json:
        print(as_json(list(rows), indent=2))
        return
    for row in rows:
        print(as_text(row) if output is Format.text else as_json(row), flush=True)


def as_json(tree: Any, indent: int | None = None) -> str:
    """JSON that shows what is printable as it is. Raises ValueError for a number that JSON does not have."""
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False, indent=indent)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def both(row: Row) -> str:
    """A dialogue's id, and both summaries with their toxicity."""
    sides = [f"  {side:6}  {toxicity(row[side])}\n{_filled(row[side]['summary'])}" for side in ("before", "after")]
    return "\n".join([line(str(row["id"])), *sides])


def _filled(text: str) -> str:
    return textwrap.fill(line(text) or "(empty)", WIDTH, initial_indent="    ", subsequent_indent="    ")


def after(row: Row) -> str:
    """The summary after PPO as one line."""
    return line(row["after"]["summary"])


def toxicity(row: Row) -> str:
    """P(toxic) by both scorers."""
    return "  ".join(f"{name} {row[name]:.4f}" for name in ("judge", "reward"))


def line(text: str) -> str:
    """The text as one line, of printable characters."""
    return printable(" ".join(text.split()), JOINERS)


def table(text: str) -> str:
    """Several lines, of printable characters."""
    return printable(text, "\n")
