"""CSV and TSV, with whichever separator, as spreadsheets and programs write them."""

import csv
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path

from detox import parsing
from detox.errors import InputError, brief

SEPARATORS = ",;\t|"

csv.field_size_limit(parsing.LONGEST)


def rows(
    lines: Iterable[tuple[int, str]], path: Path, wanted: Collection[str], remedy: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of its first line, row) of each row, from the numbered lines of a file with a header.

    The header must have one of the columns `wanted`, in whichever case; the separator is the one by which it has. Rows
    without any text are skipped at the end, where spreadsheets leave them, and empty lines everywhere.
    Raises InputError, with the line, for a header without such a column (which ends in the remedy), and for what is no
    CSV.
    """
    numbered = iter(lines)
    first = next((line for line in numbered if line[1].strip()), None)
    if first is None:
        return
    texts = (text for _, text in chain([first], numbered))
    delimiter = separator(first[1], wanted)
    reader = csv.reader(texts, delimiter=delimiter, skipinitialspace=f"{delimiter} " in first[1], strict=True)
    number, blank = first[0], []
    try:
        columns = [name.strip() for name in next(reader)]
        if again := parsing.twice(columns):
            raise InputError(f"{path}, line {number}: the header has {brief(again)} twice: rename one of them")
        check_columns(columns, f"{path}, line {number}", wanted, remedy)
        number = first[0] + reader.line_num
        for fields in reader:
            if not any(field.strip() for field in fields):
                blank += [number] if fields else []
            elif len(fields) != len(columns):
                raise InputError(f"{path}, line {number}: the header has {len(columns)} fields: give the row as many")
            else:
                yield from ((each, dict.fromkeys(columns, "")) for each in blank)
                blank = []
                yield number, dict(zip(columns, fields, strict=True))
            number = first[0] + reader.line_num
    except csv.Error as error:
        reason = str(error).partition(" - ")[0]  # what follows is advice for programmers
        raise InputError(
            f"{path}, line {number}: not CSV ({reason}): correct the row's quotes and line ends"
        ) from error


def separator(header: str, wanted: Collection[str]) -> str:
    """The separator by which a header has a column `wanted`, or else the one that it has most often."""
    names = {name.casefold() for name in wanted}
    for each in SEPARATORS:
        if names & {field.strip().strip('"').casefold() for field in header.split(each)}:
            return each
    return max(SEPARATORS, key=header.count)


def check_columns(columns: Collection[str], where: str, wanted: Collection[str], remedy: str) -> None:
    """Raises InputError, which ends in the remedy, unless one of the columns is `wanted`, in whichever case."""
    if not {name.casefold() for name in columns} & {name.casefold() for name in wanted}:
        raise InputError(f"{where}: no column '{next(iter(wanted))}' (there are {', '.join(columns)}): {remedy}")
