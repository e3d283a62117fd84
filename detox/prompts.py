"""Dialogue → prompt, and text ↔ padded token tensors."""

from collections.abc import Sequence

from torch import Tensor
from transformers import PreTrainedTokenizerBase

PROMPT = "Summarize the following conversation.\n\n{dialogue}\n\nSummary:\n"


def prompt(dialogue: str) -> str:
    """The text the policy reads: the instruction, the dialogue, the cue for the summary."""
    return PROMPT.replace("{dialogue}", dialogue)


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int) -> tuple[Tensor, Tensor]:
    """Token ids and mask `[batch prompt]`, padded on the right to the longest text, cut at `max_tokens`."""
    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
    return batch["input_ids"], batch["attention_mask"].bool()


def decode(tokenizer: PreTrainedTokenizerBase, ids: Tensor, mask: Tensor) -> list[str]:
    """Texts of the tokens under the mask, without special tokens and outer blanks."""
    rows = [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)]
    return [text.strip() for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]
