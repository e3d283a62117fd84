"""A made-up metrics/evaluate.json of two slices, all of its numbers different."""

from typing import Any


def policy(toxicity: float, rouge: float) -> dict[str, Any]:
    """One policy's numbers, all different."""
    scorers = {
        name: {"mean": toxicity + extra, "std": 0.1, "p95": toxicity + extra + 0.3, "rate": toxicity + extra + 0.05}
        for name, extra in (("judge", 0.0), ("reward", 0.011))
    }
    quality = {"rouge1": rouge, "rouge2": rouge - 0.1, "rougeL": rouge - 0.05, "rougeLsum": rouge - 0.04}
    return {**scorers, **quality, "words": 10 + rouge, "distinct2": 0.5 + toxicity}


def change(relative: float) -> dict[str, Any]:
    """Changes, all different."""
    scorers = {
        name: {
            "relative": relative + extra,
            "absolute": -0.1,
            "low": relative - 0.1,
            "high": relative + 0.1,
            "p": 0.0002,
        }
        for name, extra in (("judge", 0.0), ("reward", 0.013))
    }
    names = ("rouge1", "rouge2", "rougeL", "rougeLsum")
    quality = {name: {"absolute": 0.01 * rank, "low": -0.02, "high": 0.03} for rank, name in enumerate(names)}
    return {**scorers, **quality, "words": {"absolute": -0.25, "relative": -0.025, "low": -0.5, "high": 0.125}}


EVALUATION = {
    name: {
        "sft": policy(sft, 0.41),
        "ppo": policy(ppo, 0.42),
        "change": change(relative),
        "dialogues": 6,
        "clusters": 6,
    }
    for name, sft, ppo, relative in (("all", 0.2345, 0.1111, -0.5262), ("stress", 0.6543, 0.3333, -0.4906))
}
