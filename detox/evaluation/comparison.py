"""What changed from before PPO to after, slice by slice: from both policies' scores to the numbers of the metrics."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detox import files, parsing
from detox.corpus import risk
from detox.corpus.dialogues import Dialogue
from detox.errors import InputError
from detox.evaluation import statistics
from detox.evaluation.metrics import Scorer, Scores
from detox.evaluation.quality import Facts, mentions_identity
from detox.params import sections

POLICIES = ("sft", "ppo")
SCORERS = ("reward", "judge")
CONTENT = ("calm", "identity")  # slices in which there is nothing to detoxify, only content to lose
MINIMUM_IDENTITY = 20  # dialogues below which that slice says nothing

Slices = Mapping[str, NDArray[np.bool_]]


def read_summaries(path: Path, test: Sequence[Dialogue]) -> list[dict[str, Any]]:
    """One row per test dialogue, in their order. Raises InputError if the file does not belong to these dialogues."""
    rows = parsing.read_jsonl(path)
    again = "run 'dvc repro summarize'"
    if [row.get("id") for row in rows] != [dialogue.id for dialogue in test]:
        raise InputError(f"{path} does not hold the {len(test)} test dialogues in their order: {again}")
    whole = [isinstance(row.get("summary"), str) and isinstance(row.get("samples"), list) for row in rows]
    if not all(whole) or len({len(row["samples"]) for row in rows}) != 1 or not rows[0]["samples"]:
        raise InputError(f"{path} does not hold equally many samples (1 or more), and a summary, a dialogue: {again}")
    return rows


def read_facts(path: Path, test: Sequence[Dialogue]) -> dict[str, Facts] | None:
    """The facts of each test dialogue by its id; None where the data has no such file.

    Raises InputError if the file lacks a test dialogue.
    """
    if not path.is_file():
        return None
    facts = {row.get("id"): row.get("facts") for row in parsing.read_jsonl(path)}
    lacking = [dialogue.id for dialogue in test if not _are_facts(facts.get(dialogue.id))]
    if lacking:
        raise InputError(
            f"{path} has no facts of {len(lacking)} test dialogues, such as {lacking[0]}: add or remove it"
        )
    return {str(name): value for name, value in facts.items() if value is not None}


def read_words(path: Path) -> set[str]:
    """The words of a language that the data lists, one a line, in lower case; none where it has no such file."""
    return {word.lower() for word in parsing.entries(path, "it")} if path.is_file() else set()


def _are_facts(tree: Any) -> bool:
    """Whether it has, for each fact, the ways (texts) in which a summary may put it."""
    ways = tree.values() if isinstance(tree, dict) else [None]
    return all(isinstance(each, list) and all(isinstance(way, str) for way in each) for each in ways)


def calm(test: Sequence[Dialogue], scorer: Scorer, threshold: float) -> NDArray[np.bool_]:
    """Which dialogues have no turn with P(toxic) ≥ threshold by this scorer [dialogue]."""
    return np.array([each < threshold for each in risk.toxicity(test, scorer)])


def slices_of(
    test: Sequence[Dialogue], train_groups: Collection[str], stress: Collection[str], calm: NDArray[np.bool_]
) -> Slices:
    """Which dialogues belong to which slice [dialogue].

    `seen` (the scenario also occurs in training) and `unseen` exist only where the data marks scenarios; `calm` are
    the dialogues without an insult, `heated` the others, `identity` the calm ones that mention a group of people. A
    slice of a single cluster is left out, since it has no interval. Raises InputError for a stress id that is no test
    dialogue.
    """
    ids, groups = np.array([dialogue.id for dialogue in test]), np.array([dialogue.group for dialogue in test])
    unknown = sorted(set(stress) - set(ids.tolist()))
    if unknown or not stress:
        raise InputError(
            f"stress.jsonl must name one or more test dialogues (unknown: {unknown}): run 'dvc repro summarize'"
        )
    slices = {"all": np.ones(len(test), dtype=bool), "stress": np.isin(ids, list(stress))}
    optional = {}
    if (groups != ids).any():
        seen = np.isin(groups, list(train_groups))
        optional = {"seen": seen, "unseen": ~seen}
    optional |= {"calm": calm, "heated": ~calm if calm.any() else calm}
    identity = calm & np.array([mentions_identity(dialogue.text) for dialogue in test])
    if identity.sum() >= MINIMUM_IDENTITY:
        optional["identity"] = identity
    return slices | {name: mask for name, mask in optional.items() if len(set(groups[mask])) > 1}


def compare_slice(
    name: str,
    mask: NDArray[np.bool_],
    groups: Sequence[str],
    scores: Mapping[str, Scores],
    settings: sections.Evaluate,
    seed: int,
) -> dict[str, Any]:
    """Everything metrics/evaluate.json says of one slice."""
    chosen = {policy: scores[policy].select(mask) for policy in POLICIES}
    clusters = [group for group, inside in zip(groups, mask, strict=True) if inside]
    try:
        change = changes(clusters, chosen["sft"], chosen["ppo"], settings.resamples, seed, name in CONTENT)
    except InputError as error:
        raise InputError(f"slice '{name}': {error}") from error
    described = {policy: chosen[policy].describe(settings.toxic_threshold) for policy in POLICIES}
    return {**described, "change": change, "dialogues": len(clusters), "clusters": len(set(clusters))}


def changes(
    groups: Sequence[str], before: Scores, after: Scores, resamples: int, seed: int, absolute: bool = False
) -> dict[str, Any]:
    """Relative change of each dialogue's mean toxicity, absolute change of everything else (words also relative).

    absolute: of toxicity too, where there is hardly any before; so it is of most probable summaries without any.
    """
    pairs = {name: (old.mean(axis=1), after.toxicity[name].mean(axis=1)) for name, old in before.toxicity.items()}
    pairs |= {f"{name}_greedy": (old, after.greedy[name]) for name, old in before.greedy.items()}
    toxicity = {}
    for name, (old, new) in pairs.items():
        none = name.endswith("_greedy") and not old.any()
        change = statistics.absolute_change if absolute or none else statistics.relative_change
        toxicity[name] = change(groups, old, new, resamples, seed)
    quality = {
        name: statistics.absolute_change(groups, values, after.quality[name], resamples, seed)
        for name, values in before.quality.items()
    }
    if not before.quality["words"].any():
        raise InputError("every summary before PPO is empty: check the adapter that PPO starts from")
    quality["words"]["relative"] = quality["words"]["absolute"] / float(before.quality["words"].mean())
    return {**toxicity, **quality}


def headline(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Ten numbers: toxicity (by both scorers), its relative change (on stress by the judge), ROUGE-L and length."""
    everything, stress = evaluation["all"], evaluation["stress"]
    toxicity = {
        scorer: {policy: everything[policy][scorer]["mean"] for policy in POLICIES}
        | {"change": everything["change"][scorer]["relative"]}
        for scorer in SCORERS
    }
    return {
        "toxicity": toxicity,
        "stress": {"judge": {"change": stress["change"]["judge"]["relative"]}},
        "rougeL": {policy: everything[policy]["rougeL"] for policy in POLICIES},
        "words": {"change": everything["change"]["words"]["relative"]},
    }


def toxicity_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Mean toxicity, a row per slice, scorer and policy."""
    keys = itertools.product([name for name in evaluation if name not in CONTENT], SCORERS, POLICIES)
    rows = [(name, scorer, policy, evaluation[name][policy][scorer]["mean"]) for name, scorer, policy in keys]
    return pd.DataFrame(rows, columns=["slice", "scorer", "policy", "mean"])


def score_rows(test: Sequence[Dialogue], slices: Slices, scores: Mapping[str, Scores]) -> Iterator[dict[str, Any]]:
    """Per dialogue: its slices and, by policy, P(toxic) of each sample by scorer and the measures of all texts."""
    for index, dialogue in enumerate(test):
        row: dict[str, Any] = {"id": dialogue.id, "group": dialogue.group}
        row["slices"] = [name for name, mask in slices.items() if mask[index]]
        for policy, score in scores.items():
            toxicity = {name: values[index].round(files.DECIMALS).tolist() for name, values in score.toxicity.items()}
            quality = {name: round(float(values[index]), files.DECIMALS) for name, values in score.quality.items()}
            greedy = {f"{name}_greedy": round(float(x[index]), files.DECIMALS) for name, x in score.greedy.items()}
            row[policy] = {**toxicity, **greedy, **quality}
        yield row
