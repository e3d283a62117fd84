"""The base model and its adapter: a T5 of FLAN's shape with a few layers, and a LoRA that teaches it to summarise."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from tqdm import tqdm
from transformers import Adafactor, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from detox.model.prompts import fill
from detox.params.kinds import PROMPT
from miniature.corpus import annotate
from miniature.pretraining import SENTINELS, Example, blurred, example, scene

VOCABULARY = 3000
BATCH = 16
BUCKET = 64  # batches drawn at once and sorted by length, so that little is padding


def train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A BPE vocabulary in T5's conventions. Digits and punctuation stand alone: values are copied piece by piece."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split(Regex(r"▁?#Person\d#|▁?\d|[^\w▁]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    special = ["<pad>", "</s>", "<unk>"]
    alphabet = [chr(c) for c in range(33, 127)] + ["▁"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SENTINELS), special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=SENTINELS,
        model_max_length=512,
    )


def new_base(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """An untrained T5 with FLAN's gated layers, but SiLU for GELU; the head is tied, for copying."""
    config = T5Config(  # type: ignore[call-arg]
        vocab_size=VOCABULARY,
        d_model=128,
        d_kv=32,
        num_heads=4,
        d_ff=384,
        num_layers=2,
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
    draw: Callable[[], Example], tokenizer: PreTrainedTokenizerFast, size: int, rng: Random
) -> Iterator[dict[str, Tensor]]:
    """Endless batches of similar length from a source of examples; the labels' padding is ignored by the loss."""
    while True:
        pool = [draw() for _ in range(size * BUCKET)]
        sources, targets = (tokenizer(list(texts), truncation=True)["input_ids"] for texts in zip(*pool, strict=True))
        order = sorted(range(len(pool)), key=lambda i: (len(targets[i]) // 16, len(sources[i])))
        chunks = [order[i : i + size] for i in range(0, len(order), size)]
        rng.shuffle(chunks)
        for chunk in chunks:
            batch = tokenizer.pad({"input_ids": [sources[i] for i in chunk]}, return_tensors="pt")
            labels = tokenizer.pad({"input_ids": [targets[i] for i in chunk]}, return_tensors="pt")["input_ids"]
            yield {**batch, "labels": labels.masked_fill(labels == tokenizer.pad_token_id, -100)}


def fit(
    model: torch.nn.Module, data: Iterator[dict[str, Tensor]], steps: int, optimizer: torch.optim.Optimizer, title: str
) -> None:
    """Minimises the model's own loss, with a short warm-up and a cosine decay of the learning rate."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    warmup = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
    )
    model.train()
    progress = tqdm(islice(data, steps), total=steps, desc=title, mininterval=5)
    average = None
    for batch in progress:
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        progress.set_postfix(loss=f"{average:.3f}")
    model.eval()


def pretrain(tokenizer: PreTrainedTokenizerFast, steps: int, seed: int) -> T5ForConditionalGeneration:
    """The base: text-to-text tasks over training dialogues and notes, no summaries."""
    torch.manual_seed(seed)
    rng = Random(seed)
    model = new_base(tokenizer)
    # T5's own optimiser: its step is relative to a weight's size, which suits embeddings of size 1.
    optimizer = Adafactor(model.parameters(), lr=2e-2, scale_parameter=True, relative_step=False)
    fit(model, batches(lambda: example(rng), tokenizer, BATCH, rng), steps, optimizer, "base")
    return model


def tune(base: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, steps: int, seed: int) -> PeftModel:
    """The adapter: supervised summaries of fresh training scenes, LoRA r=32 on all linear layers.

    On q and v alone, as the reference setting has it for FLAN-T5, the loss falls some 3.5 times more slowly.
    """
    torch.manual_seed(seed)
    rng = Random(seed)
    config = LoraConfig(
        r=32,
        lora_alpha=32,
        target_modules=["q", "k", "v", "o", "wi_0", "wi_1", "wo"],
        lora_dropout=0.0,
        bias="none",
        task_type="SEQ_2_SEQ_LM",
    )
    model = get_peft_model(base, config)

    def draw() -> Example:
        shown = scene(rng)
        return fill(PROMPT, blurred(shown, rng)), annotate(shown, rng)

    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=4e-3)
    fit(model, batches(draw, tokenizer, BATCH, rng), steps, optimizer, "adapter")
    return model
