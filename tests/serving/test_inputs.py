"""Texts are read from plain text, JSONL and CSV, by name or by their first line, in order and without waiting."""

import os
import threading
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path

import pandas
import pytest

from detox import parsing
from detox.errors import InputError
from detox.serving import inputs

Stdin = Callable[[bytes], None]
TABLE = "{}, line 1: looks like the header of a table without a column 'dialogue' or 'text'"


def dialogues(source: object) -> list[tuple[object, str, str]]:
    return [tuple(text) for text in inputs.read(str(source), "dialogue", inputs.paragraphs)]


def summaries(source: object) -> list[tuple[object, str]]:
    return [(text.id, text.text) for text in inputs.read(str(source), "summary", inputs.single)]


@pytest.fixture
def stdin() -> Iterator[Stdin]:
    """Makes these bytes the standard input of the process."""
    before = os.dup(0)

    def give(content: bytes) -> None:
        read, write = os.pipe()
        os.write(write, content)
        os.close(write)
        os.dup2(read, 0)
        os.close(read)

    yield give
    os.dup2(before, 0)
    os.close(before)


def test_a_blank_line_ends_a_dialogue_of_plain_text_and_its_number_is_its_id(tmp_path: Path) -> None:
    path = tmp_path / "chats.txt"
    path.write_bytes(b"\xef\xbb\xbf\n \nAnn: tea?\r\n  Bob: no.\r\n\r\n\t\nAnn: cake?")
    assert dialogues(path) == [
        ("1", "Ann: tea?\nBob: no.", f"{path}, line 3"),
        ("2", "Ann: cake?", f"{path}, line 7"),
    ]


def test_a_line_of_plain_text_is_a_summary(tmp_path: Path) -> None:
    path = tmp_path / "summaries.txt"
    path.write_text("Ann is late.\n\n Bob is not.\n")
    assert summaries(path) == [("1", "Ann is late."), ("2", "Bob is not.")]


def test_jsonl_and_csv_have_the_text_in_its_column_or_in_text_and_keep_their_id(tmp_path: Path) -> None:
    rows, table = tmp_path / "rows.jsonl", tmp_path / "table.csv"
    rows.write_text(
        '{"id": 7, "text": "x", "dialogue": "tea"}\n\n{"fname": "f", "text": "cake"}\n{"dialogue": "ale"}\n'
    )
    table.write_text('id,dialogue,summary\na,"tea\n\nmore",x\n,cake,y\n')
    assert dialogues(rows) == [
        (7, "tea", f"{rows}, line 1"),
        ("f", "cake", f"{rows}, line 3"),
        ("3", "ale", f"{rows}, line 4"),
    ]
    assert dialogues(table) == [("a", "tea\n\nmore", f"{table}, line 2"), ("", "cake", f"{table}, line 5")]
    assert summaries(table) == [("a", "x"), ("", "y")]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b'\n{"dialogue": "tea"}\n{"dialogue": "cake"}\n', ["tea", "cake"]),
        (b'"id","dialogue"\n1,tea\n2,cake\n', ["tea", "cake"]),
        (b"dialogue\ntea\ncake\n", ["tea", "cake"]),
        (b"id;Dialogue\r\n1;tea\r\n2;cake\r\n;\r\n", ["tea", "cake"]),
        (b"id\tDIALOGUE\tsummary\n1\ttea\tx\n", ["tea"]),
        (b"Ann: the dialogue, tea\n\ncake", ["Ann: the dialogue, tea", "cake"]),
        (b"No, thanks\n\nWell; tea, then", ["No, thanks", "Well; tea, then"]),
        (b"10:02\tAnn\ttea", ["10:02\tAnn\ttea"]),
        (b"Ann: Tea,Bob", ["Ann: Tea,Bob"]),
        (b"[10:02] Ann: tea", ["[10:02] Ann: tea"]),
        ("Änn: ☕".encode(), ["Änn: ☕"]),
    ],
)
def test_what_has_no_name_shows_in_its_first_line_what_it_is(content: bytes, texts: list[str], stdin: Stdin) -> None:
    stdin(content)
    assert [text for _, text, _ in dialogues("-")] == texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"dialogue": "tea"}\n{"dialogue": \n', "{}, line 2: not JSON"),
        (
            "a.jsonl",
            b'{"dialogue": "tea"}\n{"dialog": "cake"}\n',
            "{}, line 2: no column 'dialogue' (there are dialog)",
        ),
        ("a.jsonl", b'{"dialogue": [7]}\n', "{}, line 1: 'dialogue' is 7, not text"),
        ("a.jsonl", b'{"dialogue": null}\n', "{}, line 1: the dialogue is blank"),
        ("a.jsonl", b'{"dialogue": " \\n"}\n', "{}, line 1: the dialogue is blank"),
        ("a.jsonl", b'{"dialogue": "\\ud800"}\n', "{}, line 1: 'dialogue' holds half of a surrogate pair"),
        ("a.csv", b"id,dialog\n1,tea\n", "{}, line 1: no column 'dialogue' (there are id, dialog)"),
        ("a.csv", b"id;dialog\n1;tea\n", "{}, line 1: no column 'dialogue' (there are id, dialog)"),
        ("a.tsv", b"id\tdialog\n1\ttea\n", "{}, line 1: no column 'dialogue' (there are id, dialog)"),
        ("a.txt", b"\nid\tdialog\n1\ttea\n", TABLE.replace("1", "2", 1) + " (id, dialog)"),
        ("a", b"call no;full transcript\n1;tea\n", TABLE + " (call no, full transcript)"),
        ("a.txt", b'"id","dialog"\n1,tea\n', TABLE + ' ("id", "dialog")'),
        ("a.csv", b"id,dialogue\n1,tea,cake\n", "{}, line 2: the header has 2 fields"),
        ("a.txt", b"tea\n\xff\n", "{}, line 2: not UTF-8"),
        ("a.txt", b"\n \n", "{} has no dialogue"),
        ("a.csv", b"id,dialogue\n", "{} has no dialogue"),
        ("a", b'[{"dialogue": "tea"}]', "{} is a JSON array"),
        ("a.txt", b'[\n  {"dialogue": "tea"}\n]', "{} is a JSON array"),
        ("a.json", b'[{"dialogue": "tea"},\n7]', "{}, line 2, row 2: not a JSON object"),
        ("a.parquet", b"tea", "{} cannot be read (Parquet file size is 3 bytes"),
        ("absent.txt", None, "{} does not exist"),
        ("", None, "{} cannot be read (Is a directory)"),
    ],
)
def test_wrong_input_is_an_error_that_names_the_file_and_the_line(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as error:
        dialogues(path)
    assert str(error.value).startswith(message.format(path))
    assert "\n" not in str(error.value)


def test_what_a_name_says_is_a_table_is_read_as_one(tmp_path: Path) -> None:
    """Arrays, Parquet, compressed, other capitals, turns: as prepare reads them."""
    frame = pandas.DataFrame({"ID": [7, 8], "Dialogue": ["tea", "cake"]})
    frame.to_json(tmp_path / "a.json", orient="records")
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.tsv.gz", sep="\t", index=False)
    for name in ("a.json", "a.parquet", "a.tsv.gz"):
        assert [(str(number), text) for number, text, _ in dialogues(tmp_path / name)] == [("7", "tea"), ("8", "cake")]
    turns = tmp_path / "turns.jsonl"
    turns.write_text('{"dialogue": [{"speaker": "Ann", "text": "tea?"}, {"speaker": "Bob", "text": "no"}]}')
    assert [text for _, text, _ in dialogues(turns)] == ["Ann: tea?\nBob: no"]


def test_an_error_of_standard_input_says_so(stdin: Stdin) -> None:
    stdin(b'{"dialogue": "tea"}\n{}\n')
    with pytest.raises(InputError, match=r"^standard input, line 2: no column 'dialogue'"):
        dialogues("-")


def test_no_row_waits_for_one_that_has_not_come() -> None:
    answered = threading.Event()

    def rows() -> Iterator[int]:
        yield 1
        assert answered.wait(60), "the first row was kept back until there was a second one"
        yield 2

    batches = inputs.arrived(rows(), 8)
    assert next(batches) == [1]
    answered.set()
    assert next(batches) == [2]
    assert list(batches) == []


@pytest.mark.parametrize("count", [0, 1, 3, 4, 100])
def test_every_row_comes_once_and_in_order_in_batches_that_are_not_too_large(count: int) -> None:
    batches = list(inputs.arrived(iter(range(count)), 3))
    assert [row for batch in batches for row in batch] == list(range(count))
    assert all(1 <= len(batch) <= 3 for batch in batches)


def test_what_has_come_meanwhile_is_one_batch() -> None:
    last = threading.Event()

    def rows() -> Iterator[int]:
        yield from range(4)
        last.set()  # asked for the fifth: the others wait in the queue

    batches = inputs.arrived(rows(), 3)
    first = next(batches)
    assert last.wait(60)
    assert [len(batch) for batch in batches] == [4 - len(first)]


def test_an_error_comes_behind_the_rows_before_it() -> None:
    def rows() -> Iterator[int]:
        yield from (1, 2)
        raise InputError("line 3")

    batches = inputs.arrived(rows(), 1)
    assert [next(batches), next(batches)] == [[1], [2]]
    with pytest.raises(InputError, match="line 3"):
        next(batches)


def test_nothing_but_the_first_row_is_read_before_the_others_are_asked_for() -> None:
    read = []
    rows = inputs.with_first(read.append(number) or number for number in range(3))  # type: ignore[func-returns-value]
    assert read == [0]
    assert list(rows) == [0, 1, 2]


def endless(line: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number in count(1))


def test_a_dialogue_that_does_not_end_is_one_line() -> None:
    """`yes | detox summarize -`: with its end 2²⁰ characters are let in."""
    with pytest.raises(InputError, match=r"^the dialogue from line 1 on has more than 1048576 characters: end each"):
        next(inputs.paragraphs(endless("y\n")))
    assert next(inputs.paragraphs(chain([(7, "a" * 2**20)], [(8, "\n")], endless("y")))) == (7, "a" * 2**20)


def test_a_line_that_does_not_end_is_one_line(tmp_path: Path) -> None:
    """`cat /dev/zero | detox score -`."""
    wanted = r"^x, line 1: longer than 64 MiB: correct or remove the line$"
    with Path("/dev/zero").open("rb") as file, pytest.raises(InputError, match=wanted):
        next(parsing.decoded(file, Path("x")))
