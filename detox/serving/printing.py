"""How answers are printed: as text for people, or as JSON for programs."""

import json
import textwrap
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

WIDTH = 100  # of a summary's lines in text

Row = dict[str, Any]


class Format(StrEnum):
    """How answers are printed."""

    text = "text"
    json = "json"
    jsonl = "jsonl"


def printed(rows: Iterable[Row], output: Format, as_text: Callable[[Row], str]) -> None:
    """Prints the rows in this format: as text, or as JSON."""
    if output is Format.json:
        print(json.dumps(list(rows), ensure_ascii=False, indent=2))
        return
    for row in rows:
        print(as_text(row) if output is Format.text else json.dumps(row, ensure_ascii=False), flush=True)


def both(row: Row) -> str:
    """A dialogue's id, and both summaries with their toxicity."""
    sides = [f"  {side:6}  {toxicity(row[side])}\n{_filled(row[side]['summary'])}" for side in ("before", "after")]
    return "\n".join([str(row["id"]), *sides])


def _filled(text: str) -> str:
    return textwrap.fill(text or "(empty)", WIDTH, initial_indent="    ", subsequent_indent="    ")


def after(row: Row) -> str:
    """The summary after PPO as one line."""
    return line(row["after"]["summary"])


def toxicity(row: Row) -> str:
    """P(toxic) by both scorers."""
    return "  ".join(f"{name} {row[name]:.4f}" for name in ("judge", "reward"))


def line(text: str) -> str:
    """The text as one line."""
    return " ".join(text.split())
