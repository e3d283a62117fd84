"""What is printed is text: whatever stands in an answer, a terminal is told nothing, and JSON holds the same."""

import json
import unicodedata
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from detox.errors import InputError, InputErrors, complaint
from detox.serving import inputs, printing
from detox.serving.printing import Format

# A title for the window, a link, colours, the clipboard; the same with C1; other directions; a line of its own.
HOSTILE = [
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[31m",
    "\x1b]52;c;cm0=\x07",
    "\x9b2J",
    "\x9d0;title\x9c",
    "\u202egnp.exe",
    "\u2066\u2069\u200e\u200f",
    "\ufeff\u00ad\u2028\u2029",
    "\x7f\x08\x08",
    "\U000e0041",
    "\ud800",
]
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=20))


def row_of(text: str) -> dict[str, Any]:
    side = {"summary": text, "judge": 0.25, "reward": 0.5}
    return {"id": text, "text": text, "before": side, "after": side, "truncated": False}


def steering(text: str) -> list[str]:
    """Characters of a text that no terminal should get: controls, formats but for joiners, halves of pairs."""
    kinds = {each: unicodedata.category(each) for each in text if each not in "\n\u200c\u200d"}
    return [each for each, kind in kinds.items() if kind[0] == "C" or kind in ("Zl", "Zp")]


@hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None)
@hypothesis.given(TEXTS)
def test_no_format_lets_a_text_steer_the_terminal(text: str) -> None:
    row = row_of(text)
    for said in (printing.both(row), printing.after(row), printing.as_json(row), printing.as_json([row], indent=2)):
        assert steering(said) == []
    assert printing.both(row).count("\n") == 4 or len(text) > 60
    assert "\n" not in printing.after(row) + printing.as_json(row)
    assert json.loads(printing.as_json(row)) == row


def test_what_people_write_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = "«Não», 你好, می\u200cخواهم, e\u0301, 👩\u200d🔬 ❤\ufe0f"
    printing.printed([row_of(text)], Format.text, printing.after)
    assert capsys.readouterr().out == text + "\n"


def test_escapes_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    printing.printed([row_of("a\x1b[2J\u202eb\x9b")], Format.text, printing.after)
    printing.printed([{"id": "\x9b\u202e\x7f\U000e0041é"}], Format.jsonl, printing.after)
    said = capsys.readouterr().out.splitlines()
    assert said == [r"a\x1b[2J\u202eb\x9b", r'{"id": "\u009b\u202e\u007f\udb40\udc41é"}']


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_json_has_no_number_that_is_none(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        printing.as_json({"judge": number})


def test_an_id_of_a_table_is_one_of_json(tmp_path: Any) -> None:
    import datetime

    import pyarrow
    from pyarrow import parquet

    ids = {"nan": [float("nan"), 1.5], "time": [datetime.datetime(2026, 1, 2)] * 2, "bytes": [b"\x1b", b"b"]}
    for name, values in ids.items():
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(pyarrow.table({"id": values, "text": ["a", "b"]}), path)
        rows = [{"id": text.id} for text in inputs.read(str(path), "dialogue", inputs.paragraphs)]
        said = json.loads(printing.as_json(rows))
        assert len(said) == 2
    assert said == [{"id": r"b'\x1b'"}, {"id": "b'b'"}]


@pytest.mark.parametrize("text", HOSTILE)
def test_an_error_is_a_line_that_steers_no_terminal(text: str) -> None:
    for error in (InputError(text), InputErrors([InputError(text)]), OSError(f"a\n{text}\n\nb")):
        assert complaint(error).startswith("error: ")
        assert complaint(error).isprintable()


def test_an_error_that_quotes_much_is_shortened() -> None:
    said = complaint(InputError("begin" + "x" * 10**6 + "end"))
    assert len(said) < 2000
    assert said.startswith("error: beginx")
    assert said.endswith("xend")
