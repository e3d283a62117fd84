"""Which columns of a row hold what, and the texts in them."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from detox.errors import InputError, brief

if TYPE_CHECKING:  # the command line reads texts without any params
    from detox.params.sections import Columns

DIALOGUE = "dialogue"
IDS = ("id", "fname")


class Named(NamedTuple):
    """What a row calls its columns; None, and no summaries, where it has none."""

    id: str | None
    dialogue: str | None
    summaries: tuple[str, ...]
    group: str | None


@lru_cache(maxsize=256)
def named(present: tuple[str, ...], names: "Columns") -> Named:
    """The columns of a row that has the columns `present`, by their usual names or by those that are given.

    Capital letters do not matter, unless columns differ in them alone.
    """
    numbered = sorted(
        (int(match[1] or 0), name)
        for name in present
        if (match := re.fullmatch("summary([0-9]{0,9})", name, re.IGNORECASE | re.ASCII))
    )
    given = [found for name in names.summary or () if (found := find(present, name))]
    return Named(
        find(present, *([names.id] if names.id else IDS)),
        find(present, names.dialogue or DIALOGUE),
        tuple(given) if names.summary else tuple(name for _, name in numbered),
        find(present, names.group or "group"),
    )


def find(present: tuple[str, ...], *wanted: str) -> str | None:
    """The first of the wanted columns that is there: as it is written, or else in other capitals."""
    for name in wanted:
        alike = [each for each in present if each.casefold() == name.casefold()]
        if name in alike or len(alike) == 1:
            return name if name in alike else alike[0]
    return None


def absent(row: Iterable[str], name: str, key: str, where: str) -> str:
    """What to say of a column that a row of a corpus does not have."""
    return f"{where}: no column '{name}' (there are {', '.join(row)}): {remedy(key)}"


def remedy(key: str) -> str:
    """What to do then."""
    return f"add it, or name the right one in prepare.columns.{key}"


def text(value: Any, name: str, where: str) -> str:
    """The text in a column, with \\\\n for every line end; none for null. Raises InputError if it is something else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{where}: '{name}' is {brief(value, name)}, not text: put it in quotes or remove the row")
    if "\0" in value:
        raise InputError(f"{where}: '{name}' holds a NUL character: remove it")
    if re.search("[\ud800-\udfff]", value):
        raise InputError(f"{where}: '{name}' holds half of a surrogate pair: correct its \\u escapes")
    return value.replace("\r\n", "\n").replace("\r", "\n") if "\r" in value else value


def label(value: Any, name: str, where: str) -> str:
    """The name in a column, which may be a number: 3 and 3.0 are "3"."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else text(value, name, where)


def dialogue(value: Any, name: str, where: str) -> str:
    """The text of a dialogue, a turn a line, of a text, a list of turns, or a list of {speaker, text}.

    The last one may also be {speaker: list, text: list}, which is how datasets stores some. Raises InputError for
    anything else.
    """
    if isinstance(value, Mapping) and value and all(isinstance(each, list) for each in value.values()):
        value = [dict(zip(value, turn, strict=False)) for turn in zip(*value.values(), strict=False)]
    if isinstance(value, list):
        return "\n".join(_turn(turn, name, where) for turn in value)
    return text(value, name, where)


def _turn(turn: Any, name: str, where: str) -> str:
    if not isinstance(turn, Mapping):
        return " ".join(text(turn, name, where).splitlines())
    speaker, said = find(tuple(turn), "speaker"), find(tuple(turn), "text")
    if speaker is None or said is None:
        keys = ", ".join(map(str, turn))
        raise InputError(f"{where}: a turn of '{name}' has {keys}, but needs speaker and text: rename them")
    return f"{label(turn[speaker], speaker, where)}: {' '.join(text(turn[said], said, where).splitlines())}"
