"""The base before and after it learns: a T5 of FLAN's shape with a few layers, more words, a lower temperature."""

import re
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

CAPITAL = "▁[A-Z][a-z]+"  # a piece


def new_base(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """An untrained T5 with FLAN's gated layers, but SiLU for GELU; the head is tied, for copying."""
    config = T5Config(  # type: ignore[call-arg]
        vocab_size=len(tokenizer),
        d_model=192,
        d_kv=32,
        num_heads=6,
        d_ff=512,
        num_layers=3,
        num_decoder_layers=2,
        feed_forward_proj="gated-silu",
        dropout_rate=0.0,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=128,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    model = T5ForConditionalGeneration(config)
    incline_to_copy(model.encoder, model.decoder)
    return model


@torch.no_grad()
def incline_to_copy(encoder: Any, decoder: Any) -> None:
    """Starts the attention where copying is near.

    Cross-attention looks for the token at hand (W_k ∝ W_q) and what is attended to comes through (W_o = W_vᵀ), as in
    mimetic initialisation (Trockman & Kolter 2023, arXiv 2305.09828); one head each looks one token back or ahead.
    """
    for stack in (encoder, decoder):
        bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        bias.zero_()
        bias[1, 0] = 4.0  # bucket 1 is the token before
        for block in stack.block:
            attention = block.layer[0].SelfAttention
            attention.o.weight.copy_(attention.v.weight.T)
    encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight[17, 1] = 4.0  # 17: the token after
    for block in decoder.block:
        attention = block.layer[1].EncDecAttention
        attention.o.weight.copy_(attention.v.weight.T)
        attention.k.weight.copy_(attention.q.weight * decoder.config.d_kv**0.5)


@torch.no_grad()
def with_vectors(base: Any, tokenizer: PreTrainedTokenizerFast, wider: PreTrainedTokenizerFast) -> Any:
    """The base for a wider vocabulary: a new word's vector is the mean of those of the pieces that spelt it.

    With a capital it is the word's own and, beside, by what the known words with a capital differ from those without.
    """
    known, vectors = tokenizer.get_vocab(), base.shared.weight.clone()
    pairs = [(row, known.get(piece.lower())) for piece, row in known.items() if re.fullmatch(CAPITAL, piece)]
    capital = torch.stack([vectors[row] - vectors[lower] for row, lower in pairs if lower is not None]).mean(0)
    base.resize_token_embeddings(len(wider), mean_resizing=False)
    for piece, row in wider.get_vocab().items():
        if piece in known:
            base.shared.weight[row] = vectors[known[piece]]
        elif re.fullmatch(CAPITAL, piece):
            base.shared.weight[row] = vectors[known[piece.lower()]] + capital
        else:
            base.shared.weight[row] = vectors[tokenizer(piece[1:], add_special_tokens=False)["input_ids"]].mean(0)
    return base


@torch.no_grad()
def sharpened(base: T5ForConditionalGeneration, factor: float) -> T5ForConditionalGeneration:
    """The base with its logits times `factor`, whatever the adapter: its temperature falls to 1 / factor."""
    base.decoder.final_layer_norm.weight.mul_(factor)
    return base
