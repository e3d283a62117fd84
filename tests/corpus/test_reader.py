"""Sources are checked line by line, whatever their format, before anything else is done with them."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from detox.corpus import reader
from detox.errors import InputError

GOOD = {"id": "a", "dialogue": "#Person1#: Hi.", "summary": "A greeting."}


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_row_becomes_id_text_references_and_group(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{**GOOD, "group": "greetings", "topic": "t"}, {**GOOD, "id": "b"}])
    assert list(reader.read_source(path)) == [
        {"id": "a", "text": "#Person1#: Hi.", "references": ["A greeting."], "group": "greetings"},
        {"id": "b", "text": "#Person1#: Hi.", "references": ["A greeting."], "group": "b"},
    ]


def test_fname_serves_as_the_id_where_there_is_none(tmp_path: Path) -> None:
    row = {"fname": "test_0", "dialogue": "Hi.", "summary": "s"}
    assert next(reader.read_source(write_jsonl(tmp_path / "a.jsonl", [row])))["id"] == "test_0"


def test_numbered_summaries_are_references_in_their_order_without_blanks(tmp_path: Path) -> None:
    row = {"id": "a", "dialogue": "Hi.", "summary10": "ten", "summary2": "two", "summary1": "one"}
    path = write_jsonl(tmp_path / "a.jsonl", [{**row, "summary3": " "}])
    assert next(reader.read_source(path))["references"] == ["one", "two", "ten"]


def test_csv_and_jsonl_of_the_same_rows_are_the_same_source(tmp_path: Path) -> None:
    rows = [{"id": f"{n}", "dialogue": f'#1: "Hi, é",\n#2: {n}.', "summary": "s, t", "topic": ""} for n in range(3)]
    from_csv = reader.read_source(write_csv(tmp_path / "a.csv", rows))
    assert list(from_csv) == list(reader.read_source(write_jsonl(tmp_path / "a.jsonl", rows)))


@pytest.mark.parametrize("name", ["validation.jsonl", "validation.csv", "dev.jsonl", "dev.csv"])
def test_the_dev_part_may_be_called_validation(tmp_path: Path, name: str) -> None:
    (tmp_path / "train.jsonl").touch()
    (tmp_path / name).touch()
    assert reader.find(tmp_path, "dev") == tmp_path / name


def test_a_row_is_checked_when_it_is_read_and_not_before(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [GOOD, {**GOOD, "id": ""}])
    rows = reader.read_source(path)
    assert next(rows)["id"] == "a"
    with pytest.raises(InputError, match="line 2: the id is blank"):
        next(rows)


def test_a_digest_is_128_bits_of_blake2b() -> None:
    """The published value for an empty text."""
    assert reader.digest("").hex() == "cae66941d9efbd404e4d88758ea67670"
