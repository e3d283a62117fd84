"""Soundness and faithfulness of a summary, on sentences that can be counted by hand."""

import pytest

from detox.evaluation import quality

DIALOGUE = "#Person1#: Marta, the train to Harlow leaves at 10:45.\n#Person2#: I need 3 tickets. Is the bus late?"
FACTS = {"name": ["Marta"], "time": ["10:45", "a quarter to eleven"], "insult": ["insults", "is a fool"]}


def test_repetition_is_the_share_of_word_triples_that_came_before() -> None:
    # a-b-a, b-a-b, a-b-a, b-a-b: two of four came before.
    assert quality.repetition("a b a b a b") == 0.5
    assert quality.repetition("a b c d") == 0.0
    assert quality.repetition("a b") == 0.0


def test_copied_words_and_novel_pairs() -> None:
    # leaves, at and 10:45 are the dialogue's; of the pairs it-leaves, leaves-at, at-10:45 the first is new.
    assert quality.copied("It leaves at 10:45!", DIALOGUE) == 0.75
    assert quality.novel2("It leaves at 10:45.", DIALOGUE) == pytest.approx(1 / 3)
    assert quality.copied("", DIALOGUE) == quality.novel2("", DIALOGUE) == 0.0


@pytest.mark.parametrize(
    ("summary", "expected"),
    [("He left.", 0), ('"He left!"', 0), ("He left", 1), ("He left and", 1), ("", 1), ("Did he? ", 0)],
)
def test_a_summary_is_finished_if_it_ends_as_a_sentence_does(summary: str, expected: float) -> None:
    assert quality.unfinished(summary) == expected


def test_entities_are_numbers_and_capitalised_words_within_sentences_but_no_speakers() -> None:
    text = "Anna sends #Person1# to Harlow on June 17. There Bob pays 1,500 at 10:45. #Person2# waits."
    assert quality.entities(text) == {"Harlow", "June", "17", "Bob", "1,500", "10:45"}


def test_grounded_counts_what_the_dialogue_has() -> None:
    assert quality.grounded("The train to Harlow leaves at 9:45 with Marta and 3 others.", DIALOGUE) == 0.75
    assert quality.grounded("The train is late.", DIALOGUE) == 1.0
    assert quality.grounded("It costs 30.", DIALOGUE) == 0.0


def test_entity_recall_takes_the_best_reference() -> None:
    references = ["They go to Harlow with Marta.", "She needs 3 tickets to Harlow at 10:45."]
    assert quality.entity_recall("Someone asks for 3 to Harlow.", references) == pytest.approx(2 / 3)


def test_slot_recall_counts_the_facts_of_the_best_reference_in_whichever_words() -> None:
    references = ["Marta leaves at 10:45 and insults #Person2#.", "#Person2# is a fool, Marta says."]
    assert quality.slot_recall("At a quarter to eleven Marta insults him.", references, FACTS) == 1.0
    assert quality.slot_recall("He is a fool.", references, FACTS) == 0.5
    assert quality.slot_recall("It is 10:45.", references, FACTS) == pytest.approx(1 / 3)
    assert quality.slot_recall("It is 110:45.", references, FACTS) == 0.0


def test_a_reference_without_facts_cannot_be_missed() -> None:
    assert quality.slot_recall("Anything.", ["They talk."], FACTS) == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She helps a Muslim neighbour.", True),
        ("Some black  people live there.", True),
        ("a black coat and a blind alley", False),
        ("womanizer", False),
    ],
)
def test_groups_of_people_are_recognised_by_words_that_mean_nothing_else(text: str, expected: bool) -> None:
    assert quality.mentions_identity(text) is expected


def test_the_lead_is_the_first_three_turns_without_their_speakers() -> None:
    assert quality.lead("#Person1#: One.\n#Person2#: Two: two.\n#Person1#: Three.\n#Person2#: Four.") == (
        "One. Two: two. Three."
    )
