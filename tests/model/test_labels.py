"""Labels: what a classifier's outputs mean, for everything that the hub's configurations say of it."""

from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig

from detox.errors import InputError
from detox.model import labels

FOLDER = Path("folder")
META = {0: "nothate", 1: "hate"}


def toxic(label: str = "hate", **config: Any) -> tuple[int, bool]:
    """(number of the output, whether it is independent)."""
    return labels.toxic(BertConfig(**config), label, FOLDER)


@pytest.mark.parametrize(
    "label2id",
    [
        None,
        {},
        {"nothate": 0, "hate": 1},
        {"nothate": "0", "hate": "1"},
        {"LABEL_0": 0, "LABEL_1": 1},
        {f"LABEL_{number}": number for number in range(6)},
    ],
)
def test_id2label_decides_where_label2id_agrees_or_says_nothing(label2id: Any) -> None:
    """Meta's reward model states id2label alone; re-saved by transformers 4.38 it says `"label2id": null`."""
    assert toxic(id2label=META, label2id=label2id) == (1, False)
    assert toxic("nothate", id2label=META, label2id=label2id) == (0, False)


def test_an_absent_label2id_is_as_good_as_null() -> None:
    assert toxic(id2label=META) == (1, False)


@pytest.mark.parametrize(
    ("config", "label", "output"),
    [
        ({}, "LABEL_1", 1),
        ({"num_labels": 3}, "LABEL_2", 2),
        ({"id2label": {0: "LABEL_0", 1: "LABEL_1"}, "label2id": {"nothate": 0, "hate": 1}}, "LABEL_1", 1),
        ({"id2label": {0: 0, 1: 1}, "label2id": {"0": 0, "1": 1}}, "1", 1),
        ({"id2label": {"1": "hate", "0": "nothate"}}, "hate", 1),
        ({"id2label": {0: "hate", 1: "neither", 2: "offensive"}}, "hate", 0),
        ({"id2label": {0: "neither", 1: "neither", 2: "hate"}}, "hate", 2),
    ],
)
def test_every_output_can_be_named(config: dict[str, Any], label: str, output: int) -> None:
    assert toxic(label, **config) == (output, False)


def test_labels_of_sigmoids_are_independent_even_a_single_one() -> None:
    one = {"id2label": {0: "toxic"}, "problem_type": "multi_label_classification"}
    assert toxic("toxic", **one) == (0, True)
    assert toxic("toxic", id2label={0: "insult", 1: "toxic"}, problem_type=one["problem_type"]) == (1, True)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"id2label": META, "label2id": {"nothate": 1, "hate": 0}},
            "folder/config.json: id2label has 0 nothate, 1 hate, but label2id has 0 hate, 1 nothate: correct one",
        ),
        (
            {"id2label": META, "label2id": {"hate": 1}},
            "folder/config.json: id2label has 0 nothate, 1 hate, but label2id has 1 hate: correct one",
        ),
        (
            {"id2label": META, "label2id": {"neutral": 0, "offensive": 1}},
            "folder/config.json: id2label has 0 nothate, 1 hate, but label2id has 0 neutral, 1 offensive: correct one",
        ),
        (
            {"id2label": {0: "nothate", 2: "hate"}},
            "folder/config.json: id2label has the numbers 0, 2, not 0 to 1: correct it",
        ),
        (
            {"id2label": {0: "hate", 1: "hate"}, "label2id": {"hate": 1}},
            "folder has the label 'hate' twice, in hate, hate: give each its own name in id2label",
        ),
        ({}, "folder has no label 'hate', it has LABEL_0, LABEL_1: set toxic_label to one of these"),
        (
            {"id2label": {0: "toxic", 1: "insult"}},
            "folder has no label 'hate', it has toxic, insult: set toxic_label to one of these",
        ),
        (
            {"id2label": {0: "hate"}},
            "folder has the problem_type None and 1 label(s): choose a classifier with single_label_classification and "
            "two labels or more, or with multi_label_classification",
        ),
        (
            {"id2label": META, "problem_type": "regression"},
            "folder has the problem_type regression and 2 label(s): choose a classifier with "
            "single_label_classification and two labels or more, or with multi_label_classification",
        ),
    ],
)
def test_what_can_not_serve_is_refused_in_a_line_that_says_what_there_is(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        toxic(**config)
    assert str(error.value) == message
