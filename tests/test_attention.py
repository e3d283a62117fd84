"""Attention over keys that several rows share, against PyTorch's own over keys that are repeated."""

import pytest
import torch
from torch import Tensor, nn

from detox.attention import attend

BATCH, HEADS, WIDTH, PROMPT = 2, 3, 4, 5
MASK = torch.tensor([[True] * 5, [True, True, True, False, False]])


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_rows_that_share_keys_attend_as_to_keys_of_their_own(k: int, length: int) -> None:
    query = noise(BATCH * k, HEADS, length, WIDTH)
    key, value = noise(BATCH, HEADS, PROMPT, WIDTH), noise(BATCH, HEADS, PROMPT, WIDTH).flip(0)
    bias, mask = noise(1, HEADS, length, PROMPT), MASK[:, None, None].expand(-1, 1, length, -1)
    output, weights = attend(nn.Identity(), query, key, value, mask, position_bias=bias, scaling=1.0, is_causal=False)
    own_key, own_value, own_mask = (tensor.repeat_interleave(k, dim=0) for tensor in (key, value, mask))
    scores = (query @ own_key.transpose(2, 3) + bias).masked_fill(~own_mask, -torch.inf)
    torch.testing.assert_close(output, (scores.softmax(-1) @ own_value).transpose(1, 2), rtol=0, atol=1e-12)
    assert weights is None
