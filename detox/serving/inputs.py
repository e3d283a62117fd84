"""Texts as people hand them in: plain or in a table, from a file or standard input, read as they come."""

import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, groupby
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple, TypeVar

from detox import parsing
from detox.corpus import columns, delimited, tables
from detox.errors import InputError
from detox.serving.printing import Row

STDIN = "-"
AT_ONCE = 32  # texts that a model reads: with more it is hardly faster, and the first answers wait for the last
ENDED = object()
LONGEST = 2**20  # characters of a dialogue in plain text, whose end may never come
RENAME = "rename or add it"
# A field of a header, next to its separator: "No, thanks." has a blank and a stop, "Ann: tea" a colon.
HEADING = r'"?[\w#.-]*\w(?: [\w#.-]*\w)*"?'

Lines = Iterator[tuple[int, str]]
T = TypeVar("T")


class Text(NamedTuple):
    """A dialogue or a summary."""

    id: Any  # as the row has it; without one, the text's number
    text: str
    where: str  # file and line, for messages


def read(source: str, column: str, split: Callable[[Lines], Lines]) -> Iterator[Text]:
    """The texts of a file, or of standard input for `-`, each as soon as it has come.

    What is named as a table is one (detox.corpus.tables); of anything else the first line tells: a JSON object, or a
    header with the column. In these a text is in `column`, or in `text`; plain text is divided by `split`.
    Raises InputError, with the line, for what is not such a file, for a table without the column and for a blank text;
    also where there is no text.
    """
    path = Path("standard input" if source == STDIN else source)
    content = columns.dialogue if column == columns.DIALOGUE else columns.text
    count = 0
    for count, (where, row) in enumerate(_rows(source, path, column, split), start=1):
        if (name := columns.find(tuple(row), column, "text")) is None:
            raise InputError(f"{where}: no column '{column}' (there are {', '.join(row)}): {RENAME}")
        text = content(row[name], name, where)
        if not text.strip():
            raise InputError(f"{where}: the {column} is blank: write one or remove the row")
        identity = columns.find(tuple(row), *columns.IDS)
        yield Text(_plain(row[identity]) if identity else str(count), text, where)
    if not count:
        raise InputError(f"{path} has no {column}: give one at least")


def _plain(identity: Any) -> Any:
    """An id as JSON has it: a text for a time, for NaN, for a list."""
    kept = identity is None or isinstance(identity, str | int)
    return identity if kept or (isinstance(identity, float) and math.isfinite(identity)) else str(identity)


def paragraphs(lines: Lines) -> Lines:
    """(number of its first line, text) of each block of lines between blank ones: a dialogue."""
    for blank, block in groupby(lines, key=lambda line: not line[1].strip()):
        if not blank:
            numbers, texts, size = [], [], 0
            for number, text in block:
                numbers.append(number)
                texts.append(text.strip())
                size += len(text)
                if size > LONGEST:
                    raise InputError(
                        f"the dialogue from line {numbers[0]} on has more than {LONGEST} characters: end each with a "
                        "blank line"
                    )
            yield numbers[0], "\n".join(texts)


def single(lines: Lines) -> Lines:
    """(number, text) of each line that is not blank: a summary."""
    return ((number, line.strip()) for number, line in lines if line.strip())


def arrived(rows: Iterator[T], most: int) -> Iterator[list[T]]:
    """Batches of what has come so far, of `most` rows or fewer: no row waits for one that has not come yet.

    An error of `rows` is raised behind the rows before it.
    """
    queue: Queue[Any] = Queue(most)
    errors: list[Exception] = []

    def fill() -> None:
        try:
            for row in rows:
                queue.put(row)
        except Exception as error:
            errors.append(error)
        queue.put(ENDED)

    threading.Thread(target=fill, daemon=True).start()
    batch: list[Any] = []
    while ENDED not in batch:
        batch = [queue.get()]
        while len(batch) < most and batch[-1] is not ENDED and not queue.empty():
            batch.append(queue.get())
        if texts := [row for row in batch if row is not ENDED]:
            yield texts
    if errors:
        raise errors[0]


def with_first(rows: Iterator[T]) -> Iterator[T]:
    """The same rows, the first of them read already, so that wrong input is noticed before anything is loaded."""
    return chain([next(rows)], rows)


def answered(texts: Iterator[Text], load: Callable[[], Callable[[list[str]], list[Row]]]) -> Iterator[tuple[Text, Row]]:
    """Each text and the row that the loaded model makes of it, in order, none later than it must be."""
    texts = with_first(texts)  # wrong input is noticed before the model is loaded, which takes seconds
    model = load()
    for batch in arrived(texts, AT_ONCE):
        yield from zip(batch, model([text.text for text in batch]), strict=True)


def _rows(source: str, path: Path, column: str, split: Callable[[Lines], Lines]) -> tables.Rows:
    if source != STDIN and tables.kind(path):
        return tables.rows(path, (column, "text"), RENAME)
    lines, (number, first) = _peeked(_stdin(path) if source == STDIN else parsing.numbered_lines(path))
    return ((f"{path}, line {line}", row) for line, row in _told(lines, number, first, path, column, split))


def _told(
    lines: Lines, number: int, first: str, path: Path, column: str, split: Callable[[Lines], Lines]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(line, row) of what the first line tells that it is."""
    if re.match(r"\[\s*(\{|$)", first):
        raise InputError(
            f"{path} is a JSON array: name the file .json, or write an object a line, as `jq -c '.[]'` does"
        )
    if first.startswith("{"):
        return parsing.jsonl_rows(lines, path)
    fields = first.split(delimited.separator(first, (column, "text")))
    names = {field.strip('" ').casefold() for field in fields}
    if {column, "text"} & names:
        return delimited.rows(lines, path, (column, "text"), RENAME)
    if len(fields) > 1 and all(re.fullmatch(HEADING, field) for field in fields):
        raise InputError(
            f"{path}, line {number}: looks like the header of a table without a column '{column}' or 'text' "
            f"({', '.join(fields)}): rename one of them, or, if it is text, write the speaker and a colon before it"
        )
    return ((line, {"text": text}) for line, text in split(lines))


def _stdin(path: Path) -> Lines:
    # A file object of its own: Python, when it ends, would wait for a thread that still reads from sys.stdin.
    try:
        with open(0, "rb", closefd=False) as file:
            yield from parsing.decoded(file, path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give a file or a pipe") from error


def _peeked(lines: Lines) -> tuple[Lines, tuple[int, str]]:
    """The lines from the first that is not blank on; that one without its outer blanks, and its number."""
    head = next((line for line in lines if line[1].strip()), None)
    number, first = head or (1, "")
    return chain([head] if head else [], lines), (number, first.strip())
