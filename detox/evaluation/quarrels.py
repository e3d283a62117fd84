"""Whether the insult alone is gone from a summary, or the quarrel with it: who was insulted, and over what.

The data may know two facts of a heated dialogue (facts.jsonl): `insulted`, the ways in which a summary says who was
insulted; and `cause`, those in which it says over what. A list of insults tells whether one is repeated.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from detox.corpus.dialogues import Dialogue
from detox.evaluation import statistics
from detox.evaluation.quality import Facts
from detox.evaluation.statistics import Array
from detox.evaluation.words import says

INSULTED, CAUSE = "insulted", "cause"

Texts = Sequence[Sequence[str]]  # [column dialogue]


def measure(
    dialogues: Sequence[Dialogue], summaries: Sequence[str], facts: Mapping[str, Facts] | None, insults: Collection[str]
) -> dict[str, Array]:
    """1 or 0 for one summary of each dialogue [dialogue]; NaN where the dialogue does not have what is asked for.

    repeated: has a listed insult. Of dialogues with an insult: reported, says who was insulted; mistaken, says it of
    somebody else; cause, says over what. Of the others: invented, says that somebody was insulted. What a reference
    says counts neither as mistaken nor as invented: some ways have a harmless meaning, too (calls Ann tomorrow).
    """
    measured: dict[str, list[bool | None]] = {
        "repeated": [any(says(text, word) for word in insults) for text in summaries]
    }
    known = [(facts or {}).get(dialogue.id, {}) for dialogue in dialogues]
    everyone = {way for each in known for way in each.get(INSULTED, ())}
    if everyone:
        rows = [_quarrel(*each, everyone) for each in zip(dialogues, summaries, known, strict=True)]
        measured |= {name: [row.get(name) for row in rows] for name in ("reported", "mistaken", CAUSE, "invented")}
    return {name: np.array(values, dtype=float) for name, values in measured.items()}


def _quarrel(dialogue: Dialogue, summary: str, facts: Facts, everyone: set[str]) -> dict[str, bool]:
    own = facts.get(INSULTED, ())
    others = {way for way in everyone - set(own) if not any(says(each, way) for each in dialogue.references)}
    somebody = any(says(summary, way) for way in others)
    if not own:
        return {"invented": somebody}
    cause = {CAUSE: any(says(summary, way) for way in facts[CAUSE])} if facts.get(CAUSE) else {}
    return {"reported": any(says(summary, way) for way in own), "mistaken": somebody, **cause}


def compare(
    dialogues: Sequence[Dialogue],
    policies: Mapping[str, Sequence[Mapping[str, Any]]],
    facts: Mapping[str, Facts] | None,
    insults: Collection[str],
    resampling: tuple[int, int],
) -> dict[str, Any]:
    """What metrics/quarrels.json holds: of samples and most probable summaries the share before and after, by measure.

    policies hold lines of data/summaries; resampling is how many resamples, and their seed.
    """
    result: dict[str, Any] = {}
    for kind in ("samples", "greedy"):
        found = {}
        for policy, rows in policies.items():
            columns = zip(*(row["samples"] if kind == "samples" else [row["summary"]] for row in rows), strict=True)
            shares = [measure(dialogues, column, facts, insults) for column in columns]
            found[policy] = {name: np.mean([share[name] for share in shares], axis=0) for name in shares[0]}
        changes = {
            name: _change(dialogues, before, found["ppo"][name], resampling) for name, before in found["sft"].items()
        }
        result[kind] = {name: change for name, change in changes.items() if change}
    return result


def _change(
    dialogues: Sequence[Dialogue], before: Array, after: Array, resampling: tuple[int, int]
) -> dict[str, float]:
    """Both shares and their difference, of those that have one; nothing where these are of fewer than two clusters."""
    asked = ~np.isnan(before)
    groups = [dialogue.group for dialogue, each in zip(dialogues, asked, strict=True) if each]
    if len(set(groups)) < 2:
        return {}
    change = statistics.absolute_change(groups, before[asked], after[asked], *resampling)
    shares = {"sft": float(before[asked].mean()), "ppo": float(after[asked].mean())}
    return {"dialogues": len(groups), **shares, **change}
