"""Cleaning and splitting account for every row; prepared rows are loaded as they were written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from detox import dialogues
from detox.dialogues import Dialogue
from detox.errors import InputError
from detox.params import Prepare, Source

GOOD = {"id": "a", "dialogue": "#Person1#: Hi.", "summary": "A greeting."}


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def source(texts: Sequence[str], summaries: Sequence[str] | None = None) -> Dataset:
    references = [[summary] for summary in summaries or ["s"] * len(texts)]
    ids = [f"d{number}" for number in range(len(texts))]
    return Dataset.from_dict({"id": ids, "text": texts, "references": references, "group": ids})


def prepare(path: Path, shortest: int, longest: int, test: float | None, dev: float | None) -> dict[str, list[str]]:
    parts, _ = dialogues.prepare(Prepare(Source(str(path)), shortest, longest, test, dev))
    return {name: list(rows["id"]) for name, rows in parts.items()}


def test_a_dialogue_is_kept_if_longer_than_the_minimum_and_at_most_the_maximum() -> None:
    kept, counts = dialogues.clean(source(["x" * length for length in (1, 2, 3, 4, 5, 6)]), 2, 4)
    assert kept["text"][:] == ["xxx", "xxxx"]
    assert counts == {"read": 6, "kept": 2, "too_short": 2, "too_long": 2, "empty": 0}


def test_blank_dialogues_are_dropped_and_counted() -> None:
    kept, counts = dialogues.clean(source([" \n", "xxx", ""]), 0, 9)
    assert kept["text"][:] == ["xxx"]
    assert (counts["empty"], counts["kept"], counts["too_short"]) == (2, 1, 0)


def test_a_row_that_repeats_text_and_summary_is_a_duplicate_and_one_with_a_new_summary_is_merged() -> None:
    rows = source(["x", "y", "x", "x", "x", "X"], ["one", "two", "one", "three", "one", "four"])
    kept, counts = dialogues.clean(rows, 0, 9)
    assert kept.to_list() == [
        {"id": "d0", "text": "x", "references": ["one", "three"], "group": "d0"},
        {"id": "d1", "text": "y", "references": ["two"], "group": "d1"},
        {"id": "d5", "text": "X", "references": ["four"], "group": "d5"},
    ]
    assert (counts["read"], counts["kept"], counts["duplicate"], counts["merged"]) == (6, 3, 2, 1)


def test_every_row_read_is_accounted_for_once() -> None:
    texts = ["", "x", "xx", "xx", "xx", "xxx", "xxxx", "xxxx", "xxxxx", "xxxxx"]
    _, counts = dialogues.clean(source(texts, list("abccdeffgh")), 1, 3)
    assert counts == {
        "read": 10,
        "kept": 2,
        "empty": 1,
        "duplicate": 2,
        "merged": 2,
        "too_short": 1,
        "too_long": 2,
    }


def test_cleaning_rows_that_are_all_blank_leaves_none() -> None:
    kept, counts = dialogues.clean(source(["", " "]), 0, 9)
    assert len(kept) == 0
    assert counts["empty"] == 2


def test_the_last_shares_of_the_kept_rows_are_dev_and_test_in_order(tmp_path: Path) -> None:
    rows = [{"id": str(n), "dialogue": f"{'x' * (n + 1)}", "summary": "s"} for n in range(12)]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    # Rows 1 to 11 are kept; a share is rounded up: 2.2 → 3 test rows and 1.1 → 2 dev rows.
    assert prepare(path, 1, 99, test=0.2, dev=0.1) == {
        "train": ["1", "2", "3", "4", "5", "6"],
        "dev": ["7", "8"],
        "test": ["9", "10", "11"],
    }
    assert prepare(path, 1, 99, test=0.5, dev=0)["dev"] == []


def test_a_null_fraction_takes_the_sources_own_file_and_filters_it_too(tmp_path: Path) -> None:
    for name, letters in {"train.jsonl": "abc", "validation.jsonl": "d", "test.jsonl": "ef"}.items():
        write_jsonl(tmp_path / name, [{**GOOD, "id": x, "dialogue": x * 3} for x in letters])
    (tmp_path / "test.csv").write_text("id,dialogue,summary\nt,t,s\nu,uuu,s\n")
    (tmp_path / "test.jsonl").unlink()
    parts, counts = dialogues.prepare(Prepare(Source(str(tmp_path)), 1, 9, None, None))
    assert {name: rows["id"][:] for name, rows in parts.items()} == {
        "train": ["a", "b", "c"],
        "dev": ["d"],
        "test": ["u"],
    }
    assert (counts["read"], counts["kept"], counts["too_short"]) == (6, 5, 1)


def test_a_given_fraction_leaves_the_sources_own_files_unread(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{**GOOD, "id": x, "dialogue": x} for x in "abcd"])
    (tmp_path / "test.jsonl").write_text("not JSON")
    assert prepare(tmp_path, 0, 9, test=0.25, dev=0) == {"train": ["a", "b", "c"], "dev": [], "test": ["d"]}


def test_near_duplicates_are_equal_but_for_case_punctuation_and_white_space() -> None:
    train = source(["#Person1#: It's fine, OK ?", "#Person1#: Bye."])
    test = source(["#person1#: its  fine\nok!", "#Person1#: By", "#Person2#: Bye.", "#Person1# : bye"])
    assert dialogues.near_duplicates(train, test) == 2


def test_a_single_file_needs_fractions(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [GOOD, {**GOOD, "id": "b", "dialogue": "Bye."}])
    assert prepare(path, 0, 99, test=0.5, dev=0) == {"train": ["a"], "dev": [], "test": ["b"]}
    with pytest.raises(
        InputError, match=r"is a single file without a test part: .* set prepare.test_fraction to a num"
    ):
        prepare(path, 0, 99, test=None, dev=0)


def test_prepared_rows_are_loaded_as_dialogues(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "test.jsonl", [{"id": "a", "text": "Hi.", "references": ["s", "t"], "group": "g"}])
    assert dialogues.load(path) == [Dialogue("a", "Hi.", ("s", "t"), "g")]
