"""The trained summariser in use: summaries before and after PPO, and their toxicity.

It runs in the project's root, where params.yaml is and where `make repro` or `make pull` puts models/adapter and
models/ppo. It loads and decodes as the pipeline does, to the greedy summaries of data/summaries; only not through
detox/model/policy.py, since importing trl takes a second more.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from peft import PeftModel
from transformers import PreTrainedModel

from detox.errors import InputError
from detox.model import adapters, bases, linear, prompts, sampling
from detox.model.classifier import Classifier
from detox.params import reading, sections
from detox.runtime import memory
from detox.serving.inputs import AT_ONCE
from detox.sources import local

BEFORE, AFTER = "before", "after"
ADAPTERS = {BEFORE: Path("models/adapter"), AFTER: Path("models/ppo")}
SCORERS = ("judge", "reward")
DIGITS = 4  # of a toxicity: what padding beside longer texts does to it is smaller

Toxicity = dict[str, float]
Row = dict[str, Any]


def summarize(dialogues: Iterable[str], after_only: bool = False) -> list[Row]:
    """Summaries of dialogues: of each {"before": {"summary", "judge", "reward"}, "after": {…}, "truncated"}.

    judge and reward are P(toxic) of the summary; with `after_only` there is neither a "before" nor a toxicity.
    "truncated" says whether the dialogue was longer than the model reads. Raises InputError where a model is missing.
    """
    return Summarizer(after_only)(list(dialogues))


def score(texts: Iterable[str]) -> list[Toxicity]:
    """P(toxic) of texts, of each {"judge", "reward"}. Raises InputError where a classifier is missing."""
    return Scorer()(list(texts))


class Scorer:
    """The judge and the reward of params.yaml, ready to use."""

    def __init__(self) -> None:
        self.classifiers = {name: Classifier(reading.load(sections.Classifier, section=name)) for name in SCORERS}

    def __call__(self, texts: Sequence[str]) -> list[Toxicity]:
        """P(toxic) of each text by each of the two."""
        columns = {name: classifier.toxicity(texts).tolist() for name, classifier in self.classifiers.items()}
        return [{name: round(column[row], DIGITS) for name, column in columns.items()} for row in range(len(texts))]


class Summarizer:
    """The summariser before and after PPO, on one base, and the classifiers for what it says."""

    def __init__(self, after_only: bool = False):
        """Loads them. Raises InputError if one is missing or does not fit."""
        self.sides = (AFTER,) if after_only else (BEFORE, AFTER)
        base, p = base_model()
        self.max_new_tokens = max_new_tokens()
        self.exact = p.dtype == "float32"  # in bfloat16 much of a merged adapter would be lost
        folders = made({side: ADAPTERS[side] for side in self.sides})
        self.model = adapted(bases.load(base, p.dtype), base, folders)
        self.prompt = prompts.load(base, p)
        self.scorer = None if after_only else Scorer()

    def __call__(self, dialogues: Sequence[str]) -> list[Row]:
        """Of each dialogue its row, as `summarize` describes it."""
        return [
            row for start in range(0, len(dialogues), AT_ONCE) for row in self._rows(dialogues[start : start + AT_ONCE])
        ]

    def _rows(self, dialogues: Sequence[str]) -> list[Row]:
        columns = {side: self._side(side, dialogues) for side in self.sides}
        return [
            {**{side: column[row] for side, column in columns.items()}, "truncated": truncated}
            for row, truncated in enumerate(self.prompt.too_long(dialogues))
        ]

    def _side(self, side: str, dialogues: Sequence[str]) -> list[Row]:
        """The summaries of one adapter, with their toxicity."""
        self.model.set_adapter(side)
        with adapters.merged(self.model) if self.exact else nullcontext():
            texts = self._greedy(dialogues)
        toxicity = self.scorer(texts) if self.scorer else [{}] * len(texts)
        return [{"summary": text} | scores for text, scores in zip(texts, toxicity, strict=True)]

    def _greedy(self, dialogues: Sequence[str]) -> list[str]:
        def written(rows: list[int]) -> dict[int, str]:
            texts = greedy(self.model, self.prompt, [dialogues[row] for row in rows], self.max_new_tokens)
            return dict(zip(rows, texts, strict=True))

        each = "one dialogue: lower summarize.max_new_tokens or model.max_prompt_tokens"
        [texts] = memory.in_parts(written, [list(range(len(dialogues)))], each)
        return list(texts.values())


def greedy(
    model: Any,  # transformers' own, or peft's around it
    prompt: prompts.Prompt,
    dialogues: Sequence[str],
    max_new_tokens: int,
) -> list[str]:
    """The most probable summary of each dialogue, token by token."""
    ids, mask = prompt.encode(dialogues)
    sample = sampling.most_probable(model, ids, mask, max_new_tokens)
    return prompts.decode(prompt.tokenizer, sample.ids, sample.mask)


def base_model() -> tuple[Path, sections.Model]:
    """The base model of params.yaml, and what that says of it."""
    p = reading.load(sections.Model)
    return local.path(p.source), p


def max_new_tokens() -> int:
    """How many tokens of a summary the base writes at most."""
    return reading.load(sections.Summarize).max_new_tokens


def made(folders: Mapping[str, Path]) -> Mapping[str, Path]:
    """The same folders. Raises InputError unless the pipeline has written them."""
    for folder in folders.values():
        if not folder.is_dir():
            raise InputError(
                f"{folder} does not exist: run `make repro` in the project's root folder, or `make pull` where a "
                "remote has it"
            )
    return folders


def adapted(model: PreTrainedModel, base: Path, folders: Mapping[str, Path]) -> PeftModel:
    """The base model, from this folder, frozen, and these adapters by name, of which the first is active."""
    linear.freeze(model)
    both: PreTrainedModel | PeftModel = model
    for name, folder in folders.items():
        both = adapters.attached(both, adapters.load(folder, base), name)
    return cast(PeftModel, both)
