"""Cross-attention of k responses over one copy of their prompt: its keys and values are made, kept and read once."""

from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
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


AttentionInterface.register(SHARED, attend)
AttentionMaskInterface.register(SHARED, sdpa_mask)
