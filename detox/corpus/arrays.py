"""JSON arrays of objects, as pandas and many programs write them, read piece by piece."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detox import parsing
from detox.errors import InputError

PIECE = 1 << 18  # characters
TOKEN = 12  # characters: where fewer follow, an error may come from a token that was cut
BLANK = re.compile(r"[ \t\r\n]*")


def is_array(file: io.BufferedReader) -> bool:
    """Whether a JSON file begins as an array does, which leaves the file as it is."""
    return bool(re.match(rb"(\xef\xbb\xbf)?\s*\[", file.peek(1)))


def rows(file: io.BufferedReader, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file, line and number of the row, row) of each object of the array; memory holds some of them at a time.

    Raises InputError, with the line, for what is no array of objects in UTF-8.
    """
    text = _Text(file, path)
    text.expect("[")
    number = 0
    while not text.accept("]"):
        if number:
            text.expect(",")
        number += 1
        text.peek()
        where = f"{path}, line {text.line}, row {number}"
        row = text.value()
        if not isinstance(row, dict):
            raise InputError(f"{where}: not a JSON object such as {{…}}: correct or remove the row")
        yield where, row
    if text.peek():
        text.fail("Extra data")


class _Text:
    """The JSON of a file: what was read of it, and how far it is used."""

    def __init__(self, file: io.BufferedReader, path: Path):
        self.file = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        self.path, self.read, self.at, self.line = path, "", 0, 1

    def peek(self) -> str:
        """The next character that is not blank; none at the end."""
        self.use(BLANK.match(self.read, self.at).end())  # type: ignore[union-attr]
        while self.at == len(self.read) and self.more():
            self.use(BLANK.match(self.read, self.at).end())  # type: ignore[union-attr]
        return self.read[self.at : self.at + 1]

    def accept(self, character: str) -> bool:
        """Whether this character comes next; if so it is used."""
        if self.peek() != character:
            return False
        self.use(self.at + 1)
        return True

    def expect(self, character: str) -> None:
        if not self.accept(character):
            self.fail(f"Expecting '{character}'")

    def value(self) -> Any:
        """The next value."""
        while True:
            try:
                value, end = parsing.DECODER.raw_decode(self.read, self.at)
            except RecursionError:
                self.fail("nested too deeply")
            except json.JSONDecodeError as error:
                cut = error.pos + TOKEN >= len(self.read) or error.msg.startswith("Unterminated string")
                if not (cut and self.more()):
                    self.fail(error.msg, error.pos)
            except ValueError as error:
                self.fail(str(error))
            else:
                self.use(end)
                return value

    def use(self, end: int) -> None:
        self.line += self.read.count("\n", self.at, end)
        self.at = end

    def more(self) -> bool:
        """Reads on, as much as is not used yet at least: a long value is decoded again, but not too often."""
        if len(self.read) - self.at > parsing.LONGEST:
            self.fail("a row is too long")
        try:
            piece = self.file.read(max(PIECE, len(self.read) - self.at))
        except UnicodeDecodeError as error:
            line = self.line + self.read.count("\n", self.at) + error.object.count(b"\n", 0, error.start)
            raise InputError(f"{self.path}, line {line}: not UTF-8: save the file as UTF-8") from error
        self.read, self.at = self.read[self.at :] + piece, 0
        return bool(piece)

    def fail(self, reason: str, position: int | None = None) -> None:
        line = self.line + self.read.count("\n", self.at, self.at if position is None else position)
        raise InputError(f"{self.path}, line {line}: not JSON ({reason}): correct the array")
