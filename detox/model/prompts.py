"""Dialogue → prompt, and text ↔ padded token tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from detox.errors import InputError
from detox.model import library, pretrained
from detox.params.kinds import DIALOGUE, PROMPT
from detox.params.sections import Model
from detox.runtime.devices import CPU


@dataclass(frozen=True)
class Prompt:
    """What a base is given of a dialogue: in its own tokens, at most so many, the text around it."""

    tokenizer: PreTrainedTokenizerBase
    max_tokens: int
    text: str = PROMPT

    def encode(self, dialogues: Sequence[str], device: torch.device = CPU) -> tuple[Tensor, Tensor]:
        """Token ids and mask `[batch prompt]` on the device, padded on the right to the longest prompt.

        One of more than `max_tokens` loses the end of its dialogue, not what stands behind that: the cue.
        """
        cue = len(self.tokenizer(self.text.partition(DIALOGUE)[2])["input_ids"])
        rows = [self._cut(row, cue) for row in self._rows(dialogues)]
        batch = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(device)
        return batch["input_ids"], batch["attention_mask"].bool()

    def too_long(self, dialogues: Sequence[str]) -> list[bool]:
        """Which of the dialogues have a prompt of more than `max_tokens`, so that `encode` would cut it."""
        return [len(row) > self.max_tokens for row in self._rows(dialogues)]

    def _rows(self, dialogues: Sequence[str]) -> list[list[int]]:
        return library.tokens(self.tokenizer, [fill(self.text, dialogue) for dialogue in dialogues])

    def _cut(self, row: list[int], cue: int) -> list[int]:
        return row if len(row) <= self.max_tokens else row[: self.max_tokens - cue] + row[len(row) - cue :]


def fill(text: str, dialogue: str) -> str:
    """A prompt: the dialogue in the text around it."""
    return text.replace(DIALOGUE, dialogue)


def load(base: Path, p: Model) -> Prompt:
    """The prompt of params.yaml, by the base's own tokenizer.

    Raises InputError if that is damaged, or if the prompt leaves no room for a dialogue.
    """
    prompt = Prompt(tokenizer(base), p.max_prompt_tokens, p.prompt)
    if (around := len(prompt.tokenizer(fill(p.prompt, ""))["input_ids"])) >= p.max_prompt_tokens:
        raise InputError(
            f"params.yaml: model.prompt has {around} tokens without a dialogue, and model.max_prompt_tokens is "
            f"{p.max_prompt_tokens}: shorten the one or raise the other"
        )
    return prompt


def tokenizer(base: Path) -> PreTrainedTokenizerBase:
    """The base's own tokenizer. Raises InputError if it is damaged, or cannot pad a text or end one."""
    return pretrained.tokenizer(base, "pad", "eos")


def decode(tokenizer: PreTrainedTokenizerBase, ids: Tensor, mask: Tensor) -> list[str]:
    """Texts of the tokens under the mask, without special tokens and outer blanks."""
    rows = [row[keep].tolist() for row, keep in zip(ids.cpu(), mask.cpu(), strict=True)]
    with library.one_line(Path(tokenizer.name_or_path)), library.no_panic():
        texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
    return [text.strip() for text in texts]
