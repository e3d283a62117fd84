"""Attention without needless copies of keys and values.

Across: k responses read one copy of their prompt's, which are made, kept and read once. Within a response: each new
token's are written beside those before it.
"""

from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

SHARED = "shared_prompts"  # as `attn_implementation` of a model


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    position_bias: Tensor,
    **options: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention where k times as many rows ask as answer: the first k ask the first, and so on.

    The queries of the k rows stand behind one another as if they were positions of one, which is the same as long as
    none looks at another: query `[batch·k heads response width]`, key and value `[batch heads prompt width]`.
    """
    k = len(query) // len(key)
    query = query.unflatten(0, (-1, k)).transpose(1, 2).flatten(2, 3)
    position_bias = stacked(position_bias, k)
    attention_mask = None if attention_mask is None else stacked(attention_mask, k)
    output, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, position_bias=position_bias, **options
    )
    return output.unflatten(1, (k, -1)).flatten(0, 1), None


def stacked(tensor: Tensor, k: int) -> Tensor:
    """`[batch heads response prompt]` k times behind itself, `[batch heads k·response prompt]`: no copy for k = 1."""
    return tensor.unsqueeze(2).expand(-1, -1, k, -1, -1).flatten(2, 3)


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
            self.lazy_initialization(key_states, value_states)
            self.with_room = tuple(self.roomy(states[:, :, :0]) for states in (key_states, value_states))
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
