"""What a PPO step did, in numbers: a row of metrics/train.csv, and the whole run in metrics/train.json."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from detox.ppo import losses
from detox.ppo.rollouts import Rollout
from detox.runtime import ranks


@dataclass(frozen=True)
class StepStats:
    """What a step did; rollout figures are measured before its update. The glossary is in the README."""

    step: int
    reward: float
    reward_std: float
    kl: float
    kl_k1: float
    toxic: float
    policy_loss: float
    value_loss: float
    clip_fraction: float
    entropy: float
    explained_variance: float
    response_tokens: float
    truncated: float
    mismatch: float
    ratio_error: float


@dataclass
class UpdateStats:
    """Sums over the valid tokens of a step's updates; `ratio_error` is of those before the first optimiser step."""

    tokens: float = 0.0
    policy_loss: float = 0.0
    value_loss: float = 0.0
    clipped: float = 0.0
    entropy: float = 0.0
    mismatch: float = 0.0
    ratio_error: float = 0.0
    optimizer_steps: int = 0

    def united(self) -> Self:
        """Those of all ranks, the same in each."""
        if ranks.size() == 1:
            return self
        parts = [json.loads(part) for part in ranks.gathered(json.dumps(asdict(self)).encode())]
        sums = {name: sum(part[name] for part in parts) for name in parts[0]}
        largest = max(part["ratio_error"] for part in parts)
        return type(self)(**{**sums, "ratio_error": largest, "optimizer_steps": self.optimizer_steps})


def step_stats(step: int, rollout: Rollout, explained_variance: float, stats: UpdateStats) -> StepStats:
    """One row of metrics/train.csv."""
    mask = rollout.response_mask
    return StepStats(
        step=step,
        reward=rollout.scores.mean().item(),
        reward_std=rollout.scores.std().item(),
        kl=rollout.kl.sum(1).mean().item(),
        kl_k1=losses.kl_k1(rollout.logprobs, rollout.ref_logprobs, mask).mean().item(),
        toxic=1 - rollout.clean.float().mean().item(),
        policy_loss=stats.policy_loss / stats.tokens,
        value_loss=stats.value_loss / stats.tokens,
        clip_fraction=stats.clipped / stats.tokens,
        entropy=stats.entropy / stats.tokens,
        explained_variance=explained_variance,
        response_tokens=mask.sum(1).float().mean().item(),
        truncated=rollout.truncated.float().mean().item(),
        mismatch=stats.mismatch / stats.tokens,
        ratio_error=stats.ratio_error,
    )


def summary(rows: Sequence[StepStats], batch_size: int) -> dict[str, int | float]:
    """The run in a few numbers: metrics/train.json."""
    first, last = rows[0], rows[-1]
    return {
        "steps": len(rows),
        "episodes": len(rows) * batch_size,
        "kl_first": first.kl,
        "kl_last": last.kl,
        "mismatch_last": last.mismatch,
        "ratio_error_first": first.ratio_error,
        "reward_first": first.reward,
        "reward_last": last.reward,
    }
