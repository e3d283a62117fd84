"""Dialogue → prompt, and text ↔ padded token tensors."""

from collections.abc import Sequence

from torch import Tensor
from transformers import PreTrainedTokenizerBase

CUE = "\n\nSummary:\n"
PROMPT = "Summarize the following conversation.\n\n{dialogue}" + CUE


def prompt(dialogue: str) -> str:
    """The text the policy reads: the instruction, the dialogue, the cue for the summary."""
    return PROMPT.replace("{dialogue}", dialogue)


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int) -> tuple[Tensor, Tensor]:
    """Token ids and mask `[batch prompt]`, padded on the right to the longest prompt.

    One of more than `max_tokens` loses the end of its dialogue, not the cue for the summary behind it.
    """
    cue = len(tokenizer(CUE)["input_ids"])
    rows = tokenizer(list(texts), verbose=False)["input_ids"]
    rows = [row if len(row) <= max_tokens else row[: max_tokens - cue] + row[-cue:] for row in rows]
    batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt")
    return batch["input_ids"], batch["attention_mask"].bool()


def decode(tokenizer: PreTrainedTokenizerBase, ids: Tensor, mask: Tensor) -> list[str]:
    """Texts of the tokens under the mask, without special tokens and outer blanks."""
    rows = [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)]
    return [text.strip() for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]
