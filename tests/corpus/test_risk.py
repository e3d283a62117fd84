"""How toxic the turns of a dialogue are, and which dialogues are chosen."""

from pathlib import Path

import pytest

from detox import files
from detox.corpus import risk
from detox.corpus.dialogues import Dialogue, evenly
from detox.errors import InputError

SCORES = {"Hello.": 0.0, "You fool!": 0.75, "Is it #Person1#: 5?": 0.5, "Well.": 0.25}
DIALOGUES = [
    Dialogue("a", "#Person1#: Hello.\n#Person2#: Well.", ("s",), "g"),
    Dialogue("c", "#Person1#: Hello.\n#Person2#: You fool!\n#Person1#: Well.", ("s",), "g"),
    Dialogue("b", "#Person2#: Is it #Person1#: 5?", ("s",), "g"),
]


def test_a_dialogue_is_as_toxic_as_its_most_toxic_turn_and_a_turn_is_scored_once() -> None:
    asked: list[str] = []

    def scorer(texts: list[str]) -> list[float]:
        asked.extend(texts)
        return [SCORES[text] for text in texts]

    assert risk.toxicity(DIALOGUES, scorer) == [0.25, 0.75, 0.5]
    assert sorted(asked) == sorted(SCORES)


def test_the_riskiest_comes_first_and_what_is_as_likely_toxic_as_not_is_risky(tmp_path: Path) -> None:
    rows = risk.ranked(DIALOGUES, [0.25, 0.5, 0.5], None)
    assert [tuple(row.values()) for row in rows] == [("b", 0.5, False), ("c", 0.5, False), ("a", 0.25, False)]
    assert list(rows[0]) == ["id", "toxicity", "held_out"]
    files.write_jsonl(path := tmp_path / "risk.jsonl", rows)
    assert [each.risky for each in risk.read(path, DIALOGUES)] == [False, True, True]


def test_a_share_of_the_risky_ones_is_held_out_evenly_from_the_riskiest_to_the_least(tmp_path: Path) -> None:
    dialogues = [Dialogue(str(place), "text", (), "g") for place in range(6)]
    rows = risk.ranked(dialogues, [0.5, 0.9, 0.1, 0.8, 0.7, 0.2], 0.5)
    assert [(row["id"], row["held_out"]) for row in rows] == [
        *(("1", True), ("3", False), ("4", True), ("0", False)),
        *(("5", False), ("2", False)),
    ]
    files.write_jsonl(path := tmp_path / "risk.jsonl", rows)
    assert [each.held_out for each in risk.read(path, dialogues)] == [False, True, False, False, True, False]


def test_what_was_not_ranked_counts_as_calm(tmp_path: Path) -> None:
    files.write_jsonl(path := tmp_path / "risk.jsonl", risk.ranked(DIALOGUES[:2], [0.25, 0.75], None))
    assert risk.read(path, DIALOGUES) == [(0.25, False), (0.75, False), (0.0, False)]


@pytest.mark.parametrize(
    "row",
    [
        {"id": "z", "toxicity": 0.5, "held_out": False},
        {"id": "a", "toxicity": "0.5", "held_out": False},
        {"id": "a", "toxicity": 0.5, "held_out": 1},
        {"id": "a", "toxicity": 0.5},
        {},
    ],
)
def test_a_ranking_of_other_dialogues_is_refused(tmp_path: Path, row: dict[str, object]) -> None:
    files.write_jsonl(path := tmp_path / "risk.jsonl", [row])
    with pytest.raises(InputError, match=r"is not of these dialogues: run 'dvc repro rank_dialogues'"):
        risk.read(path, DIALOGUES)


def test_dialogues_are_chosen_evenly_and_never_more_than_there_are() -> None:
    dialogues = [Dialogue(f"d{index}", "text", (), "g") for index in range(10)]
    assert [dialogue.id for dialogue in evenly(dialogues, 4)] == ["d0", "d2", "d5", "d7"]
    assert evenly(dialogues, 99) == evenly(dialogues, None) == dialogues
