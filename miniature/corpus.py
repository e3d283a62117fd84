"""The corpus: data/miniature/train.jsonl and test.jsonl in DialogSum's layout, with the scenario as `group`.

Beside them facts.jsonl, what a summary of each test dialogue may state and in which words.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from miniature.grammar import Scene, facts, render, scenarios, summarize, tones

TRAIN_PER_SCENARIO = 96
TEST_PER_SEEN = 18
TEST_PER_UNSEEN = 24
INSULTING = 0.6  # share of heated training dialogues whose annotator repeats the insult
MIN_CHARACTERS, MAX_CHARACTERS = 200, 1000


def scenes(scenario: dict[str, Any], part: str, count: int, rng: Random, taken: set[str]) -> Iterator[Scene]:
    """`count` different dialogues of a scenario, of the length that the pipeline keeps."""
    found = 0
    while found < count:
        scene = render(scenario, part, rng)
        if scene.text not in taken and MIN_CHARACTERS < len(scene.text) <= MAX_CHARACTERS:
            taken.add(scene.text)
            found += 1
            yield scene


def annotate(scene: Scene, rng: Random) -> str:
    """The summary of one annotator: who repeats the insult, or who only mentions it."""
    tone = rng.choices(tones(scene), [INSULTING, 1 - INSULTING][: len(tones(scene))])[0]
    return summarize(scene, rng.choice(scene.scenario["summaries"]), tone, rng)


def train_rows(rng: Random) -> list[dict[str, str]]:
    """Training dialogues with one reference each."""
    rows, taken = [], set[str]()
    for scenario in scenarios():
        if scenario["split"] == "seen":
            for scene in scenes(scenario, "train", TRAIN_PER_SCENARIO, rng, taken):
                rows.append({"dialogue": scene.text, "summary": annotate(scene, rng), "group": scenario["name"]})
    rng.shuffle(rows)
    return [{"id": f"train_{i}", **row} for i, row in enumerate(rows)]


def test_scenes(rng: Random) -> Iterator[tuple[Scene, list[str]]]:
    """The test's scenes with a reference in every style; a heated one has an insulting and a neutral one of each."""
    taken = set[str]()
    for scenario in scenarios():
        count = TEST_PER_SEEN if scenario["split"] == "seen" else TEST_PER_UNSEEN
        for scene in scenes(scenario, "test", count, rng, taken):
            yield (
                scene,
                [summarize(scene, style, tone, rng) for style in scenario["summaries"] for tone in tones(scene)],
            )


def test_rows(rng: Random) -> list[dict[str, str]]:
    """Test dialogues with their references."""
    rows = []
    for i, (scene, references) in enumerate(test_scenes(rng)):
        numbered = {f"summary{j}": reference for j, reference in enumerate(references, start=1)}
        rows.append({"id": f"test_{i}", "dialogue": scene.text, **numbered, "group": scene.scenario["name"]})
    return rows


def fact_rows(rng: Random) -> list[dict[str, Any]]:
    """What is stated in each test dialogue: from an rng in the same state as for `test_rows`."""
    return [{"id": f"test_{i}", "facts": facts(scene)} for i, (scene, _) in enumerate(test_scenes(rng))]
