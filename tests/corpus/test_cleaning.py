"""Cleaning and splitting account for every row, and keep the rows' order and their references."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from detox.corpus import cleaning, layout
from detox.errors import InputError
from detox.files import write_jsonl
from detox.params.origins import Source
from detox.params.sections import Prepare
from detox.parsing import read_jsonl

GOOD = {"id": "a", "dialogue": "#Person1#: Hi.", "summary": "A greeting."}

Rows = list[dict[str, Any]]


def source(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    write_jsonl(path, rows)
    return path


def clean(folder: Path, texts: Sequence[str], shortest: int, longest: int, summaries: str = "") -> tuple[Rows, Any]:
    """The rows that are kept of these texts, and the counts; a summary is a letter."""
    references = summaries or "s" * len(texts)
    rows = [
        {"id": f"d{number}", "text": text, "references": [summary], "group": f"d{number}"}
        for number, (text, summary) in enumerate(zip(texts, references, strict=True))
    ]
    kept = cleaning.clean(rows, shortest, longest, folder / "kept")
    return [json.loads(line) for line in kept.lines(range(len(kept.letters)))], kept.counts


def prepare(
    path: Path, shortest: int, longest: int, test: float | None, dev: float | None, **more: Any
) -> tuple[Any, Any]:
    """The ids of each part, and the metrics."""
    section = Prepare(Source(str(path)), shortest, longest, test, dev, **more)
    metrics = cleaning.prepare(section, layout.find(path, None), folder := path.with_name("out"))
    assert sorted(each.name for each in folder.iterdir()) == ["dev.jsonl", "test.jsonl", "train.jsonl"]
    return {part.stem: [row["id"] for row in read_jsonl(part)] for part in folder.iterdir()}, metrics


def test_a_dialogue_is_kept_if_longer_than_the_minimum_and_at_most_the_maximum(tmp_path: Path) -> None:
    kept, counts = clean(tmp_path, ["x" * length for length in (1, 2, 3, 4, 5, 6)], 2, 4)
    assert [row["text"] for row in kept] == ["xxx", "xxxx"]
    assert counts == {"read": 6, "kept": 2, "too_short": 2, "too_long": 2}


def test_blank_dialogues_are_dropped_and_counted(tmp_path: Path) -> None:
    kept, counts = clean(tmp_path, [" \n", "xxx", ""], 0, 9)
    assert [row["text"] for row in kept] == ["xxx"]
    assert counts == {"read": 3, "empty": 2, "kept": 1}


def test_a_row_that_repeats_text_and_summary_is_a_duplicate_and_one_with_a_new_summary_is_merged(
    tmp_path: Path,
) -> None:
    kept, counts = clean(tmp_path, ["x", "y", "x", "x", "x", "X", "x"], 0, 9, "1213134")
    assert kept == [
        {"id": "d0", "text": "x", "references": ["1", "3", "4"], "group": "d0"},
        {"id": "d1", "text": "y", "references": ["2"], "group": "d1"},
        {"id": "d5", "text": "X", "references": ["3"], "group": "d5"},
    ]
    assert counts == {"read": 7, "kept": 3, "duplicate": 2, "merged": 2}


def test_a_row_that_has_a_summary_twice_brings_both_unless_an_earlier_row_had_it(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "x", "references": ["1", "1"], "group": "a"},
        {"id": "b", "text": "x", "references": ["2", "1", "2"], "group": "b"},
    ]
    kept = cleaning.clean(rows, 0, 9, tmp_path / "kept")
    assert [json.loads(line)["references"] for line in kept.lines(range(1))] == [["1", "1", "2", "2"]]


def test_the_same_summary_of_two_dialogues_is_no_repetition(tmp_path: Path) -> None:
    """Nor is a text that ends where another's summary begins."""
    _, counts = clean(tmp_path, ["ab", "a", "a"], 0, 9, "cbc")
    assert counts == {"read": 3, "kept": 2, "merged": 1}


def test_every_row_read_is_accounted_for_once(tmp_path: Path) -> None:
    texts = ["", "x", "xx", "xx", "xx", "xxx", "xxxx", "xxxx", "xxxxx", "xxxxx"]
    _, counts = clean(tmp_path, texts, 1, 3, "abccdeffgh")
    assert counts == {
        "read": 10,
        "kept": 2,
        "empty": 1,
        "duplicate": 2,
        "merged": 2,
        "too_short": 1,
        "too_long": 2,
    }


def test_the_last_shares_of_the_kept_rows_are_dev_and_test_in_order(tmp_path: Path) -> None:
    rows = [{"id": str(n), "dialogue": f"{'x' * (n + 1)}", "summary": "s"} for n in range(12)]
    path = source(tmp_path / "a.jsonl", rows)
    # Rows 1 to 11 are kept; a share is rounded up: 2.2 → 3 test rows and 1.1 → 2 dev rows.
    parts, metrics = prepare(path, 1, 99, test=0.2, dev=0.1)
    assert parts == {"train": ["1", "2", "3", "4", "5", "6"], "dev": ["7", "8"], "test": ["9", "10", "11"]}
    assert [metrics[name] for name in ("train", "dev", "test")] == [6, 2, 3]


def test_a_share_of_none_is_no_part(tmp_path: Path) -> None:
    path = source(tmp_path / "a.jsonl", [{**GOOD, "id": x, "dialogue": x} for x in "abcd"])
    assert prepare(path, 0, 9, test=0.5, dev=0)[0] == {"train": ["a", "b"], "dev": [], "test": ["c", "d"]}


def test_a_summary_reaches_the_dialogue_that_it_is_merged_into_in_whichever_part_that_is(tmp_path: Path) -> None:
    texts = ["x", "y", "z", "y", "z", "x"]
    rows = [{"id": f"{n}", "dialogue": text, "summary": f"s{n}"} for n, text in enumerate(texts)]
    prepare(source(tmp_path / "a.jsonl", rows), 0, 9, test=0.3, dev=0.3)
    references = {
        part: read_jsonl(tmp_path / "out" / f"{part}.jsonl")[0]["references"] for part in ("train", "dev", "test")
    }
    assert references == {"train": ["s0", "s5"], "dev": ["s1", "s3"], "test": ["s2", "s4"]}


def test_a_null_fraction_takes_the_sources_own_file_and_filters_it_too(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, letters in {"train": "abc", "validation": "d"}.items():
        source(folder / f"{name}.jsonl", [{**GOOD, "id": x, "dialogue": x * 3} for x in letters])
    (folder / "test.csv").write_text("id,dialogue,summary\nt,t,s\nu,uuu,s\n")
    parts, metrics = prepare(folder, 1, 9, None, None)
    assert parts == {"train": ["a", "b", "c"], "dev": ["d"], "test": ["u"]}
    assert (metrics["read"], metrics["kept"], metrics["dropped"]["too_short"]) == (6, 5, 1)


def test_a_given_fraction_leaves_the_sources_own_files_unread(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    source(folder / "train.jsonl", [{**GOOD, "id": x, "dialogue": x} for x in "abcd"])
    (folder / "test.jsonl").write_text("not JSON")
    assert prepare(folder, 0, 9, test=0.25, dev=0)[0] == {"train": ["a", "b", "c"], "dev": [], "test": ["d"]}


def test_near_duplicates_are_equal_but_for_case_punctuation_and_white_space(tmp_path: Path) -> None:
    train = ["#Person1#: It's fine, OK ?", "#Person1#: Bye."]
    test = ["#person1#: its  fine\nok!", "#Person1#: By", "#Person2#: Bye.", "#Person1# : bye"]
    rows = [{"id": f"{n}", "dialogue": text, "summary": "s"} for n, text in enumerate(train + test)]
    _, metrics = prepare(source(tmp_path / "a.jsonl", rows), 0, 99, test=4 / 6, dev=0)
    assert metrics["near_duplicates_across_split"] == 2


def test_letters_and_digits_of_any_script_count() -> None:
    assert cleaning.letters("Straße_2: Ünï—код ٣²!") == "straße2ünïкод٣²"


def test_a_single_file_needs_fractions(tmp_path: Path) -> None:
    path = source(tmp_path / "a.jsonl", [GOOD, {**GOOD, "id": "b", "dialogue": "Bye."}])
    assert prepare(path, 0, 99, test=0.5, dev=0)[0] == {"train": ["a"], "dev": [], "test": ["b"]}
    section = Prepare(Source(str(path)), 0, 99, None, 0)
    with pytest.raises(
        InputError, match=r"is a single file without a test part: .* set prepare.test_fraction to a num"
    ):
        cleaning.prepare(section, layout.find(path, None), tmp_path / "other")


def test_a_test_dialogue_is_dropped_from_the_training_part_byte_for_byte(tmp_path: Path) -> None:
    """A dialogue that differs in a capital is counted, too, but it stays."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name, texts in {"train": ["One.", "Two.", "Three.", "Four."], "test": ["Two.", "three.", "Five."]}.items():
        rows = [{"id": f"{name}{n}", "dialogue": text, "summary": "s"} for n, text in enumerate(texts)]
        source(folder / f"{name}.jsonl", rows)
    parts, metrics = prepare(folder, 0, 9, None, 0.25)
    assert parts == {"train": ["train0", "train2"], "dev": ["train3"], "test": ["test0", "test1", "test2"]}
    assert (metrics["near_duplicates_across_split"], metrics["dropped"]["leak"]) == (2, 1)
    assert metrics["read"] == metrics["kept"] + metrics["merged"] + sum(metrics["dropped"].values()) == 7
    assert [metrics[name] for name in ("kept", "train", "dev", "test")] == [6, 2, 1, 3]


def test_leaks_stay_where_they_are_not_to_be_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("train", "test"):
        source(folder / f"{name}.jsonl", [{**GOOD, "id": name}])
    parts, metrics = prepare(folder, 0, 99, None, 0, drop_leaks=False)
    assert parts == {"train": ["train"], "dev": [], "test": ["test"]}
    assert (metrics["near_duplicates_across_split"], metrics["dropped"]["leak"]) == (1, 0)
