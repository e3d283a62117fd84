"""Files appear whole or not at all, always with the same bytes, and reading errors name the line."""

import os
from pathlib import Path

import pandas
import pytest

from detox import files, parsing
from detox.errors import InputError


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def write_half(path: Path, interruption: type[BaseException]) -> None:
    with files.atomic(path) as temporary:
        temporary.mkdir()
        (temporary / "half").touch()
        raise interruption


def test_an_atomic_file_appears_at_the_end_of_the_block_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with files.atomic(path) as temporary:
        temporary.write_text("x")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "x"
    assert names(path.parent) == ["a.txt"]


def test_an_atomic_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_an_atomic_folder_replaces_the_old_one_and_leaves_none_of_its_files(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("first", "second"):
        with files.atomic(path) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert names(path) == ["second"]
    assert names(tmp_path) == ["folder"]


def test_an_atomic_folder_replaces_a_file_and_a_file_replaces_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    path.write_text("a file")
    with files.atomic(path) as temporary:
        temporary.mkdir()
    assert path.is_dir()
    with files.atomic(path) as temporary:
        temporary.write_text("a file again")
    assert path.read_text() == "a file again"
    assert names(tmp_path) == ["thing"]


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("cached")
    path = tmp_path / "out"
    path.symlink_to(tmp_path / "cache")
    with files.atomic(path) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "cache").read_text() == "cached"
    assert (path.read_text(), path.is_symlink()) == ("new", False)


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path, interruption: type[BaseException]) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(interruption):
        write_half(path, interruption)
    assert names(tmp_path) == ["folder"]
    assert names(path) == ["old"]


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(FileNotFoundError), files.atomic(path):
        pass
    assert names(tmp_path) == ["folder"]


def test_what_a_killed_run_left_behind_does_not_enter_the_next(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with files.atomic(path) as temporary:
        left_behind = temporary
        temporary.mkdir()
    left_behind.mkdir()
    (left_behind / "stale").touch()
    with files.atomic(path) as temporary:
        temporary.mkdir()
        (temporary / "fresh").touch()
    assert names(path) == ["fresh"]
    assert names(tmp_path) == ["folder"]


def test_jsonl_has_one_object_a_line_in_utf8_with_keys_as_given(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    files.write_jsonl(path, [{"b": "é\n\u2028", "a": [1, 0.5, None]}, {}])
    assert path.read_bytes() == '{"b": "é\\n\u2028", "a": [1, 0.5, null]}\n{}\n'.encode()
    assert parsing.read_jsonl(path) == [{"b": "é\n\u2028", "a": [1, 0.5, None]}, {}]


def test_no_rows_make_an_empty_jsonl_file(tmp_path: Path) -> None:
    files.write_jsonl(tmp_path / "rows.jsonl", [])
    assert (tmp_path / "rows.jsonl").read_bytes() == b""
    assert parsing.read_jsonl(tmp_path / "rows.jsonl") == []


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}')
    assert parsing.read_jsonl(path) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', "line 2: not JSON (Expecting value): correct or remove the line"),
        (b'{"a": 1}\n\n[1]\n', "line 3: not a JSON object such as {…}: correct or remove the line"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "line 2: not UTF-8: save the file as UTF-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        parsing.read_jsonl(path)
    assert str(error.value) == f"{path}, {message}"


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no.jsonl does not exist: check the path, or run the stage that writes it"):
        parsing.read_jsonl(tmp_path / "no.jsonl")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        parsing.read_jsonl(tmp_path)


def test_metrics_are_sorted_and_rounded_except_the_exact_ones(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    tree = {"b": 1, "a": {"kl_first": 1.23456789e-9, "y": 0.12345678, "x": -1e-9}, "c": 2.0}
    files.write_metrics(path, tree, exact=["kl_first"])
    assert path.read_text() == (
        '{\n  "a": {\n    "kl_first": 1.23456789e-09,\n    "x": 0.0,\n    "y": 0.123457\n  },\n'
        '  "b": 1,\n  "c": 2.0\n}\n'
    )
    assert parsing.read_metrics(path) == {
        "a": {"kl_first": 1.23456789e-9, "x": 0.0, "y": 0.123457},
        "b": 1,
        "c": 2.0,
    }


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_that_is_not_finite_is_an_error_and_writes_nothing(tmp_path: Path, number: float) -> None:
    path = tmp_path / "m.json"
    with pytest.raises(InputError, match=r"m.json: all: reward is .*: the run diverged or its data is degenerate"):
        files.write_metrics(path, {"all": {"reward": number}}, exact=["reward"])
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"), [("{\n,", ", line 2: not JSON"), ("", ", line 1: not JSON"), ("[]", ": not a JSON object")]
)
def test_broken_metrics_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        parsing.read_metrics(path)
    assert str(error.value).startswith(f"{path}{message}")


def test_csv_has_six_significant_digits_and_no_index(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"step": [1, 2], "kl": [0.123456789, 1e-12]})
    files.write_csv(tmp_path / "t.csv", frame)
    assert (tmp_path / "t.csv").read_bytes() == b"step,kl\n1,0.123457\n2,1e-12\n"
