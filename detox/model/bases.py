"""The base model below every adapter: frozen, and faster than as it comes, with the same results but for rounding."""

from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from detox.errors import InputError
from detox.model import linear, pretrained
from detox.model.attention import SHARED


def load(folder: Path, dtype: str = "float32") -> PreTrainedModel:
    """The encoder–decoder in this folder, in this type of numbers, its head in float32.

    Raises InputError if it is damaged, or is none.
    """
    config = pretrained.config(folder)
    for name in ("pad_token_id", "eos_token_id", "decoder_start_token_id"):
        if (token := getattr(config, name, None)) not in range(config.vocab_size):
            raise InputError(f"{folder / 'config.json'}: {name} is {token}, which is no token of the model: correct it")
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
