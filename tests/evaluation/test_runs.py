"""Several seeds as one result: hand-computed changes, and an interval that widens with scenarios and with seeds."""

from typing import Any

import numpy as np
import pytest

from detox.evaluation import runs


def line(group: str, before: float, after: float, slices: tuple[str, ...] = ("all",)) -> dict[str, Any]:
    """A dialogue of data/scores.jsonl whose two samples lie around a mean; slots are 1 − toxicity."""
    return {"group": group, "slices": list(slices)} | {
        policy: {
            "judge": [mean - 0.125, mean + 0.125],
            "judge_greedy": mean / 2,
            "slots": 1 - mean,
            "slots_samples": 1 - mean,
        }
        for policy, mean in (("sft", before), ("ppo", after))
    }


def test_toxicity_changes_by_the_ratio_of_sums_and_quality_by_the_mean_in_each_run() -> None:
    """Toxicity 1 to 1/2, then 1 to 1/4: the mean of -1/2 and -3/4, the worst -1/2; slots rise by 1/4 and 3/8."""
    first = [line("a", 0.25, 0.25), line("b", 0.75, 0.25, ("all", "calm"))]
    second = [line("a", 0.25, 0.125), line("b", 0.75, 0.125, ("all", "calm"))]
    found = runs.compare([first, second], 99, 1)
    assert found["samples"]["judge"]["mean"] == -0.625
    assert found["samples"]["judge"]["worst"] == -0.5
    assert found["samples"]["judge"]["sd"] == pytest.approx(0.125 * 2**0.5)
    assert found["greedy"]["judge"]["mean"] == -0.625
    assert found["samples"]["slots"]["mean"] == pytest.approx((0.25 + 0.375) / 2)
    assert found["samples"]["slots"]["worst"] == 0.25
    assert found["samples"]["calm_slots"]["mean"] == pytest.approx((0.5 + 0.625) / 2)
    assert set(found["samples"]) == {"judge", "slots", "calm_slots"}


def test_runs_and_clusters_that_agree_have_an_interval_of_one_value() -> None:
    found = runs.over(np.full((3, 4), -0.25), np.full((3, 4), 0.5), True, 99, 1)
    assert found == {"mean": -0.5, "sd": 0.0, "worst": -0.5, "low": -0.5, "high": -0.5}


def test_the_interval_has_the_spread_of_clusters_and_of_runs() -> None:
    """Of n clusters with the variance v, and m runs with w, the mean has v / n + w / m: at ±1, 1 / n and 1 / m."""
    clusters, seeds = np.tile([1.0, -1.0], 50), np.tile([1.0, -1.0], 50)
    for difference, variance in (
        (np.tile(clusters, (100, 1)), 1 / 100),
        (np.tile(seeds[:, None], (1, 100)), 1 / 100),
        (clusters[None, :] + seeds[:, None], 1 / 100 + 1 / 100),
    ):
        found = runs.over(difference, np.ones_like(difference), False, 20000, 1)
        assert (found["high"] - found["low"]) / 2 == pytest.approx(1.96 * variance**0.5, rel=0.04)
