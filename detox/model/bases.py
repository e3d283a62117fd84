"""The base model below every adapter: frozen, and faster than as it comes, with the same results but for rounding."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedConfig, PreTrainedModel

from detox.errors import InputError
from detox.model import linear, pretrained
from detox.model.attention import SHARED

# model_type in a config.json of those whose attention detox.model.attention can be: it wants T5's relative positions,
# which the first layer makes for all of a pass, and masks of True and False.
SERVED = ("t5", "mt5", "longt5")


def check(folder: Path) -> PreTrainedModel:
    """The base without its weights, once it is one that serves, whole. Raises InputError."""
    described(folder)
    skeleton: PreTrainedModel = pretrained.check(AutoModelForSeq2SeqLM, folder)
    return skeleton


def load(folder: Path, dtype: str = "float32") -> PreTrainedModel:
    """The encoder–decoder in this folder, in this type of numbers, its head in float32.

    Raises InputError if it is damaged, or is none.
    """
    config = described(folder)
    if getattr(config, "dense_act_fn", None) == "gelu_new":
        config.dense_act_fn = "gelu_pytorch_tanh"  # the same function in one pass over the memory, not in eight
    model: PreTrainedModel = pretrained.model(
        AutoModelForSeq2SeqLM, folder, dtype, config=config, attn_implementation=SHARED
    )
    linear.freeze(model)
    if model.dtype != torch.float32:
        head = model.get_output_embeddings()  # in bfloat16 the logits around 16 are 1/8 apart
        head.weight = nn.Parameter(head.weight.float(), requires_grad=False)
    return model


def size(model: PreTrainedModel) -> int:
    """How many weights it has; a head that is the embeddings in float32, as `load` makes one, counts as none."""
    head, embeddings = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    copied = head is not embeddings and head.shape == embeddings.shape and head.equal(embeddings.float())
    return model.num_parameters() - copied * head.numel()


@contextmanager
def rounded(model: Any) -> Iterator[None]:
    """Within the block the head is in the type of numbers of the rest."""
    head = model.get_output_embeddings()
    weight = head.weight.data
    head.weight.data = weight.to(model.dtype)
    try:
        yield
    finally:
        head.weight.data = weight


def described(folder: Path) -> PreTrainedConfig:
    """What config.json says. Raises InputError if it is of a family that does not serve, or lacks a token."""
    check_family(folder)
    config = pretrained.config(folder)
    for name in ("pad_token_id", "eos_token_id", "decoder_start_token_id"):
        if (token := getattr(config, name, None)) not in range(config.vocab_size):
            raise InputError(f"{folder / 'config.json'}: {name} is {token}, which is no token of the model: correct it")
    return config


def check_family(folder: Path) -> None:
    """Raises InputError if config.json is of a family that does not serve."""
    if (kind := pretrained.config(folder).model_type) not in SERVED:
        raise InputError(
            f"{folder / 'config.json'}: model_type is {kind}, but a base has to be one of {', '.join(SERVED)} (T5, "
            "FLAN-T5, T5 v1.1 and mT5 are): choose another one"
        )
