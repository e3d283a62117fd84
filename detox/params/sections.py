"""The sections of params.yaml, one for each stage or model."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from detox.errors import InputError
from detox.params.kinds import (
    PROMPT,
    STRICT,
    Count,
    Fraction,
    Names,
    NonNegative,
    Positive,
    PositiveFraction,
    Prompt,
    PromptTokens,
    Share,
    Switch,
    Text,
    Whole,
    require,
)
from detox.params.origins import Source
from detox.params.reading import PARAMS


@dataclass(frozen=True, config=STRICT)
class Model:
    """The base model, frozen, below every adapter."""

    source: Source
    max_prompt_tokens: PromptTokens
    dtype: Literal["float32", "bfloat16"]
    prompt: Prompt = PROMPT

    def check_micro_batch(self, p: "Ppo") -> None:
        """Raises InputError if PPO would compute a prompt beside others in bfloat16, which changes its rounding."""
        if self.dtype != "float32" and p.micro_batch_size != p.samples_per_prompt:
            raise InputError(
                f"{PARAMS}: ppo.micro_batch_size is {p.micro_batch_size}, but with model.dtype {self.dtype} must be "
                f"ppo.samples_per_prompt, {p.samples_per_prompt}: one prompt at a time"
            )


@dataclass(frozen=True, config=STRICT)
class Columns:
    """What a corpus calls its columns; null: the usual names. Capital letters do not matter."""

    id: Text | None = None
    dialogue: Text | None = None
    summary: Names | None = None
    group: Text | None = None


@dataclass(frozen=True, config=STRICT)
class Prepare:
    """Which dialogues are used; null as a fraction means the source's own test or dev file."""

    source: Source
    min_characters: Whole
    max_characters: Count
    test_fraction: PositiveFraction | None
    dev_fraction: Fraction | None
    drop_leaks: Switch = True
    config: Text | None = None
    columns: Columns = Field(default_factory=Columns)

    @model_validator(mode="after")
    def _check(self) -> Self:
        require(self.min_characters < self.max_characters, "min_characters must be below max_characters")
        aside = (self.test_fraction or 0) + (self.dev_fraction or 0)
        require(aside < 1, "test_fraction and dev_fraction together must leave rows to train on")
        return self


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
class Classifier:
    """A text classifier: the reward, or the judge."""

    source: Source
    toxic_label: Text
    batch_size: Count


@dataclass(frozen=True, config=STRICT)
class Rank:
    """How many of the training dialogues are ranked; null: all."""

    dialogues: Count | None


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


@dataclass(frozen=True, config=STRICT)
class Summarize:
    """How many summaries are drawn per test dialogue, and which dialogues form the stress slice."""

    samples: Count
    stress_samples: Count
    stress_share: Share
    stress_minimum: Count
    batch_size: Count
    max_new_tokens: Count
    checkpoint_every: Count


@dataclass(frozen=True, config=STRICT)
class Rivals:
    """What PPO is up against, and on how many of the test dialogues."""

    dialogues: Annotated[int, Field(strict=True, ge=2)]  # an interval needs two
    pool: Annotated[int, Field(strict=True, ge=2)]
    scales: list[Positive]
    bad_words: Text


@dataclass(frozen=True, config=STRICT)
class Compute:
    """Where the models compute, and in how many processes on each of how many machines stages share their work."""

    device: Literal["cpu", "cuda", "mps", "auto"]
    processes: Count
    machines: Count


@dataclass(frozen=True, config=STRICT)
class Evaluate:
    """How the before-and-after comparison is tested."""

    resamples: Count
    toxic_threshold: Share
    best_of: Annotated[int, Field(strict=True, ge=2)]
    rouge_margin: Positive
    slots_margin: Positive
