"""Dialogue → prompt, and text ↔ padded token tensors."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import VOCABULARY, source_of, word_tokenizer
from transformers import PreTrainedTokenizerBase

from detox.errors import InputError
from detox.model import prompts
from detox.params.kinds import PROMPT
from detox.params.sections import Model

pytest_plugins = ["models"]


def ids_of(text: str) -> list[int]:
    return [VOCABULARY.index(word) for word in text.split()]


def test_the_prompt_is_the_instruction_the_dialogue_and_the_cue() -> None:
    expected = "Summarize the following conversation.\n\n#Person1#: Hi.\n#Person2#: Bye.\n\nSummary:\n"
    assert prompts.fill(PROMPT, "#Person1#: Hi.\n#Person2#: Bye.") == expected


def test_braces_in_a_dialogue_are_text_like_any_other() -> None:
    text = "#Person1#: {dialogue} {0} %s {{x}}"
    assert prompts.fill(PROMPT, text) == f"Summarize the following conversation.\n\n{text}\n\nSummary:\n"


def test_texts_are_padded_on_the_right_and_the_mask_is_true_where_a_token_counts(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    ids, mask = prompts.Prompt(tokenizer, 10, "{dialogue}").encode(["Ann is late", "cake"])
    assert ids.tolist() == [ids_of("Ann is late </s>"), ids_of("cake </s> <pad> <pad>")]
    assert mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert mask.dtype == torch.bool


def test_a_prompt_that_is_too_long_loses_the_end_of_its_dialogue_and_keeps_the_cue_for_the_summary(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    ids, mask = prompts.Prompt(tokenizer, 8).encode(["Ann is late again", "cake"])
    assert ids.tolist() == [
        ids_of("Summarize the following conversation. Ann is Summary: </s>"),
        ids_of("Summarize the following conversation. cake Summary: </s> <pad>"),
    ]
    assert mask.tolist() == [[True] * 8, [True] * 7 + [False]]


def test_prompts_longer_than_the_model_is_given_are_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    """Instruction, cue and end are six tokens: the prompts have seven, nine and ten."""
    dialogues = ["cake", "Ann is late", "Ann is late again"]
    cut = {tokens: prompts.Prompt(tokenizer, tokens).too_long(dialogues) for tokens in (10, 9, 8, 6)}
    assert cut == {
        10: [False, False, False],
        9: [False, False, True],
        8: [False, True, True],
        6: [True, True, True],
    }


def test_decoding_reads_the_tokens_under_the_mask_without_special_ones(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = torch.tensor([ids_of("Ann <pad> rude </s> tea"), ids_of("dog cat tea cake </s>")])
    mask = torch.tensor([[True, True, True, True, False], [True] * 5])
    assert prompts.decode(tokenizer, ids, mask) == ["Ann rude", "dog cat tea cake"]


def test_a_response_that_is_the_end_of_sequence_alone_is_an_empty_text(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = torch.tensor([ids_of("</s> <pad>")])
    assert prompts.decode(tokenizer, ids, torch.tensor([[True, False]])) == [""]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("{dialogue}", "Ann is late again today </s>"),
        ("Summary: {dialogue}", "Summary: Ann is late again </s>"),
        ("{dialogue} Summary: cake", "Ann is late Summary: cake </s>"),
    ],
)
def test_a_prompt_of_other_words_is_cut_within_the_dialogue_too(
    tokenizer: PreTrainedTokenizerBase, text: str, kept: str
) -> None:
    ids, _ = prompts.Prompt(tokenizer, 6, text).encode(["Ann is late again today cake tea"])
    assert ids.tolist() == [ids_of(kept)]


def test_without_an_end_of_its_own_a_tokenizer_loses_the_end_of_the_dialogue_alone() -> None:
    """No cue is no tokens."""
    bare = word_tokenizer(VOCABULARY, "$A", pad="<pad>", eos="</s>")
    ids, _ = prompts.Prompt(bare, 3, "{dialogue}").encode(["Ann is late again"])
    assert ids.tolist() == [ids_of("Ann is late")]


def test_a_prompt_that_leaves_no_room_for_a_dialogue_is_refused(base: Path) -> None:
    text = "Ann " * 15 + "{dialogue}"
    p = Model(source=source_of(base), max_prompt_tokens=16, dtype="float32", prompt=text)
    with pytest.raises(InputError) as error:
        prompts.load(base, p)
    assert str(error.value) == (
        "params.yaml: model.prompt has 16 tokens without a dialogue, and model.max_prompt_tokens is 16: shorten the "
        "one or raise the other"
    )
    prompts.load(base, replace(p, max_prompt_tokens=17))


def test_decoding_undoes_encoding(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = ["Bob tells that the dog was angry", "tea", ""]
    assert prompts.decode(tokenizer, *prompts.Prompt(tokenizer, 30, "{dialogue}").encode(texts)) == texts


def test_a_tokenizer_that_reads_what_it_is_tried_on_and_not_a_dialogue_is_one_line(base: Path, tmp_path: Path) -> None:
    """It throws away all but z, for which its vocabulary has no token, nor one for what is unknown."""
    shutil.copytree(base, tmp_path / "base")
    tree = json.loads((path := tmp_path / "base/tokenizer.json").read_text())
    tree["normalizer"] = {"type": "Replace", "pattern": {"Regex": "[^z]"}, "content": ""}
    tree["model"] |= {"unk_token": "<none>"}
    path.write_text(json.dumps(tree))
    prompt = prompts.Prompt(prompts.tokenizer(tmp_path / "base"), 30)
    with pytest.raises(InputError, match=r"base cannot be read \(WordLevel error: .*get it again from its source$"):
        prompt.encode(["z"])
