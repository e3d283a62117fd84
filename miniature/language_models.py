"""How the base and its adapter learn: text-to-text tasks, and summaries by a LoRA."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from torch.optim import AdamW, Optimizer
from transformers import Adafactor, PreTrainedTokenizerFast, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from detox.model.prompts import fill
from detox.params.kinds import PROMPT
from miniature import training
from miniature.architecture import new_base
from miniature.corpus import annotate
from miniature.pretraining import SHORT, Example, blurred, example, scene
from miniature.scenes import styles

BUCKET = 32  # batches drawn at once and sorted by length, so that little is padding
# T5's own optimiser: its step is relative to a weight's size, which suits embeddings of size 1.
FACTORED = partial(Adafactor, scale_parameter=True, relative_step=False)


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
    make_optimizer: Callable[..., Optimizer] = FACTORED,
) -> float:
    """Trains all weights that are to be on what `draw` gives; the seconds that it took."""
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    data = lambda start: batches(draw, tokenizer, plan, start)  # noqa: E731
    optimizer = make_optimizer(trainable, lr=plan.learning_rate)
    return training.fit(model, data, lambda batch: loss_of(model, batch), optimizer, plan, state)


def pretrain(
    tokenizer: PreTrainedTokenizerFast, plan: training.Plan, state: Path, device: torch.device
) -> tuple[T5ForConditionalGeneration, float]:
    """The base: text-to-text tasks over parts of training dialogues, no summaries. Also the seconds that it took."""
    torch.manual_seed(plan.seed)
    model = new_base(tokenizer).to(device)  # type: ignore[arg-type]
    return model, optimise(model, example, tokenizer, plan, state)


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
    draw = lambda rng, _: summaries(rng, words)  # noqa: E731
    return model, optimise(model.get_base_model(), draw, tokenizer, plan, state, AdamW)


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
