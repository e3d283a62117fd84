"""Dialogue → prompt, and text ↔ padded token tensors."""

import torch
from tiny import VOCABULARY
from transformers import PreTrainedTokenizerBase

from detox.model import prompts

pytest_plugins = ["models"]


def ids_of(text: str) -> list[int]:
    return [VOCABULARY.index(word) for word in text.split()]


def test_the_prompt_is_the_instruction_the_dialogue_and_the_cue() -> None:
    expected = "Summarize the following conversation.\n\n#Person1#: Hi.\n#Person2#: Bye.\n\nSummary:\n"
    assert prompts.prompt("#Person1#: Hi.\n#Person2#: Bye.") == expected


def test_braces_in_a_dialogue_are_text_like_any_other() -> None:
    text = "#Person1#: {dialogue} {0} %s {{x}}"
    assert prompts.prompt(text) == f"Summarize the following conversation.\n\n{text}\n\nSummary:\n"


def test_texts_are_padded_on_the_right_and_the_mask_is_true_where_a_token_counts(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    ids, mask = prompts.encode(tokenizer, ["Ann is late", "cake"], max_tokens=10)
    assert ids.tolist() == [ids_of("Ann is late </s>"), ids_of("cake </s> <pad> <pad>")]
    assert mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert mask.dtype == torch.bool


def test_a_prompt_that_is_too_long_loses_the_end_of_its_dialogue_and_keeps_the_cue_for_the_summary(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    texts = [prompts.prompt("Ann is late again"), prompts.prompt("cake")]
    ids, mask = prompts.encode(tokenizer, texts, max_tokens=8)
    assert ids.tolist() == [
        ids_of("Summarize the following conversation. Ann is Summary: </s>"),
        ids_of("Summarize the following conversation. cake Summary: </s> <pad>"),
    ]
    assert mask.tolist() == [[True] * 8, [True] * 7 + [False]]


def test_prompts_longer_than_the_model_is_given_are_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    """Instruction, cue and end are six tokens: the prompts have seven, nine and ten."""
    dialogues = ["cake", "Ann is late", "Ann is late again"]
    assert [prompts.count_cut(tokenizer, dialogues, tokens) for tokens in (10, 9, 8, 7, 6)] == [0, 1, 2, 2, 3]


def test_decoding_reads_the_tokens_under_the_mask_without_special_ones(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = torch.tensor([ids_of("Ann <pad> rude </s> tea"), ids_of("dog cat tea cake </s>")])
    mask = torch.tensor([[True, True, True, True, False], [True] * 5])
    assert prompts.decode(tokenizer, ids, mask) == ["Ann rude", "dog cat tea cake"]


def test_a_response_that_is_the_end_of_sequence_alone_is_an_empty_text(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = torch.tensor([ids_of("</s> <pad>")])
    assert prompts.decode(tokenizer, ids, torch.tensor([[True, False]])) == [""]


def test_decoding_undoes_encoding(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = ["Bob tells that the dog was angry", "tea", ""]
    assert prompts.decode(tokenizer, *prompts.encode(tokenizer, texts, max_tokens=30)) == texts
