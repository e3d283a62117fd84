"""PPO beside its rivals: toxicity, ROUGE-L and facts of each system on the same dialogues; PPO against best-of-n.

Of n samples before PPO one is picked: `best_of_n_raw` by the reward itself, `best_of_n` by what PPO is given of it,
where all that is clean enough earns the same and the first of them is taken. `greedy_best_of_n` picks so among the most
probable summary and n − 1 samples, and meets PPO's most probable summary.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from detox import parsing
from detox.corpus.dialogues import Dialogue
from detox.errors import InputError
from detox.evaluation import claims, metrics, statistics
from detox.evaluation.metrics import Instruments, Scorer
from detox.evaluation.quality import lead
from detox.evaluation.statistics import Array

MEASURES = ("rougeL", "slots", "grounded", "words")


class Drawn(NamedTuple):
    """What a system wrote: its most probable summary of each dialogue, and samples (equally many a dialogue)."""

    summaries: list[str]
    samples: list[list[str]]


class Judged(NamedTuple):
    """P(toxic) by scorer, and each measure of the same texts averaged: both [dialogue]."""

    toxicity: dict[str, Array]
    quality: dict[str, Array]


class Picking(NamedTuple):
    """How the best of several samples is picked."""

    best_of: Sequence[int]  # samples a pick
    score_clip: float  # log-odds beyond which PPO is given no more

    def given(self, toxicity: Array) -> Array:
        """What PPO is given of P(toxic), as a probability: equal wherever the log-odds are beyond ±`score_clip`."""
        return np.clip(toxicity, expit(-self.score_clip), expit(self.score_clip))


def read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of data/rivals by system, the same dialogues in each. Raises InputError if they are not."""
    rows = {path.stem: parsing.read_jsonl(path) for path in sorted(folder.glob("*.jsonl"))}
    ids = {name: [row.get("id") for row in system] for name, system in rows.items()}
    if "pool" not in rows or any(found != ids["pool"] for found in ids.values()):
        raise InputError(f"{folder} has not the same dialogues for every system: run 'dvc repro summarize_rivals'")
    return rows


def drawn(
    dialogues: Sequence[Dialogue], rivals: Mapping[str, Sequence[Any]], policies: Mapping[str, Sequence[Any]]
) -> dict[str, Drawn]:
    """Every system with a most probable summary: LEAD-3, the rivals, and both policies on the rivals' dialogues."""
    ids = {dialogue.id for dialogue in dialogues}
    leads = [lead(dialogue.text) for dialogue in dialogues]
    chosen = {name: [row for row in rows if row["id"] in ids] for name, rows in policies.items()}
    written = {name: rows for name, rows in {**chosen, **rivals}.items() if name != "pool"}
    systems = {
        name: Drawn([row["summary"] for row in rows], [row["samples"] for row in rows])
        for name, rows in written.items()
    }
    return {"lead3": Drawn(leads, [[text] for text in leads]), **systems}


def compare(
    test: Sequence[Dialogue],
    rivals: Mapping[str, Sequence[Any]],
    policies: Mapping[str, Sequence[Any]],
    by: Instruments,
    picking: Picking,
    resampling: tuple[int, int],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What metrics/rivals.json holds, and the A/A check of the pool.

    rivals and policies hold lines of data/rivals and data/summaries by system; resampling is how many resamples, and
    their seed.
    """
    ids = {row["id"] for row in rivals["pool"]}
    dialogues = [dialogue for dialogue in test if dialogue.id in ids]
    if len(dialogues) != len(ids):
        raise InputError("data/rivals has dialogues that are not of the test: run 'dvc repro summarize_rivals'")
    groups = [dialogue.group for dialogue in dialogues]
    texts = [row["samples"] for row in rivals["pool"]]
    pool = {name: metrics.toxicity_of(texts, scorer) for name, scorer in by.scorers.items()}
    systems = drawn(dialogues, rivals, policies)
    drafts = picks(texts, pool["reward"], systems["sft"].summaries, by.scorers["reward"], picking)
    greedy = [[text] for text in systems["ppo"].summaries]
    result = {
        "dialogues": len(dialogues),
        "clusters": len(set(groups)),
        "best_of": list(picking.best_of),
        "systems": table(dialogues, systems, by),
        "duel": {
            name: duel(
                groups,
                judge_samples(dialogues, picked, by),
                judge_samples(dialogues, greedy if name.startswith("greedy") else systems["ppo"].samples, by),
                *resampling,
            )
            for name, picked in drafts.items()
        },
    }
    return result, claims.a_a(groups, pool, resampling[1])


def picks(
    pool: Sequence[Sequence[str]], toxicity: Array, greedy: Sequence[str], reward: Scorer, picking: Picking
) -> dict[str, list[list[str]]]:
    """What each way of picking takes of the pool [dialogue sample], whose P(toxic) by the reward is known."""
    given = picking.given(toxicity)
    picked = {}
    for n in picking.best_of:
        picked[f"best_of_{n}_raw"] = best_of(pool, toxicity, n)
        picked[f"best_of_{n}"] = best_of(pool, given, n)
    n = min(picking.best_of)
    own = picking.given(metrics.toxicity_of([[text] for text in greedy], reward))
    beside = [[text, *row[: n - 1]] for text, row in zip(greedy, pool, strict=True)]
    picked[f"greedy_best_of_{n}"] = best_of(beside, np.hstack([own, given[:, : n - 1]]), n)
    return picked


def table(
    dialogues: Sequence[Dialogue],
    systems: Mapping[str, Drawn],
    by: Instruments,
) -> dict[str, dict[str, float]]:
    """Of each system the mean toxicity of its samples by scorer, and the measures of its most probable summaries."""
    result = {}
    for name, system in systems.items():
        toxicity = {
            scorer: float(metrics.toxicity_of(system.samples, score).mean()) for scorer, score in by.scorers.items()
        }
        quality = metrics.measure(dialogues, system.summaries, by.facts)
        result[name] = toxicity | {key: float(quality[key].mean()) for key in MEASURES if key in quality}
    return result


def best_of(pool: Sequence[Sequence[str]], reward: Array, n: int) -> list[list[str]]:
    """Of every n samples in turn the first with the least P(toxic) by the reward [dialogue sample]."""
    groups = reward.shape[1] // n
    places = reward[:, : groups * n].reshape(len(reward), groups, n).argmin(axis=2) + n * np.arange(groups)
    return [[texts[place] for place in row] for texts, row in zip(pool, places, strict=True)]


def judge_samples(
    dialogues: Sequence[Dialogue],
    samples: Sequence[Sequence[str]],
    by: Instruments,
) -> Judged:
    """Toxicity and measures of samples, averaged over those of each dialogue."""
    columns = [metrics.measure(dialogues, column, by.facts) for column in zip(*samples, strict=True)]
    quality = {name: np.mean([column[name] for column in columns], axis=0) for name in MEASURES if name in columns[0]}
    toxicity = {name: metrics.toxicity_of(samples, scorer).mean(axis=1) for name, scorer in by.scorers.items()}
    return Judged(toxicity, quality)


def duel(groups: Sequence[str], rival: Judged, ppo: Judged, resamples: int, seed: int) -> dict[str, Any]:
    """Texts of PPO against those of a rival: both means, and the change from the rival to PPO with its interval."""
    result: dict[str, Any] = {}
    for name, before in {**rival.toxicity, **rival.quality}.items():
        after = {**ppo.toxicity, **ppo.quality}[name]
        change = statistics.absolute_change(groups, before, after, resamples, seed)
        result[name] = {"rival": float(before.mean()), "ppo": float(after.mean()), **change}
    p = statistics.sign_flip_p(
        statistics.cluster_sums(groups, ppo.toxicity["judge"] - rival.toxicity["judge"]), resamples, seed
    )
    return {**result, "p": p}


def tradeoff(systems: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Toxicity and quality by share of the way from before (0) to after PPO (1), which `scale_…` systems fill in."""
    shares = {name: float(name.removeprefix("scale_")) for name in systems if name.startswith("scale_")}
    shares |= {"sft": 0.0, "ppo": 1.0}
    rows = [{"scale": shares[name], **systems[name]} for name in sorted(shares, key=shares.__getitem__)]
    return pd.DataFrame(rows)


def progress(systems: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Toxicity by both scorers at each snapshot of training; step 0 is before."""
    steps = {name: int(match[1]) for name in systems if (match := re.fullmatch(r"step_(\d+)", name))} | {"sft": 0}
    rows = [{"step": steps[name], **systems[name]} for name in sorted(steps, key=steps.__getitem__)]
    return pd.DataFrame(rows)
