"""The sections of params.yaml that say how adapters are made: tuned, ranked for, and trained by PPO."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from detox.params.kinds import (
    STRICT,
    Count,
    Fraction,
    NonNegative,
    Positive,
    Share,
    Text,
    require,
)
from detox.params.origins import Source


@dataclass(frozen=True, config=STRICT)
class Tuning:
    """The hyper-parameters of an adapter that is tuned here, under supervision."""

    rank: Count
    alpha: Count
    dropout: Fraction
    targets: Annotated[list[Text], Field(min_length=1)]
    learning_rate: Positive
    batch_size: Count
    epochs: Count
    patience: Count
    max_summary_tokens: Count


@dataclass(frozen=True, config=STRICT)
class Adapter:
    """The LoRA adapter that PPO starts from; `tuning` is read only if it is made here."""

    source: Source
    tuning: Tuning | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        require(
            not self.source.made_here or self.tuning,
            f"an adapter of the origin {self.source.origin} needs tuning: add it",
        )
        return self


@dataclass(frozen=True, config=STRICT)
class Rank:
    """How many of the training dialogues are ranked (null: all), and the share of the risky ones kept from PPO."""

    dialogues: Count | None
    hold_out: Fraction | None


@dataclass(frozen=True, config=STRICT)
class Ppo:
    """The hyper-parameters of PPO; batch sizes count episodes (one sampled summary each)."""

    steps: Count
    batch_size: Count
    mini_batch_size: Count
    micro_batch_size: Count
    decode_batch_size: Count
    samples_per_prompt: Count
    prefix_every: Count
    epochs: Count
    learning_rate: Positive
    value_learning_rate: Positive
    gamma: Share
    lam: Share
    clip_range: Positive
    value_clip_range: Positive
    risky_share: Share | None
    kl_coef: NonNegative
    calm_kl: NonNegative
    kl_limit: Positive
    score_clip: Positive
    missing_eos_penalty: NonNegative
    max_grad_norm: Positive
    max_new_tokens: Count
    snapshot_every: Count
    checkpoint_every: Count

    @property
    def reused(self) -> bool:
        """Whether a rollout serves more than one optimiser step."""
        return self.epochs > 1 or self.mini_batch_size < self.batch_size

    @model_validator(mode="after")
    def _check(self) -> Self:
        require(self.batch_size > 1, "batch_size must be 2 or more")
        for whole, part in (
            ("batch_size", "mini_batch_size"),
            ("mini_batch_size", "micro_batch_size"),
            ("micro_batch_size", "samples_per_prompt"),
            ("decode_batch_size", "samples_per_prompt"),
        ):
            require(getattr(self, whole) % getattr(self, part) == 0, f"{whole} must be a multiple of {part}")
        return self
