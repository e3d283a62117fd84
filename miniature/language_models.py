"""The base model and its adapter: a T5 of FLAN's shape with a few layers, and a LoRA that teaches it to summarise."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import Adafactor, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from detox.model.prompts import fill
from detox.params.kinds import PROMPT
from miniature import training
from miniature.corpus import annotate
from miniature.pretraining import SHORT, Example, blurred, example, scene
from miniature.scenes import styles

CAPITAL = "▁[A-Z][a-z]+"  # a piece
BUCKET = 32  # batches drawn at once and sorted by length, so that little is padding


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


def batches(
    draw: Callable[[Random, int], Example], tokenizer: PreTrainedTokenizerFast, plan: training.Plan, start: int
) -> Iterator[dict[str, Tensor]]:
    """Endless batches of similar length, from number `start` on: which they are depends on the seed and number alone.

    Every source is encoded once for all of its targets; the labels' padding is ignored by the loss.
    """
    for chunk in range(start // BUCKET, 10**9):
        rng = Random(f"{plan.seed} {chunk}")
        pool = [draw(rng, chunk * BUCKET) for _ in range(plan.batch * BUCKET)]
        sources = tokenizer([source for source, _ in pool], truncation=True)["input_ids"]
        targets = [tokenizer(list(texts), truncation=True)["input_ids"] for _, texts in pool]
        order = sorted(range(len(pool)), key=lambda i: (len(targets[i]), len(sources[i]) // 8, len(targets[i][0])))
        chunks = [order[i : i + plan.batch] for i in range(0, len(order), plan.batch)]
        chunks = [[i for i in rows if len(targets[i]) == len(targets[rows[0]])] for rows in chunks]
        rng.shuffle(chunks)
        for rows in chunks[start % BUCKET if chunk == start // BUCKET else 0 :]:
            batch = tokenizer.pad({"input_ids": [sources[i] for i in rows]}, return_tensors="pt")
            flat = [target for i in rows for target in targets[i]]
            labels = tokenizer.pad({"input_ids": flat}, return_tensors="pt")["input_ids"]
            yield {**batch, "labels": labels.masked_fill(labels == tokenizer.pad_token_id, -100)}


def loss_of(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Cross-entropy a token; the encoder reads each source once, the decoder writes all of its targets."""
    states = model.get_encoder()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])[0]
    copies = len(batch["labels"]) // len(states)
    return model(
        encoder_outputs=BaseModelOutput(states.repeat_interleave(copies, 0)),
        attention_mask=batch["attention_mask"].repeat_interleave(copies, 0),
        labels=batch["labels"],
    ).loss


def optimise(
    model: Any,
    draw: Callable[[Random, int], Example],
    tokenizer: PreTrainedTokenizerFast,
    plan: training.Plan,
    state: Path,
) -> float:
    """Trains all weights that are to be on what `draw` gives; the seconds that it took."""
    # T5's own optimiser: its step is relative to a weight's size, which suits embeddings of size 1.
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = Adafactor(trainable, lr=plan.learning_rate, scale_parameter=True, relative_step=False)
    data = lambda start: batches(draw, tokenizer, plan, start)  # noqa: E731
    return training.fit(model, data, lambda batch: loss_of(model, batch), optimizer, plan, state)


def pretrain(
    tokenizer: PreTrainedTokenizerFast, plan: training.Plan, state: Path, device: torch.device
) -> tuple[T5ForConditionalGeneration, float]:
    """The base: text-to-text tasks over parts of training dialogues, no summaries. Also the seconds that it took."""
    torch.manual_seed(plan.seed)
    model = new_base(tokenizer).to(device)  # type: ignore[arg-type]
    return model, optimise(model, example, tokenizer, plan, state)


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


def learn_words(
    base: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    words: list[str],
    plan: training.Plan,
    state: Path,
) -> tuple[T5ForConditionalGeneration, float]:
    """The base goes on with more words. Also the seconds that it took.

    Its weights are rounded to half precision, in which they are stored: the adapter is tuned on what is stored.
    """
    seconds = optimise(base, lambda rng, _: example(rng, SHORT, words), tokenizer, plan, state)
    return base.half().float(), seconds


@torch.no_grad()
def sharpened(base: T5ForConditionalGeneration, factor: float) -> T5ForConditionalGeneration:
    """The base with its logits times `factor`, whatever the adapter: its temperature falls to 1 / factor."""
    base.decoder.final_layer_norm.weight.mul_(factor)
    return base


def summaries(rng: Random, words: list[str]) -> Example:
    """A training scene and what each annotator makes of it."""
    shown = scene(rng, words)
    return fill(PROMPT, blurred(shown, rng, words)), [annotate(shown, style, rng) for style in styles(shown)]


def tune(
    base: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    words: list[str],
    plan: training.Plan,
    state: Path,
) -> tuple[PeftModel, float]:
    """The adapter: supervised summaries of fresh training scenes, LoRA r=32 on all linear layers.

    On q and v alone, as the reference setting has it for FLAN-T5, the loss falls some 3.5 times more slowly.
    """
    torch.manual_seed(plan.seed)
    config = LoraConfig(
        r=32,
        lora_alpha=32,
        target_modules=["q", "k", "v", "o", "wi_0", "wi_1", "wo"],
        lora_dropout=0.0,
        bias="none",
        task_type="SEQ_2_SEQ_LM",
    )
    model = get_peft_model(base, config)
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=plan.learning_rate)
    data = lambda start: batches(lambda rng, _: summaries(rng, words), tokenizer, plan, start)  # noqa: E731
    seconds = training.fit(model, data, lambda batch: loss_of(model.get_base_model(), batch), optimizer, plan, state)
    return model, seconds


def finish(
    model: PeftModel, tokenizer: PreTrainedTokenizerFast, words: list[str], plan: training.Plan, state: Path
) -> float:
    """The adapter goes on, and with it the vectors of the base's vocabulary. The seconds that it took.

    A piece that is rare in training is hardly ever a target before, and then cannot be written.
    """
    base: Any = model.get_base_model()
    base.get_input_embeddings().requires_grad_(True)
    seconds = optimise(base, lambda rng, _: summaries(rng, words), tokenizer, plan, state)
    base.get_input_embeddings().requires_grad_(False)
    return seconds
