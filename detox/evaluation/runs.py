"""Several runs of the pipeline, each with a seed of its own, as one result: over scenarios and seeds at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detox.evaluation.statistics import LEVEL, Array, cluster_sums

Row = Mapping[str, Any]

# Of which texts, and under which name data/scores.jsonl has each measure of them. The first two change relatively.
MEASURES = {
    "samples": {"judge": "judge", "reward": "reward", "rougeL": "rougeL_samples", "slots": "slots_samples"},
    "greedy": {"judge": "judge_greedy", "reward": "reward_greedy", "rougeL": "rougeL", "slots": "slots"},
}
RELATIVE = ("judge", "reward")


def compare(runs: Sequence[Sequence[Row]], resamples: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """What metrics/seeds.json says of samples and of most probable summaries, by measure: see `over`.

    runs holds the lines of data/scores.jsonl of each run. `calm_slots` is slot recall on the slice calm.
    """
    result: dict[str, dict[str, dict[str, float]]] = {}
    for kind, measures in MEASURES.items():
        result[kind] = {
            name: _changed(runs, key, name in RELATIVE, resamples, seed)
            for name, key in measures.items()
            if key in runs[0][0]["sft"]
        }
        calm = [[row for row in run if "calm" in row["slices"]] for run in runs]
        if calm[0] and "slots" in result[kind]:
            result[kind]["calm_slots"] = _changed(calm, measures["slots"], False, resamples, seed)
    return result


def _changed(runs: Sequence[Sequence[Row]], key: str, relative: bool, resamples: int, seed: int) -> dict[str, float]:
    """`over` for one measure: the change of each dialogue's mean, relative to what it was before or absolute."""
    groups = [row["group"] for row in runs[0]]
    before, after = (
        np.array([[np.mean(row[policy][key]) for row in run] for run in runs]) for policy in ("sft", "ppo")
    )
    difference = np.array([cluster_sums(groups, each) for each in after - before])
    base = np.array([cluster_sums(groups, each) for each in (before if relative else np.ones_like(before))])
    return over(difference, base, relative, resamples, seed)


def over(difference: Array, base: Array, falls: bool, resamples: int, seed: int) -> dict[str, float]:
    """Mean, standard deviation and worst over runs of Σ difference / Σ base, and the 95 % interval of the mean.

    difference, base [run cluster]. The interval is of a bootstrap that draws runs and clusters anew, each with
    replacement and independently (percentiles). Few runs make it somewhat narrow: of 5 by a tenth of their part in it.
    falls: less is better.
    """
    rng, (runs, clusters) = np.random.default_rng(seed), difference.shape
    changes = difference.sum(axis=1) / base.sum(axis=1)
    counts = rng.multinomial(clusters, [1 / clusters] * clusters, size=resamples)
    ratios = (difference @ counts.T) / (base @ counts.T)  # [run resample]
    weights = rng.multinomial(runs, [1 / runs] * runs, size=resamples) / runs
    low, high = np.quantile((weights.T * ratios).sum(axis=0), [LEVEL / 2, 1 - LEVEL / 2])
    return {
        "mean": float(changes.mean()),
        "sd": float(changes.std(ddof=1)) if runs > 1 else 0.0,
        "worst": float(changes.max() if falls else changes.min()),
        "low": float(low),
        "high": float(high),
    }
