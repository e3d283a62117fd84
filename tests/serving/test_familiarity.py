"""How far a dialogue is from the training dialogues."""

import pytest

from detox.serving.familiarity import Familiarity

TRAIN = ["Ann is late. Ann is sorry.", "Bob is late"]
NEAR = ["Bob is late", "Bob is sorry", "Ann was late"]


def test_new_word_pairs_are_counted() -> None:
    known = Familiarity(TRAIN, NEAR)
    # ann-is, is-late, late-ann, is-sorry, bob-is are known.
    assert known.new("BOB is: late, Ann was") == pytest.approx(1 / 4)
    assert known.new("my knee hurts") == 1.0
    assert known.new("word") == 0.0


def test_what_is_farther_than_the_test_dialogues_is_said() -> None:
    # Of the three 0, 0 and 1 are new: the 99th percentile by rank is the second.
    known = Familiarity(TRAIN, NEAR)
    assert known.limit == 0.0
    assert known.warning("Bob is sorry") is None
    assert known.warning("Bob is a fool") == (
        "67 % of its word pairs are in no training dialogue (of the test dialogues' hardly more than 0 %): its "
        "summaries may be nonsense, and their toxicity says little"
    )
