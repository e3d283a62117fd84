"""A search's table has what differs and how training ended, the highest reward first."""

from typing import Any

import pandas as pd

from detox.reporting import leaderboard


def row(name: str | None, **params: Any) -> dict[str, Any]:
    """As dvc.api.exp_show gives it."""
    known = {
        "ppo.steps": 32.0,
        "ppo.kl_coef": 1.5,
        "ppo.learning_rate": 0.0005,
        "seed": 1.0,
        "detox/ppo/losses.py": name,
    }
    return {"Experiment": name, "rev": "1234567", "State": None, "toxicity.judge.ppo": 0.07} | known | params


def curve(reward: float) -> pd.DataFrame:
    """Five steps, of which the last two are a quarter or more: the reward is their mean."""
    rewards = [0.0, 0.0, 0.0, reward - 0.5, reward + 0.5]
    return pd.DataFrame({"reward": rewards, "kl": 1.25, "entropy": 0.5, "response_tokens": 30, "truncated": 0.0})


def test_the_highest_reward_at_the_end_is_first_and_what_does_not_differ_is_left_out() -> None:
    rows = [
        row(None),
        row("strong", **{"ppo.learning_rate": 0.001}),
        row("weak", **{"ppo.kl_coef": None}),
        row("unread", **{"ppo.steps": 64.0}),
    ]
    curves = {"1234567": curve(2.0), "strong": curve(2.5), "weak": curve(-1.0)}
    assert leaderboard.table(rows, curves, ["seed", "ppo"]).to_dict("list") == {
        "Experiment": ["strong", "1234567", "weak"],
        "ppo.kl_coef": ["1.5", "1.5", ""],
        "ppo.learning_rate": ["0.001", "0.0005", "0.0005"],
        "Reward": ["2.500", "2.000", "-1.000"],
        "KL": ["1.250"] * 3,
        "Entropy": ["0.500"] * 3,
        "Tokens": ["30.000"] * 3,
        "Truncated": ["0.000"] * 3,
    }
