"""What is kept of a source, in a file, and the parts into which that is split."""

import json
from collections import Counter
from collections.abc import Container, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from detox import files


class Kept(NamedTuple):
    """The rows of a source file that are kept, in its order."""

    path: Path  # a JSON object a line
    texts: list[bytes]  # of each row, the digest of its text
    letters: list[bytes]  # of each row, the digest of its text's `letters`
    merged: dict[int, list[str]]  # by the number of a row: references that rows after it bring
    counts: Counter[str]  # see `clean`

    def lines(self, chosen: range, without: Container[bytes] = ()) -> Iterator[str]:
        """The rows of these numbers, with all their references, but for those with such a digest."""
        with self.path.open(encoding="utf-8", newline="\n") as file:
            for number, line in islice(enumerate(file), chosen.start, chosen.stop):
                if self.texts[number] not in without:
                    yield _extended(line, self.merged[number]) if number in self.merged else line


class Part(NamedTuple):
    """Consecutive rows of a file, but for those whose texts have certain digests."""

    kept: Kept
    chosen: range
    without: frozenset[bytes] = frozenset()

    def texts(self) -> list[bytes]:
        return [text for text in self.kept.texts[self.chosen.start : self.chosen.stop] if text not in self.without]

    def letters(self) -> list[bytes]:
        return self.kept.letters[self.chosen.start : self.chosen.stop]

    def lines(self) -> Iterator[str]:
        return self.kept.lines(self.chosen, self.without)


def _extended(line: str, references: list[str]) -> str:
    row = json.loads(line)
    return files.json_line({**row, "references": row["references"] + references})
