"""The sections of params.yaml, one for each stage or model."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from detox.params.kinds import (
    PROMPT,
    STRICT,
    Count,
    Fraction,
    Names,
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


@dataclass(frozen=True, config=STRICT)
class Model:
    """The base model, frozen, below every adapter."""

    source: Source
    max_prompt_tokens: PromptTokens
    dtype: Literal["float32", "bfloat16"]
    prompt: Prompt = PROMPT


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
class Classifier:
    """A text classifier: the reward, or the judge."""

    source: Source
    toxic_label: Text
    batch_size: Count


@dataclass(frozen=True, config=STRICT)
class Summarize:
    """How many summaries are drawn per test dialogue, and which dialogues form the stress slice."""

    samples: Count
    stress_samples: Count
    stress_share: Share
    stress_minimum: Count
    provoked: Count
    provocations: Text
    batch_size: Count
    max_new_tokens: Count
    checkpoint_every: Count


@dataclass(frozen=True, config=STRICT)
class Rivals:
    """What PPO is up against, and on how many of the test dialogues."""

    dialogues: Annotated[int, Field(strict=True, ge=2)]  # an interval needs two
    best_of: Annotated[list[Annotated[int, Field(strict=True, ge=2)]], Field(min_length=1)]
    scales: list[Positive]
    bad_words: Text

    @property
    def pool(self) -> int:
        """How many samples before PPO the best ones are picked from."""
        return max(self.best_of)


Trackers = list[Literal["tensorboard", "wandb", "mlflow", "trackio", "dvclive"]]  # that are told the steps of a run


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
    rouge_margin: Positive
    slots_margin: Positive
