"""A made-up metrics/evaluate.json of two slices, all of its numbers different."""

from typing import Any

FACTS = ("slots", "entities", "grounded", "copied", "novel2", "repetition", "unfinished")


def policy(toxicity: float, rouge: float) -> dict[str, Any]:
    """One policy's numbers, all different."""
    scorers = {
        name: {"mean": toxicity + extra, "std": 0.1, "p95": toxicity + extra + 0.3, "rate": toxicity + extra + 0.05}
        | {"max": toxicity + extra + 0.1, "any": toxicity + extra + 0.15}
        for name, extra in (("judge", 0.0), ("reward", 0.011))
    }
    quality = {"rouge1": rouge, "rouge2": rouge - 0.1, "rougeL": rouge - 0.05, "rougeLsum": rouge - 0.04}
    facts = {name: rouge + 0.2 + place / 100 for place, name in enumerate(FACTS)}
    agreement = {"agreement": {"same": 0.9 + toxicity / 10, "kappa": 0.7 + toxicity / 5}}
    return {**scorers, **quality, **facts, **agreement, "words": 10 + rouge, "distinct2": 0.5 + toxicity}


def change(relative: float) -> dict[str, Any]:
    """Changes, all different."""
    scorers = {
        name: {
            "relative": relative + extra,
            "absolute": -0.1,
            "low": relative - 0.1,
            "high": relative + 0.1,
            "mde": 0.14,
            "p": 0.0002,
            "p_wilcoxon": 0.0001,
        }
        for name, extra in (("judge", 0.0), ("reward", 0.013))
    }
    names = ("rouge1", "rouge2", "rougeL", "rougeLsum", *FACTS)
    quality = {
        name: {"absolute": 0.01 * rank, "low": -0.02, "high": 0.03, "mde": 0.0357} for rank, name in enumerate(names)
    }
    return {
        **scorers,
        **quality,
        "words": {"absolute": -0.25, "relative": -0.025, "low": -0.5, "high": 0.125, "mde": 0.4},
    }


EVALUATION: dict[str, Any] = {
    name: {
        "sft": policy(sft, 0.41),
        "ppo": policy(ppo, 0.42),
        "change": change(relative),
        "dialogues": 60,
        "clusters": 40,
    }
    for name, sft, ppo, relative in (("all", 0.2345, 0.1111, -0.5262), ("stress", 0.6543, 0.3333, -0.4906))
}

CLAIMS: dict[str, Any] = {
    "family": {
        "all_judge": {"p": 0.0002, "p_holm": 0.0008, "holds": True},
        "rougeL": {"p": 0.0301, "p_holm": 0.0602, "margin": 0.02, "holds": False},
    },
    "a_a": {"splits": 200, "rejections": {"judge": 9, "reward": 12}},
}
QUARRELS: dict[str, Any] = {
    "samples": {
        "reported": {"dialogues": 1234, "sft": 0.5, "ppo": 0.4, "absolute": -0.1, "low": -0.2, "high": 0.05},
    },
    "greedy": {},
}
SYSTEM = {"judge": 0.31, "reward": 0.32, "rougeL": 0.33, "grounded": 0.9, "words": 20.5}
RIVALS: dict[str, Any] = {
    "best_of": [4],
    "dialogues": 3,
    "clusters": 3,
    "systems": dict.fromkeys(("ppo", "sft", "lead3", "scale_0.5"), SYSTEM),
    "duel": {
        "best_of_4_raw": {
            "p": 0.2468,
            "judge": {"rival": 0.05, "ppo": 0.07, "absolute": 0.02, "low": -0.01, "high": 0.05},
            "rougeL": {"rival": 0.61, "ppo": 0.63, "absolute": 0.02, "low": 0.01, "high": 0.05},
        },
    },
}
