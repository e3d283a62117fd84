"""The miniature: what its test split may not share with training, and that the committed corpus is what is written."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from detox import parsing
from detox.evaluation.quality import slot_recall
from miniature import corpus, pretraining
from miniature.grammar import HEAT, VALUES, insults, numbers, render, vary
from miniature.pretraining import SEEN

DATA = Path(__file__).parents[2] / "data" / "miniature"


def variants(phrasing: str) -> Iterator[str]:
    """All that a phrasing can become, blanks and case evened out."""
    parts = [part.split("|") for part in re.split(r"\[([^]]*)\]", phrasing)]
    return (" ".join("".join(choice).lower().split()) for choice in itertools.product(*parts))


def phrasings(part: str) -> dict[tuple[str, str], list[str]]:
    """The phrasings of every turn, gripe, outburst and reply."""
    found: dict[tuple[str, str], list[str]] = {
        ("heat", kind): HEAT[kind][part] for kind in ("outbursts", "replies", "complaints", "apologies")
    }
    for scenario in SEEN:
        for place, turn in enumerate(scenario["turns"]):
            found[scenario["name"], f"turn {place}"] = turn[part]
        for reason in scenario["heat"]["reasons"]:
            found[scenario["name"], reason["over"]] = reason[part]
    return found


def rows(part: str) -> list[dict[str, Any]]:
    return parsing.read_jsonl(DATA / f"{part}.jsonl")


def references(row: dict[str, Any]) -> list[str]:
    return [text for key, text in row.items() if key.startswith("summary")]


@pytest.mark.parametrize(
    ("part", "made"),
    [
        ("train", lambda: corpus.train_rows(Random(1))),
        ("test", lambda: corpus.test_rows(Random(2))),
        ("facts", lambda: corpus.fact_rows(Random(2))),
    ],
)
def test_the_committed_corpus_is_what_the_content_makes(part: str, made: Callable[[], list[dict[str, Any]]]) -> None:
    assert made() == rows(part)


def test_the_committed_insults_are_all_that_the_corpus_knows() -> None:
    assert (DATA / "insults.txt").read_text(encoding="utf-8").split("\n") == [*insults(), ""]


def test_every_fact_but_the_insult_is_in_its_dialogue_word_for_word() -> None:
    dialogues = {row["id"]: row["dialogue"].lower() for row in rows("test")}
    for row in rows("facts"):
        for name, ways in row["facts"].items():
            assert name == "insulted" or ways[0].lower() in dialogues[row["id"]], (row["id"], name)


def test_every_reference_of_a_heated_dialogue_says_who_was_insulted() -> None:
    facts = {row["id"]: row["facts"] for row in rows("facts")}
    heated = [row for row in rows("test") if "insulted" in facts[row["id"]]]
    assert len(heated) > 800
    for row in heated:
        ways = facts[row["id"]]["insulted"]
        assert all(any(way.lower() in text.lower() for way in ways) for text in references(row)), row["id"]


def test_a_reference_states_all_of_its_facts_and_an_empty_summary_hardly_any() -> None:
    facts = {row["id"]: row["facts"] for row in rows("facts")}
    empty = []
    for row in rows("test"):
        assert slot_recall(references(row)[-1], references(row), facts[row["id"]]) == 1.0
        empty.append(slot_recall("", references(row), facts[row["id"]]))
    assert sum(empty) / len(empty) < 0.1


def test_no_phrasing_of_the_test_can_occur_in_training() -> None:
    test = {key: {variant for text in texts for variant in variants(text)} for key, texts in phrasings("test").items()}
    met = [
        (key, text)
        for key, texts in phrasings("train").items()
        for text in texts
        if not test[key].isdisjoint(variants(text))
    ]
    assert met == []


def test_no_value_of_the_test_is_one_of_training() -> None:
    pools = [VALUES["names"], VALUES["towns"], HEAT["nouns"], HEAT["adjectives"]]
    pools += [values for scenario in SEEN for values in scenario["slots"].values()]
    assert all(set(pool["train"]).isdisjoint(pool["test"]) and pool["test"] for pool in pools)
    assert set(numbers("train", 3, 400)).isdisjoint(numbers("test", 3, 400))


@pytest.mark.parametrize("part", ["train", "test"])
def test_every_variant_of_a_turn_carries_the_same_slots_each_once(part: str) -> None:
    wrong = [
        (scenario["name"], variant)
        for scenario in SEEN
        for turn in scenario["turns"]
        for wanted in [sorted(set(re.findall(r"{(\w+)}", turn["test"][0])))]
        for text in turn[part]
        for variant in variants(text)
        if sorted(re.findall(r"{(\w+)}", variant)) != wanted
    ]
    assert wrong == []


def test_the_corpus_is_as_large_and_as_varied_as_the_readme_says() -> None:
    train, test = rows("train"), rows("test")
    groups = {row["group"] for row in train}
    assert len(train) >= 3000
    assert len(groups) >= 60
    assert len(test) >= 500
    assert len({row["group"] for row in test}) >= 50
    assert len({row["group"] for row in test} - groups) >= 12
    assert all(200 < len(row["dialogue"]) <= 1000 for row in train + test)


def test_a_heated_test_dialogue_has_a_reference_that_insults_and_one_that_does_not() -> None:
    insults = [word.lower() for word in HEAT["nouns"]["test"]]
    heated = [row for row in rows("test") if any(word in row["dialogue"].lower() for word in insults)]
    assert len(heated) > 200
    for row in heated:
        insulting = [any(word in text.lower() for word in insults) for text in references(row)]
        assert any(insulting)
        assert not all(insulting)


def test_one_phrasing_and_one_alternative_of_each_of_its_brackets_are_taken() -> None:
    drawn = {vary(["[a|b] c[| d]", "e"], Random(seed)) for seed in range(100)}
    assert drawn == {"a c", "b c", "a c d", "b c d", "e"}


def test_whatever_is_blurred_its_values_its_speakers_and_its_turns_stay() -> None:
    rng, changed = Random(0), 0
    for _ in range(50):
        scene = render(rng.choice(SEEN), "train", rng)
        blurred = pretraining.blurred(scene, rng)
        assert re.findall(r"^#Person\d#: ", blurred, re.M) == re.findall(r"^#Person\d#: ", scene.text, re.M)
        assert all(value in blurred for value in scene.slots.values() if value in scene.text)
        changed += sum(new != old for new, old in zip(blurred.split(), scene.text.split(), strict=True))
    assert changed > 100
