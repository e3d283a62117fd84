"""Attention without needless copies of keys and values.

Across: k responses read one copy of their prompt's, which are made, kept and read once. Within a response: each new
token's are written beside those before it. In all layers of a pass one mask.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicLayer
from transformers.masking_utils import sdpa_mask

from detox.model.dropout import dropout as dropped

SHARED = "shared_prompts"  # as `attn_implementation` of a model


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    position_bias: Tensor,
    scaling: float,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention where k times as many rows ask as answer: the first k ask the first, and so on.

    The queries of the k rows stand behind one another as if they were positions of one, which is the same as long as
    none looks at another: query `[batch·k heads response width]`, key and value `[batch heads prompt width]`.
    """
    k, length = len(query) // len(key), query.shape[2]
    causal = attention_mask is None and length > 1 and bool(module.is_causal)
    mask = additive_mask(position_bias, attention_mask, k, causal)
    query = query.unflatten(0, (-1, k)).transpose(1, 2).flatten(2, 3)
    attention = by_products if in_products(query, dropout) else functional.scaled_dot_product_attention
    output = attention(query, key, value, mask, dropout, scale=scaling)
    return output.transpose(1, 2).contiguous().unflatten(1, (k, -1)).flatten(0, 1), None


def in_products(states: Tensor, dropout: float = 0.0) -> bool:
    """Whether attention to or of these is `by_products`."""
    return states.device.type == "cpu" and (states.dtype == torch.bfloat16 or dropout > 0)


def by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout: float, scale: float) -> Tensor:
    """softmax(scale · query · keyᵀ + mask) · value as two matrix products, the first and the softmax in float32.

    `[batch heads length width]`, mask `[1 or batch, heads, length, prompt]`. On a CPU PyTorch's own attention takes up
    to three times as long in bfloat16, and longer than in float32.
    """
    rows = [tensor.flatten(0, 1) for tensor in (query.float(), key.float(), value)]
    added = mask.float().expand(len(query), -1, -1, -1).flatten(0, 1)
    scores = torch.baddbmm(added, rows[0], rows[1].transpose(1, 2), alpha=scale)
    looks = scores.softmax(-1).to(value.dtype)
    return ((dropped(looks, dropout) if dropout else looks) @ rows[2]).unflatten(0, query.shape[:2])


@lru_cache(maxsize=2)  # a decoder's layers attend to the response and to the prompt in turn
def additive_mask(position_bias: Tensor, attention_mask: Tensor | None, k: int, causal: bool) -> Tensor:
    """What is added to the scores: `[batch heads k·response prompt]`, the lowest number where nobody looks.

    T5 hands the very same tensors to all layers of a pass. Made in each of them anew, and kept by each for its
    gradient, it was a quarter of the memory of an update of T5-base.
    """
    length, prompt = position_bias.shape[2:]
    if causal:
        attention_mask = torch.ones(length, prompt, dtype=torch.bool, device=position_bias.device).tril()[None, None]
    if attention_mask is not None:
        position_bias = torch.where(attention_mask, position_bias, torch.finfo(position_bias.dtype).min)
    return position_bias.unsqueeze(2).expand(-1, -1, k, -1, -1).flatten(2, 3).contiguous()


def scored(keys: Tensor) -> Tensor:
    """Keys as `by_products` reads them, so that it need not convert them for every token anew."""
    return keys.float() if in_products(keys) else keys


class OfPrompts(DynamicLayer):
    """A layer's keys and values of the prompts."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Takes `[batch heads prompt width]`, once, and gives them back."""
        return super().update(scored(key_states), value_states, *args, **kwargs)


class RoomForAll(DynamicLayer):
    """A layer's keys and values of the responses so far, in tensors with room for all of their tokens.

    transformers' own layer copies what there is for every token that comes, so that for a moment it is there twice.
    """

    def __init__(self, tokens: int):
        super().__init__()
        self.tokens = tokens

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends `[batch heads more width]` and gives back all that there is, as views."""
        if not self.is_initialized:
            self.lazy_initialization(scored(key_states), value_states)
            self.with_room = tuple(self.roomy(states[:, :, :0]) for states in (scored(key_states), value_states))
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        for room, more in zip(self.with_room, (key_states, value_states), strict=True):
            room[:, :, start:end] = more
        self.keys, self.values = (room[:, :, :end] for room in self.with_room)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps the responses for which these are True."""
        length = self.get_seq_length()
        self.with_room = tuple(self.roomy(room[:, :, :length][indices]) for room in self.with_room)
        self.keys, self.values = (room[:, :, :length] for room in self.with_room)

    def roomy(self, states: Tensor) -> Tensor:
        """A copy, `[batch heads tokens width]`; what lies behind the given ones is not set."""
        copy = states.new_empty(len(states), states.shape[1], self.tokens, states.shape[3])
        copy[:, :, : states.shape[2]] = states
        return copy


AttentionInterface.register(SHARED, attend)
AttentionMaskInterface.register(SHARED, sdpa_mask)
