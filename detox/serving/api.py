"""The trained summariser in use: summaries before and after PPO, and their toxicity.

It runs in the project's root, where params.yaml is and where `make repro` or `dvc pull` puts models/adapter and
models/ppo. It decodes with transformers' own `generate`, which gives the greedy summaries of data/summaries, since
importing trl for detox/model/policy.py takes a second more.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerBase

from detox import params
from detox.errors import InputError
from detox.model import adapters, linear, pretrained, prompts
from detox.model.classifier import Classifier
from detox.runtime.devices import CPU
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
        self.classifiers = {name: Classifier(params.load(params.Classifier, section=name)) for name in SCORERS}

    def __call__(self, texts: Sequence[str]) -> list[Toxicity]:
        """P(toxic) of each text by each of the two."""
        columns = {name: classifier.toxicity(texts).tolist() for name, classifier in self.classifiers.items()}
        return [{name: round(column[row], DIGITS) for name, column in columns.items()} for row in range(len(texts))]


class Summarizer:
    """The summariser before and after PPO, on one base, and the classifiers for what it says."""

    def __init__(self, after_only: bool = False):
        """Loads them. Raises InputError if one is missing or does not fit."""
        self.sides = (AFTER,) if after_only else (BEFORE, AFTER)
        base, self.max_prompt_tokens = base_model()
        self.max_new_tokens = params.load(params.Summarize).max_new_tokens
        self.model = adapted(base, made({side: ADAPTERS[side] for side in self.sides}))
        self.tokenizer = prompts.tokenizer(base)
        self.scorer = None if after_only else Scorer()

    def __call__(self, dialogues: Sequence[str]) -> list[Row]:
        """Of each dialogue its row, as `summarize` describes it."""
        return [
            row for start in range(0, len(dialogues), AT_ONCE) for row in self._rows(dialogues[start : start + AT_ONCE])
        ]

    def _rows(self, dialogues: Sequence[str]) -> list[Row]:
        columns = {side: self._side(side, dialogues) for side in self.sides}
        lengths = map(len, self.tokenizer([prompts.prompt(text) for text in dialogues], verbose=False)["input_ids"])
        return [
            {**{side: column[row] for side, column in columns.items()}, "truncated": length > self.max_prompt_tokens}
            for row, length in enumerate(lengths)
        ]

    def _side(self, side: str, dialogues: Sequence[str]) -> list[Row]:
        """The summaries of one adapter, with their toxicity."""
        self.model.set_adapter(side)
        with adapters.merged(self.model):
            texts = greedy(self.model, self.tokenizer, dialogues, self.max_prompt_tokens, self.max_new_tokens)
        toxicity = self.scorer(texts) if self.scorer else [{}] * len(texts)
        return [{"summary": text} | scores for text, scores in zip(texts, toxicity, strict=True)]


@torch.no_grad()
def greedy(
    model: Any,  # transformers' own, or peft's around it
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Sequence[str],
    max_prompt_tokens: int,
    max_new_tokens: int,
) -> list[str]:
    """The most probable summary of each dialogue, token by token."""
    ids, mask = prompts.encode(tokenizer, [prompts.prompt(text) for text in dialogues], max_prompt_tokens)
    output = model.generate(
        input_ids=ids, attention_mask=mask.long(), do_sample=False, num_beams=1, max_new_tokens=max_new_tokens
    )
    return [text.strip() for text in tokenizer.batch_decode(output, skip_special_tokens=True)]


def base_model() -> tuple[Path, int]:
    """The base model of params.yaml, and how many tokens it reads."""
    model = params.load(params.Model)
    return local.path(model.source), model.max_prompt_tokens


def made(folders: Mapping[str, Path]) -> Mapping[str, Path]:
    """The same folders. Raises InputError unless the pipeline has written them."""
    for folder in folders.values():
        if not folder.is_dir():
            raise InputError(f"{folder} does not exist: run `make repro`, or `dvc pull`, in the project's root folder")
    return folders


def adapted(base: Path, folders: Mapping[str, Path]) -> PeftModel:
    """The base, frozen, and these adapters by name, of which the first is active."""
    for folder in folders.values():
        adapters.check(folder, base)
    model = pretrained.model(AutoModelForSeq2SeqLM, base)
    linear.freeze(model)
    (first, folder), *others = folders.items()
    both = PeftModel.from_pretrained(model, folder, adapter_name=first, torch_device=CPU.type)
    for name, folder in others:
        both.load_adapter(folder, adapter_name=name, torch_device=CPU.type)
    return both.eval()
