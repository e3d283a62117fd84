"""What becomes of a quarrel, on four dialogues that can be counted by hand."""

import numpy as np

from detox.corpus.dialogues import Dialogue
from detox.evaluation import quarrels

ANN, BOB = ["calls Ann", "insults Ann"], ["calls Bob", "insults Bob"]
FACTS = {
    "d0": {"insulted": ANN, "cause": ["the tea"], "time": ["5"]},
    "d1": {"insulted": BOB, "cause": ["the cup"]},
    "d2": {"time": ["6"]},
    "d3": {},
}
DIALOGUES = [
    Dialogue("d0", "x", ("Bob insults Ann over the tea.",), "d0"),
    Dialogue("d1", "x", ("Ann insults Bob.",), "d1"),
    Dialogue("d2", "x", ("Ann calls Bob at 6.",), "d2"),
    Dialogue("d3", "x", ("Ann leaves.",), "d3"),
]
NAN = np.nan


def shares(*summaries: str) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in quarrels.measure(DIALOGUES, summaries, FACTS, ["clown"]).items()}


def test_who_was_insulted_over_what_and_what_is_made_up() -> None:
    found = shares("Bob calls Ann a clown over the tea.", "Bob insults Ann over the cups.", "Ann calls Bob.", "Hello.")
    assert found["repeated"] == [1, 0, 0, 0]
    np.testing.assert_equal(found["reported"], [1, 0, NAN, NAN])
    np.testing.assert_equal(found["mistaken"], [0, 1, NAN, NAN])
    np.testing.assert_equal(found["cause"], [1, 0, NAN, NAN])
    np.testing.assert_equal(found["invented"], [NAN, NAN, 0, 0])  # a reference, too, says that Ann calls Bob


def test_a_quarrel_that_nobody_had_is_invented() -> None:
    np.testing.assert_equal(shares("", "", "Bob calls Ann.", "Bob insults Ann.")["invented"], [NAN, NAN, 1, 1])


def test_without_facts_only_the_list_is_known() -> None:
    assert set(quarrels.measure(DIALOGUES, [""] * 4, None, ["clown"])) == {"repeated"}


def test_before_and_after_of_samples_and_of_most_probable_summaries() -> None:
    """Samples: of four of the two heated dialogues one names the insulted before, three after."""
    before = [["Bob insults Ann.", "A."], ["A.", "A."], ["A.", "A."], ["A.", "A."]]
    after = [["Bob insults Ann.", "Bob calls Ann a clown."], ["A.", "Ann insults Bob."], ["A.", "A."], ["A.", "A."]]
    policies = {
        name: [{"summary": "Ann calls Bob.", "samples": row} for row in rows]
        for name, rows in (("sft", before), ("ppo", after))
    }
    found = quarrels.compare(DIALOGUES, policies, FACTS, ["clown"], (99, 1))
    reported = found["samples"]["reported"]
    assert (reported["dialogues"], reported["sft"], reported["ppo"], reported["absolute"]) == (2, 0.25, 0.75, 0.5)
    assert (found["samples"]["repeated"]["sft"], found["samples"]["repeated"]["ppo"]) == (0.0, 0.125)
    greedy = found["greedy"]
    assert {name: part["ppo"] for name, part in greedy.items()} == {
        "repeated": 0.0,
        "reported": 0.5,
        "mistaken": 0.5,
        "cause": 0.0,
        "invented": 0.5,
    }
