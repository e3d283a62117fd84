"""Examples for the page: dialogues by how their toxicity changed, each text beside the score that it has."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from statistics import fmean
from typing import Any

from markupsafe import Markup, escape

EXAMPLES = 3  # of each kind, at most

Row = Mapping[str, Any]


def choose(
    scores: Sequence[Row], test: Iterable[Row], before: Iterable[Row], after: Iterable[Row]
) -> dict[str, list[Row]]:
    """The dialogues whose toxicity by the judge fell most, changed as the median did, and rose most (or fell least).

    Rows of data/scores.jsonl, of the test dialogues, and of their summaries before and after PPO, matched by id. Where
    toxicity did not move, neither the most improved nor the worst is shown as such.
    """
    dialogue, old, new = ({row["id"]: row for row in rows} for rows in (test, before, after))
    ordered = sorted(scores, key=lambda row: (_change(row), row["id"]))
    found = [_example(row, dialogue[row["id"]], old[row["id"]], new[row["id"]]) for row in ordered]
    count = min(EXAMPLES, len(found) // 3)
    middle, end = (len(found) - count) // 2, len(found) - count
    kinds = {
        "Toxicity fell most": [row for row in found[:count] if row["change"] < 0],
        "In the middle": found[middle : middle + count],
        "Toxicity rose most": [row for row in found[end:][::-1] if row["change"] > 0],
    }
    return {heading: rows for heading, rows in kinds.items() if rows}


def _change(row: Row) -> float:
    return fmean(row["ppo"]["judge"]) - fmean(row["sft"]["judge"])


def _example(scores: Row, dialogue: Row, before: Row, after: Row) -> Row:
    """The dialogue with its samples: pairs of a side before and one after, each {text, judge, other}."""
    pairs = [
        [{"text": old, "judge": score, "other": new}, {"text": new, "judge": new_score, "other": old}]
        for old, score, new, new_score in zip(
            before["samples"], scores["sft"]["judge"], after["samples"], scores["ppo"]["judge"], strict=True
        )
    ]
    greedy = [before["summary"], after["summary"]]
    return {**dialogue, "change": _change(scores), "pairs": pairs, "greedy": greedy}


def marked(text: str, other: str, insults: Collection[str]) -> Markup:
    """The text, escaped: in <mark> what the other one does not have in that place, in <b> the insults."""
    words, others = text.split(), other.split()
    parts = []
    for kind, start, end, _, _ in SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        chunk = Markup(" ").join(_word(word, insults) for word in words[start:end])
        parts.append(chunk if kind == "equal" else Markup("<mark>{}</mark>").format(chunk))
    return Markup(" ").join(part for part in parts if part.striptags())


def _word(word: str, insults: Collection[str]) -> Markup:
    bare = re.sub(r"^\W+|\W+$", "", word).lower()
    return Markup('<b class="insult">{}</b>').format(word) if bare in insults else escape(word)
