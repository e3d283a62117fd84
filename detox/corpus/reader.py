"""Reading a corpus of dialogues row by row, every one of them checked.

Its columns, in whichever case: `id` or `fname`, else rows are numbered; `dialogue`; `summary` or `summary1`,
`summary2`, …; `group` where scenarios are marked. `prepare.columns` names others.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tqdm import tqdm

from detox.corpus import columns, tables
from detox.corpus.columns import Named
from detox.errors import InputError, brief
from detox.params.sections import Columns


def read_source(paths: Sequence[Path], names: Columns) -> Iterator[dict[str, Any]]:
    """The rows of a part's tables as they are read, checked: id, text, references (a list), group.

    A row whose dialogue is blank, null or missing has a blank text, to be dropped and counted.
    Raises InputError, with the line, for a row that is malformed, holds something other than text, has no summary, or
    uses the id of another dialogue; and where no row has a dialogue at all.
    """
    wanted = names.dialogue or columns.DIALOGUE
    rows = (row for path in paths for row in tables.rows(path, [wanted], columns.remedy("dialogue")))
    shown = tqdm(rows, desc=paths[0].name, unit=" dialogues", delay=2, leave=False, disable=None)
    texts: dict[bytes, bytes] = {}
    numbered: bool | None = None  # whether rows are, because the first one has no id
    wrong = f"{paths[0]} has no rows: it needs the columns dialogue and summary"
    for number, (where, row) in enumerate(shown, start=1):
        named = columns.named(tuple(row), names)
        if number == 1 or named.dialogue:
            wrong = "" if named.dialogue else columns.absent(row, wanted, "dialogue", where)
        text = columns.dialogue(row[named.dialogue], named.dialogue, where) if named.dialogue else ""
        if not text.strip():
            yield {"id": str(number), "text": text, "references": [], "group": str(number)}
            continue
        if numbered is None:
            numbered = not (named.id or names.id)
        identity = str(number) if numbered else _id(row, named, names, where)
        if texts.setdefault(digest(identity), hashed := digest(text)) != hashed:
            raise InputError(f"{where}: id {brief(identity)} was another dialogue's: make ids unique")
        references, group = _references(row, named, names, where), _group(row, named, names, where)
        yield {"id": identity, "text": text, "references": references, "group": group or identity}
    if wrong:
        raise InputError(wrong)


def digest(text: str) -> bytes:
    """BLAKE2b's 128 bits of a text, which memory holds in its place.

    Of n texts some two that differ have the same with a probability below n² / 2^129: 1.5e-27 for a million.
    """
    return blake2b(text.encode(), digest_size=16).digest()


def _id(row: Mapping[str, Any], named: Named, names: Columns, where: str) -> str:
    if named.id is None:
        raise InputError(columns.absent(row, names.id or "id", "id", where))
    identity = columns.label(row[named.id], named.id, where)
    if not identity.strip():
        raise InputError(f"{where}: the id is blank: give one or remove the row")
    return identity


def _references(row: Mapping[str, Any], named: Named, names: Columns, where: str) -> list[str]:
    """The summaries that are not blank. Raises InputError if there are none."""
    wanted = names.summary or ("summary",)
    if not named.summaries:
        raise InputError(columns.absent(row, wanted[0], "summary", where))
    if names.summary and len(named.summaries) < len(wanted):
        lacking = next(name for name in wanted if name.casefold() not in map(str.casefold, named.summaries))
        raise InputError(columns.absent(row, lacking, "summary", where))
    values = [(name, row[name]) for name in named.summaries]
    listed = [(name, each) for name, value in values for each in (value if isinstance(value, list) else [value])]
    references = [summary for name, each in listed if (summary := columns.text(each, name, where)).strip()]
    if not references:
        raise InputError(f"{where}: the summary is blank: write one or remove the row")
    return references


def _group(row: Mapping[str, Any], named: Named, names: Columns, where: str) -> str:
    if named.group is None and names.group:
        raise InputError(columns.absent(row, names.group, "group", where))
    return columns.label(row[named.group], named.group, where) if named.group else ""
