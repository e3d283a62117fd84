"""Which columns of a row hold what: by usual names in any case, or by given ones; and the texts in them."""

from collections.abc import Mapping
from typing import Any

import pytest

from detox.corpus import columns
from detox.corpus.columns import Named
from detox.params.sections import Columns


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (("id", "dialogue", "summary", "topic"), Named("id", "dialogue", ("summary",), None)),
        (
            ("fname", "dialogue", "summary1", "summary10", "summary2"),
            Named("fname", "dialogue", ("summary1", "summary2", "summary10"), None),
        ),
        (("ID", "Dialogue", "SUMMARY", "Group"), Named("ID", "Dialogue", ("SUMMARY",), "Group")),
        (("Id", "fname", "DIALOGUE", "dialogue"), Named("Id", "dialogue", (), None)),
        (("dialogues", "summaries", "ids"), Named(None, None, (), None)),
    ],
)
def test_the_usual_names_are_found_in_any_case(present: tuple[str, ...], expected: Named) -> None:
    assert columns.named(present, Columns()) == expected


def test_given_names_replace_the_usual_ones() -> None:
    present = ("Call_No", "transcript", "dialogue", "abstract", "second", "summary", "topic")
    names = Columns(id="call_no", dialogue="Transcript", summary=("second", "abstract"), group="topic")
    assert columns.named(present, names) == Named("Call_No", "transcript", ("second", "abstract"), "topic")
    assert columns.named(present, Columns(**{"summary": "abstract"})).summaries == ("abstract",)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Ann: Hi\r\nBob: Bye\rAnn: ☕", "Ann: Hi\nBob: Bye\nAnn: ☕"),
        (["Ann: Hi", "Bob: Bye\r\nthen"], "Ann: Hi\nBob: Bye then"),
        ([{"speaker": "Ann", "text": "Hi"}, {"Speaker": 2, "Text": "Bye\nthen", "act": 1}], "Ann: Hi\n2: Bye then"),
        ({"speaker": ["Ann", "Bob"], "text": ["Hi", "Bye"]}, "Ann: Hi\nBob: Bye"),
        ([], ""),
        (None, ""),
    ],
)
def test_a_dialogue_is_a_text_or_a_list_of_turns(value: Any, expected: str) -> None:
    assert columns.dialogue(value, "dialogue", "here") == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(7, "7"), (7.0, "7"), (1.5, "1.5"), (10**20, "1" + "0" * 20), ("007", "007"), (None, "")]
)
def test_a_name_may_be_a_number(value: Any, expected: str) -> None:
    assert columns.label(value, "id", "here") == expected


def test_rows_are_alike_whatever_order_their_columns_have() -> None:
    row: Mapping[str, Any] = {"summary": "s", "id": 1, "dialogue": "Hi"}
    assert columns.named(tuple(row), Columns()) == columns.named(tuple(reversed(list(row))), Columns())
