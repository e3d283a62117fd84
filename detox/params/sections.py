"""params.yaml: one section per stage, each read into a strict, frozen dataclass.

An unknown, missing, mistyped or out-of-range key is an InputError that names file, section and key.
"""

import os
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from detox.errors import InputError, brief

PARAMS = Path("params.yaml")
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

# Strict: true is not an integer and "3e-06" in quotes is not a number; an integer is a fine float.
Count = Annotated[int, Field(strict=True, ge=1)]
PromptTokens = Annotated[int, Field(strict=True, ge=16)]  # instruction and cue alone take about a dozen
Whole = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[float, Field(strict=True, gt=0)]
NonNegative = Annotated[float, Field(strict=True, ge=0)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Fraction = Annotated[float, Field(strict=True, ge=0, lt=1)]
PositiveFraction = Annotated[float, Field(strict=True, gt=0, lt=1)]
Switch = Annotated[bool, Field(strict=True)]
Text = Annotated[str, StringConstraints(min_length=1)]
Names = Annotated[
    tuple[Text, ...], Field(min_length=1), BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]  # a commit: branches and tags move

TRAIN, NEW = "train", "new"  # origins of an adapter that is made here: tuned, or fresh, which changes nothing yet
ORIGIN = rf"hf://(datasets/)?[\w.-]+/[\w.-]+(/[\w.-]+)*|(s3|https?)://.+|{TRAIN}|{NEW}"
KEYED = r"://[^/]*@|\?"  # https://user:password@host, s3://key:secret@bucket, https://host/file?signature=…
DOWNLOADS = "downloads"  # what the stage fetch_sources writes
SOURCES = ("model", "prepare", "adapter", "reward", "judge")  # the sections that have a source

REMEDIES = {
    "missing": "is missing: add it",
    "unexpected_keyword_argument": "is not a known key: remove it or correct its spelling",
    "invalid_key": "is not a known key: remove it or correct its spelling",
    "dataclass_type": "must be a mapping of its own keys",
}
WANTED = {
    "float_type": "must be a valid number: write 3.0e-6, not 3e-06 or a text in quotes",
    "too_short": "must name one at least",
    "string_type": "must be a valid string: put it in quotes",
    "string_pattern_mismatch": "must be a whole pin in lower-case hexadecimal digits: run `make pin`",
}

Section = TypeVar("Section")


@dataclass(frozen=True, config=STRICT)
class Source:
    """Where a model, an adapter or a data set lies in this project, where it comes from, and what pins it.

    `origin` is null for files of one's own, `hf://owner/name` or `hf://datasets/owner/name` for a repository of the
    Hugging Face hub, pinned by its `revision`; everything else is pinned by `sha256` (of one file, or of the manifest
    of a folder: detox.sources.local.digest). An adapter that is made here, with the dialogues at `path`, has no pin:
    `train` is one that is tuned on them, `new` a fresh one, whose policy is the base itself.
    """

    path: Text
    origin: Text | None = None
    revision: Revision | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        # First, and without a word of it in the message: params.yaml goes to git, and messages to logs.
        _require(
            not re.search(KEYED, self.origin or ""),
            "origin holds a user, a password or a query: give the address alone, keys come from the environment",
        )
        _require(
            Path(os.path.normpath(self.path)).parts[:1] != ("..",),
            f"path is {self.path!r}, which leads out of the project: put the files into it, or give an absolute path",
        )
        _require(
            self.origin is None or re.fullmatch(ORIGIN, self.origin),
            f"origin is {self.origin!r}, but must be null, hf://owner/name, hf://datasets/owner/name, s3://…, "
            f"https://… or (for the adapter) {TRAIN} or {NEW}",
        )
        _require(self.revision is None or self.hub, "revision is for an origin of hf:// alone: set it to null")
        _require(self.sha256 is None or not self.hub, "sha256 is not for an origin of hf://: pin its revision instead")
        _require(
            not self.remote or re.fullmatch(rf"{DOWNLOADS}/[\w-]+", self.path),
            f"path must be {DOWNLOADS}/ and a name: the stage fetch_sources puts it there",
        )
        return self

    @property
    def hub(self) -> bool:
        """Whether it comes from the Hugging Face hub."""
        return self.origin is not None and self.origin.startswith("hf://")

    @property
    def made_here(self) -> bool:
        """Whether it is an adapter that is made in this project."""
        return self.origin in (TRAIN, NEW)

    @property
    def remote(self) -> bool:
        """Whether it is downloaded."""
        return self.origin is not None and "://" in self.origin


@dataclass(frozen=True, config=STRICT)
class Model:
    """The base model, frozen, below every adapter."""

    source: Source
    max_prompt_tokens: PromptTokens
    dtype: Literal["float32", "bfloat16"]

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
        _require(self.min_characters < self.max_characters, "min_characters must be below max_characters")
        fractions = (self.test_fraction or 0) + (self.dev_fraction or 0)
        _require(fractions < 1, "test_fraction and dev_fraction together must leave rows to train on")
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
        _require(
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
    value_coef: NonNegative
    kl_coef: NonNegative
    kl_target: Positive
    kl_horizon: Count
    kl_limit: Positive
    score_clip: Positive
    missing_eos_penalty: NonNegative
    max_grad_norm: Positive
    max_new_tokens: Count
    snapshot_every: Count
    checkpoint_every: Count
    scale: Positive

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require(self.batch_size > 1, "batch_size must be 2 or more")
        _require(self.kl_limit > self.kl_target, "kl_limit must be above kl_target")
        _require(self.batch_size % self.mini_batch_size == 0, "batch_size must be a multiple of mini_batch_size")
        _require(
            self.mini_batch_size % self.micro_batch_size == 0, "mini_batch_size must be a multiple of micro_batch_size"
        )
        _require(
            self.micro_batch_size % self.samples_per_prompt == 0,
            "micro_batch_size must be a multiple of samples_per_prompt",
        )
        _require(
            self.decode_batch_size % self.samples_per_prompt == 0,
            "decode_batch_size must be a multiple of samples_per_prompt",
        )
        return self


@dataclass(frozen=True, config=STRICT)
class Summarize:
    """How many summaries are drawn per test dialogue, and which dialogues form the stress slice; the rivals of PPO."""

    samples: Count
    stress_samples: Count
    stress_share: Share
    stress_minimum: Count
    batch_size: Count
    max_new_tokens: Count
    checkpoint_every: Count


@dataclass(frozen=True, config=STRICT)
class Rivals:
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


def load(cls: type[Section], path: Path = PARAMS, section: str | None = None) -> Section:
    """Section of the params file as `cls`; its name defaults to the class name in lower case.

    Raises InputError for anything that the class does not allow.
    """
    return _parse(cls, path, section or cls.__name__.lower())


def sources(path: Path = PARAMS) -> dict[str, Source]:
    """The source of every section that has one. Raises InputError for anything that Source does not allow."""
    found = {section: _parse(Source, path, f"{section}.source") for section in SOURCES}
    for section, source in found.items():
        if source.made_here and section != "adapter":
            name = source.origin
            raise InputError(f"{path}: {section}.source.origin is {name}, which only an adapter can be: correct it")
        if source.remote and any(other != source for other in found.values() if other.path == source.path):
            raise InputError(f"{path}: {section}.source.path is another source's too: give it a name of its own")
    return found


def seed(path: Path = PARAMS) -> int:
    """The seed that every random draw derives from. Raises InputError unless it is a whole number, 0 or more."""
    return _parse(Whole, path, "seed")


def _parse(kind: type[Section], path: Path, section: str) -> Section:
    tree: object = read(path, YAML(typ="safe"))
    for key in section.split("."):
        if not isinstance(tree, dict) or key not in tree:
            known = ", ".join(map(str, tree)) if isinstance(tree, dict) else "no keys"
            raise InputError(f"{path}: '{section}' is missing: add it (the file has {known})")
        tree = tree[key]
    try:
        return TypeAdapter(kind).validate_python(tree)
    except ValidationError as error:
        raise InputError("; ".join(_line(path, section, details) for details in error.errors())) from error


def read(path: Path, yaml: YAML) -> MutableMapping[str, Any]:
    """The mapping in a YAML file. Raises InputError, with the line where it is known, if there is none."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): run this in the project's root folder") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}, line {line}: not valid YAML: {error.problem}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except (RecursionError, ValueError):
        raise InputError(f"{path}: nested too deeply, or a number of too many digits: correct it") from None
    if not isinstance(tree, MutableMapping):
        raise InputError(f"{path} must hold 'section: …' entries")
    return tree


def _line(path: Path, section: str, error: ErrorDetails) -> str:
    key = ".".join([section, *map(str, error["loc"])])
    if error["type"] == "value_error":
        return f"{path}: {key}: {error['ctx']['error']}"
    if error["type"] in REMEDIES:
        return f"{path}: {key} {REMEDIES[error['type']]}"
    wanted = WANTED.get(error["type"]) or re.sub(r"(Input|String) should", "must", error["msg"])
    return f"{path}: {key} is {brief(error['input'])}, but {wanted}"


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)
