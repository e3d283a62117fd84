"""JSON, JSON lines and text are read strictly, with the line in every error."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from detox.errors import InputError, brief

LONGEST = 2**26  # bytes of a line, and characters of a row of an array: memory holds one


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All rows of a JSONL file. Raises InputError, with the line, unless each is a JSON object in UTF-8."""
    return [row for _, row in jsonl_rows(numbered_lines(path), path)]


def check_inside(path: Path) -> None:
    """Raises InputError for a relative path that leads out of the project by a link: a clone has the link alone."""
    if not path.is_absolute() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(".")):
        raise InputError(f"{path} leads out of the project by a link: put what it leads to in its place")


def jsonl_rows(lines: Iterable[tuple[int, str]], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of each row, from the numbered lines of a JSONL file; blank lines are left out.

    Raises InputError, with the line, for what is no JSON object.
    """
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = _json(line)
        except ValueError as error:
            reason = getattr(error, "msg", error)
            raise InputError(f"{path}, line {number}: not JSON ({reason}): correct or remove the line") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: not a JSON object such as {{…}}: correct or remove the line")
        yield number, row


def _json(text: str) -> Any:
    """JSON of one meaning: no key twice, no NaN, no number or depth beyond Python's. Raises ValueError."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs) and (again := twice(key for key, _ in pairs)):
        raise ValueError(f"the key {brief(again)} stands there twice")
    return row


def twice(names: Iterable[str]) -> str | None:
    """A name that is among these more than once, if there is one and it is not empty."""
    return next((name for name, count in Counter(names).items() if name and count > 1), None)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError(f"a number of {len(digits)} digits") from None


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line with its end) of a UTF-8 text file. Raises InputError if it is missing or not UTF-8."""
    try:
        with path.open("rb") as file:
            yield from decoded(file, path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path, or run the stage that writes it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from error


def entries(path: Path, where: str) -> list[str]:
    """The entries of a list, one a line, blank ones left out. Raises InputError, which says where it is named."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no readable list: correct {where}") from error
    if not (found := [line.strip() for line in lines if line.strip()]):
        raise InputError(f"{path} has no entries, one a line: correct {where}")
    return found


def decoded(file: IO[bytes], path: Path) -> Iterator[tuple[int, str]]:
    """`numbered_lines` of a file that is open already; `path` is for errors."""
    number = 0
    try:
        for number, line in enumerate(iter(partial(file.readline, LONGEST + 1), b""), start=1):
            if len(line) > LONGEST:
                raise InputError(f"{path}, line {number}: longer than {LONGEST >> 20} MiB: correct or remove the line")
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: not UTF-8: save the file as UTF-8") from error


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, parse_int=_whole)


def read_metrics(path: Path) -> dict[str, Any]:
    """The tree that `files.write_metrics` wrote. Raises InputError if the file is missing or not a JSON object."""
    return read_json(path, "run its stage again")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object of a file. Raises InputError, which ends in the remedy, if there is none."""
    text = "".join(line for _, line in numbered_lines(path))
    try:
        tree = _json(text)
    except ValueError as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path}{line}: not JSON ({getattr(error, 'msg', error)}): {remedy}") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path}: not a JSON object: {remedy}")
    return tree
