"""Rows are checked one by one, whatever their format, before anything else is done with them."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from detox.corpus import reader
from detox.errors import InputError
from detox.params.sections import Columns

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


def read(path: Path, **names: Any) -> Iterator[dict[str, Any]]:
    return reader.read_source([path], Columns(**names))


def test_a_row_becomes_id_text_references_and_group(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{**GOOD, "group": "greetings", "topic": "t"}, {**GOOD, "id": "b"}])
    assert list(read(path)) == [
        {"id": "a", "text": "#Person1#: Hi.", "references": ["A greeting."], "group": "greetings"},
        {"id": "b", "text": "#Person1#: Hi.", "references": ["A greeting."], "group": "b"},
    ]


def test_fname_serves_as_the_id_where_there_is_none(tmp_path: Path) -> None:
    row = {"fname": "test_0", "dialogue": "Hi.", "summary": "s"}
    assert next(read(write_jsonl(tmp_path / "a.jsonl", [row])))["id"] == "test_0"


def test_numbered_summaries_are_references_in_their_order_without_blanks(tmp_path: Path) -> None:
    row = {"id": "a", "dialogue": "Hi.", "summary10": "ten", "summary2": "two", "summary1": "one"}
    path = write_jsonl(tmp_path / "a.jsonl", [{**row, "summary3": " "}])
    assert next(read(path))["references"] == ["one", "two", "ten"]


def test_csv_and_jsonl_of_the_same_rows_are_the_same_source(tmp_path: Path) -> None:
    rows = [{"id": f"{n}", "dialogue": f'#1: "Hi, é",\n#2: {n}.', "summary": "s, t", "topic": ""} for n in range(3)]
    from_csv = read(write_csv(tmp_path / "a.csv", rows))
    assert list(from_csv) == list(read(write_jsonl(tmp_path / "a.jsonl", rows)))


def test_a_row_is_checked_when_it_is_read_and_not_before(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [GOOD, {**GOOD, "id": ""}])
    rows = read(path)
    assert next(rows)["id"] == "a"
    with pytest.raises(InputError, match="line 2: the id is blank"):
        next(rows)


def test_a_digest_is_128_bits_of_blake2b() -> None:
    """The published value for an empty text."""
    assert reader.digest("").hex() == "cae66941d9efbd404e4d88758ea67670"


def test_rows_without_an_id_are_numbered_over_all_tables_of_the_part(tmp_path: Path) -> None:
    rows = [{"dialogue": f"Hi {n}.", "summary": "s"} for n in range(3)]
    first, second = write_jsonl(tmp_path / "1.jsonl", rows[:2]), write_csv(tmp_path / "2.csv", rows[2:])
    assert [row["id"] for row in reader.read_source([first, second], Columns())] == ["1", "2", "3"]


def test_a_dialogue_that_is_blank_null_or_missing_is_let_through_without_further_questions(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a"},
        {"dialogue": None},
        {"id": "a", "dialogue": " ", "summary": 3},
        {"id": 7, **GOOD},
        GOOD,
    ]
    found = list(read(write_jsonl(tmp_path / "a.jsonl", rows)))
    assert [row["text"].strip() for row in found] == ["", "", "", "#Person1#: Hi.", "#Person1#: Hi."]


def test_columns_are_mapped(tmp_path: Path) -> None:
    row = {"No": 3, "Talk": [{"speaker": "Ann", "text": "Hi"}], "One": "s", "Two": None, "Kind": 2}
    names = {"id": "no", "dialogue": "talk", "summary": ["one", "two"], "group": "kind"}
    assert list(read(write_jsonl(tmp_path / "a.jsonl", [row]), **names)) == [
        {"id": "3", "text": "Ann: Hi", "references": ["s"], "group": "2"}
    ]


def test_a_column_may_hold_several_summaries(tmp_path: Path) -> None:
    row = {"id": "a", "dialogue": "Hi.", "summary": ["one", " ", "two"]}
    assert next(read(write_jsonl(tmp_path / "a.jsonl", [row])))["references"] == ["one", "two"]


def test_a_summary_may_be_null_where_there_is_another(tmp_path: Path) -> None:
    row = {"id": "a", "dialogue": "Hi.", "summary1": None, "summary2": "two"}
    assert next(read(write_jsonl(tmp_path / "a.jsonl", [row])))["references"] == ["two"]
