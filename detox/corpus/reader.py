"""Reading a corpus of dialogues row by row, every one of them checked.

A corpus is a folder with `train` (and `test`, and `dev` or `validation`) as `.jsonl` or `.csv`, or one such file.
Its columns: `id` or `fname`; `dialogue`; `summary` or `summary1`, `summary2`, …; `group` where scenarios are marked.
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tqdm import tqdm

from detox import files
from detox.errors import InputError, brief

STEMS = {"train": ("train",), "dev": ("dev", "validation"), "test": ("test",)}
SUFFIXES = (".jsonl", ".csv")


def find(source: Path, part: str) -> Path:
    """The file of `source` that holds a part. Raises InputError if there is none, or more than one."""
    remedy = "correct prepare.source.path"
    if part != "train":
        remedy += f" or set prepare.{part}_fraction to a number"
    if source.is_file():
        if part == "train":
            return source
        raise InputError(f"{source} is a single file without a {part} part: {remedy}")
    if not source.is_dir():
        raise InputError(f"{source} does not exist: {remedy}")
    names = [stem + suffix for stem in STEMS[part] for suffix in SUFFIXES]
    found = [source / name for name in names if (source / name).is_file()]
    if not found:
        raise InputError(f"{source} has no {' or '.join(names)}: {remedy}")
    if len(found) > 1:
        raise InputError(f"{source} has {' and '.join(path.name for path in found)}: keep one of them")
    return found[0]


def read_source(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL or CSV file as they are read, checked: id, text, references (a list), group.

    Raises InputError, with the line, for a row that is malformed, lacks a column, holds something other than text,
    has no summary, or uses the id of another dialogue. A blank dialogue is let through, to be dropped and counted.
    """
    texts: dict[bytes, bytes] = {}
    rows = tqdm(files.numbered_rows(path), desc=path.name, unit=" dialogues", delay=2, leave=False, disable=None)
    for line, row in rows:
        record = _record(row, f"{path}, line {line}")
        text = digest(record["text"])
        if texts.setdefault(digest(record["id"]), text) != text:
            name = brief(record["id"])
            raise InputError(f"{path}, line {line}: id {name} was another dialogue's: make ids unique")
        yield record
    if not texts:
        raise InputError(f"{path} has no rows: it needs the columns id, dialogue and summary")


def digest(text: str) -> bytes:
    """BLAKE2b's 128 bits of a text, which memory holds in its place.

    Of n texts some two that differ have the same with a probability below n² / 2^129: 1.5e-27 for a million.
    """
    return blake2b(text.encode(), digest_size=16).digest()


def _record(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A source row as the project's columns."""
    identity = column(row, "fname" if "fname" in row and "id" not in row else "id", where)
    text = column(row, "dialogue", where)
    numbered = (name for name in row if re.fullmatch("summary[0-9]{0,9}", name))
    columns = sorted(numbered, key=lambda name: int(name[7:] or 0))
    summaries = [column(row, name, where) for name in columns or ["summary"]]
    references = [summary for summary in summaries if summary.strip()]
    if not identity.strip():
        raise InputError(f"{where}: the id is blank: give one or remove the row")
    if text.strip() and not references:
        raise InputError(f"{where}: the summary is blank: write one or remove the row")
    group = column(row, "group", where) if "group" in row else ""
    return {"id": identity, "text": text, "references": references, "group": group or identity}


def column(row: Mapping[str, Any], name: str, where: str) -> str:
    """The text in a column of a row. Raises InputError, which names the row by `where`, if there is none."""
    if name not in row:
        raise InputError(f"{where}: no column '{name}' (there are {', '.join(row)}): rename or add it")
    value = row[name]
    if not isinstance(value, str):
        raise InputError(f"{where}: '{name}' is {brief(value)}, not text: put it in quotes or remove the row")
    if "\0" in value:
        raise InputError(f"{where}: '{name}' holds a NUL character: remove it")
    if re.search("[\ud800-\udfff]", value):
        raise InputError(f"{where}: '{name}' holds half of a surrogate pair: correct its \\u escapes")
    return value
