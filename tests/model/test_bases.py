"""Which bases serve: those that compute here what transformers computes, k responses to a prompt or one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny import DIALOGUES, VOCABULARY, save_adapter, word_tokenizer
from torch import Tensor, nn
from transformers import (
    AutoModelForSeq2SeqLM,
    LongT5Config,
    MT5Config,
    PegasusConfig,
    PreTrainedConfig,
    SwitchTransformersConfig,
    T5Config,
    UMT5Config,
)

from detox.errors import InputError
from detox.model import bases, prompts
from detox.model.policy import Policy

pytest_plugins = ["models"]

TOKENS: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
    "d_model": 32,
}
SIZES = TOKENS | {"d_kv": 8, "num_heads": 4, "d_ff": 64, "num_layers": 2}
GATED: dict[str, Any] = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
SERVED: dict[str, PreTrainedConfig] = {
    "T5 of 2019": T5Config(**SIZES, feed_forward_proj="relu"),
    "T5 v1.1 and FLAN-T5": T5Config(**SIZES, **GATED),
    "mT5": MT5Config(**SIZES, **GATED),
    "LongT5, of local attention": LongT5Config(**SIZES, encoder_attention_type="local", local_radius=4),
    "LongT5, of global attention": LongT5Config(**SIZES, encoder_attention_type="transient-global", local_radius=4),
}


def save(config: PreTrainedConfig, folder: Path) -> Path:
    """A random model of this configuration, with a tokenizer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    word_tokenizer(VOCABULARY, "$A </s>", pad="<pad>", eos="</s>").save_pretrained(folder)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tied", [True, False])
def test_its_size_is_that_of_its_file_whatever_its_type_of_numbers(tied: bool, dtype: str, tmp_path: Path) -> None:
    """A tied model's file has embeddings and head once."""
    save(T5Config(**SIZES, tie_word_embeddings=tied), tmp_path)  # type: ignore[call-arg]
    if not tied:
        model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
        model.lm_head.weight = nn.Parameter(torch.randn_like(model.lm_head.weight))
        model.save_pretrained(tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    assert ("lm_head.weight" in held) is not tied
    assert bases.size(bases.load(tmp_path, dtype)) == sum(tensor.numel() for tensor in held.values())


def logprobs(model: nn.Module, ids: Tensor, mask: Tensor, responses: Tensor) -> Tensor:
    """log π of each token of the responses, by transformers' own pass over each prompt with each of its responses."""
    start = torch.cat([torch.zeros_like(responses[:, :1]), responses[:, :-1]], dim=1)
    k = len(responses) // len(ids)
    prompt = {"input_ids": ids.repeat_interleave(k, 0), "attention_mask": mask.long().repeat_interleave(k, 0)}
    logits: Tensor = model(**prompt, decoder_input_ids=start).logits
    return logits.log_softmax(-1).gather(-1, responses[..., None])[..., 0]


@pytest.mark.parametrize("name", SERVED)
@torch.no_grad()
def test_a_base_that_serves_decodes_and_scores_as_in_transformers(name: str, tmp_path: Path) -> None:
    """Two samples of each prompt; the policy is its reference."""
    base, adapter = save(SERVED[name], tmp_path / "base"), tmp_path / "adapter"
    save_adapter(adapter, base, seed=1)
    bases.check(base)
    plain = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(base), adapter).eval()
    ids, mask = prompts.Prompt(prompts.tokenizer(base), 30).encode(DIALOGUES)
    policy = Policy(base, adapter)
    sample = policy.sample(ids, mask, range(2 * len(ids)), 8)
    expected = logprobs(plain, ids, mask, sample.ids) * sample.mask
    assert expected.min() < -0.1
    torch.testing.assert_close(sample.logprobs, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(
        policy.evaluate(ids, mask, sample.ids, sample.mask).logprobs, expected, rtol=0, atol=1e-4
    )
    with policy.reference():
        reference = policy.evaluate(ids, mask, sample.ids, sample.mask).logprobs
    torch.testing.assert_close(reference, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (PegasusConfig(**TOKENS, encoder_layers=1, decoder_layers=1), "pegasus"),
        (UMT5Config(**SIZES), "umt5"),
        (SwitchTransformersConfig(**SIZES, num_experts=2), "switch_transformers"),
    ],
)
def test_a_base_of_another_family_is_refused_before_its_weights_are_read(
    config: PreTrainedConfig, kind: str, tmp_path: Path
) -> None:
    """Of these attention has no relative positions, other ones in every layer, or masks that are added."""
    config.save_pretrained(tmp_path)
    for open_it in (bases.check, bases.load):
        with pytest.raises(
            InputError, match=rf"config\.json: model_type is {kind}, but a base has to be one of t5, mt5"
        ):
            open_it(tmp_path)


def test_a_base_is_checked_without_its_weights(base: Path) -> None:
    assert {weight.device.type for weight in bases.check(base).parameters()} == {"meta"}
