"""Dialogue → prompt, and text ↔ padded token tensors."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from detox.model import pretrained
from detox.runtime.devices import CPU

CUE = "\n\nSummary:\n"
PROMPT = "Summarize the following conversation.\n\n{dialogue}" + CUE


def prompt(dialogue: str) -> str:
    """The text the policy reads: the instruction, the dialogue, the cue for the summary."""
    return PROMPT.replace("{dialogue}", dialogue)


def tokenizer(base: Path) -> PreTrainedTokenizerBase:
    """The base's own tokenizer. Raises InputError if it is damaged, or cannot pad a text or end one."""
    return pretrained.tokenizer(base, "pad", "eos")


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int, device: torch.device = CPU
) -> tuple[Tensor, Tensor]:
    """Token ids and mask `[batch prompt]` on the device, padded on the right to the longest prompt.

    One of more than `max_tokens` loses the end of its dialogue, not the cue for the summary behind it.
    """
    cue = len(tokenizer(CUE)["input_ids"])
    rows = tokenizer(list(texts), verbose=False)["input_ids"]
    rows = [row if len(row) <= max_tokens else row[: max_tokens - cue] + row[-cue:] for row in rows]
    batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(device)
    return batch["input_ids"], batch["attention_mask"].bool()


def count_cut(tokenizer: PreTrainedTokenizerBase, dialogues: Sequence[str], max_tokens: int) -> int:
    """How many of the dialogues have a prompt of more than `max_tokens`, so that `encode` would cut it."""
    rows = tokenizer([prompt(dialogue) for dialogue in dialogues], verbose=False)["input_ids"]
    return sum(len(row) > max_tokens for row in rows)


def decode(tokenizer: PreTrainedTokenizerBase, ids: Tensor, mask: Tensor) -> list[str]:
    """Texts of the tokens under the mask, without special tokens and outer blanks."""
    rows = [row[keep].tolist() for row, keep in zip(ids.cpu(), mask.cpu(), strict=True)]
    return [text.strip() for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]
