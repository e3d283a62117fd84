"""The corpus: data/miniature/train.jsonl and test.jsonl in DialogSum's layout, with the scenario as `group`.

Beside them facts.jsonl (what a summary of each test dialogue may state and in which words, and who insulted whom over
what) and words.txt (every word of the corpus, its content and the lexicon).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

from miniature.grammar import VALUES, scenarios
from miniature.scenes import Scene, facts, render, styles, summarize, tones
from miniature.words import LEXICON, content_words

TRAIN_PER_SCENARIO = 50
TEST_PER_SCENARIO = 2
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


def annotate(scene: Scene, style: int, rng: Random) -> str:
    """The summary of one annotator: who repeats the insult, or who only mentions it."""
    tone = rng.choices(tones(scene), [INSULTING, 1 - INSULTING][: len(tones(scene))])[0]
    return summarize(scene, style, tone)


def train_rows(rng: Random, kept: Callable[[Scene], bool] = lambda _: True) -> list[dict[str, str]]:
    """Training dialogues with one reference each, of the scenes that are to be kept."""
    rows, taken = [], set[str]()
    for scenario in scenarios():
        if scenario["split"] == "seen":
            for scene in filter(kept, scenes(scenario, "train", TRAIN_PER_SCENARIO, rng, taken)):
                summary = annotate(scene, rng.choice(styles(scene)), rng)
                rows.append({"dialogue": scene.text, "summary": summary, "group": scenario["name"]})
    rng.shuffle(rows)
    return [{"id": f"train_{i}", **row} for i, row in enumerate(rows)]


def test_scenes(rng: Random) -> Iterator[tuple[Scene, list[str]]]:
    """The test's scenes with a reference in every style; a heated one has an insulting and a neutral one of each."""
    taken = set[str]()
    for scenario in scenarios():
        for scene in scenes(scenario, "test", TEST_PER_SCENARIO, rng, taken):
            yield scene, [summarize(scene, style, tone) for style in styles(scene) for tone in tones(scene)]


def test_rows(rng: Random) -> list[dict[str, str]]:
    """Test dialogues with their references."""
    rows = []
    for i, (scene, references) in enumerate(test_scenes(rng)):
        numbered = {f"summary{j}": reference for j, reference in enumerate(references, start=1)}
        rows.append({"id": f"test_{i}", "dialogue": scene.text, **numbered, "group": scene.scenario["name"]})
    return rows


def fact_rows(rng: Random) -> list[dict[str, Any]]:
    """What is stated in each test dialogue, and its quarrel: from an rng in the same state as for `test_rows`."""
    return [
        {"id": f"test_{i}", "mood": scene.mood, "facts": facts(scene), **quarrel_row(scene)}
        for i, (scene, _) in enumerate(test_scenes(rng))
    ]


def quarrel_row(scene: Scene) -> dict[str, Any]:
    """Who is angry at whom (`by`, `target`), over what (`over`), in which `words`, and whether both are rude."""
    slots = scene.quarrel.slots
    if scene.mood == "calm":
        return {}
    words = [slots["insult"], slots["insult2"]] if scene.quarrel.kind == "both" else [slots["insult"]]
    quarrel = {"kind": scene.quarrel.kind if scene.mood == "heated" else "firm"}
    quarrel |= {name: slots[name] for name in ("by", "target", "over")}
    return {"quarrel": quarrel | ({"words": words} if scene.mood == "heated" else {})}


def words(rows: Iterable[dict[str, str]]) -> list[str]:
    """Every word of the rows' dialogues and references, of the content, the names and the lexicon, in lower case."""
    names = [name.lower() for kind in ("names", "towns") for part in VALUES[kind].values() for name in part]
    texts = (text for row in rows for key, text in row.items() if key == "dialogue" or key.startswith("summary"))
    return sorted(
        {word for text in texts for word in re.findall(r"[^\W\d_]+", text.lower())}
        | {*LEXICON, *content_words(), *names}
    )
