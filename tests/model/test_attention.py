"""Attention over keys that several rows share, against PyTorch's own over keys that are repeated."""

import pytest
import torch
from torch import Tensor, nn

from detox.model.attention import additive_mask, attend, by_products

BATCH, HEADS, WIDTH, PROMPT = 2, 3, 4, 5
MASK = torch.tensor([[True] * 5, [True, True, True, False, False]])


class Layer(nn.Module):
    def __init__(self, is_causal: bool):
        super().__init__()
        self.is_causal = is_causal


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_rows_that_share_keys_attend_as_to_keys_of_their_own(k: int, length: int) -> None:
    query = noise(BATCH * k, HEADS, length, WIDTH)
    key, value = noise(BATCH, HEADS, PROMPT, WIDTH), noise(BATCH, HEADS, PROMPT, WIDTH).flip(0)
    bias, mask = noise(1, HEADS, length, PROMPT), MASK[:, None, None].expand(-1, 1, length, -1)
    output, weights = attend(Layer(False), query, key, value, mask, bias, scaling=1.0)
    own_key, own_value, own_mask = (tensor.repeat_interleave(k, dim=0) for tensor in (key, value, mask))
    scores = (query @ own_key.transpose(2, 3) + bias).masked_fill(~own_mask, -torch.inf)
    torch.testing.assert_close(output, (scores.softmax(-1) @ own_value).transpose(1, 2), rtol=0, atol=1e-12)
    assert weights is None


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_in_two_products_it_is_the_same(dtype: torch.dtype, error: float) -> None:
    """Of numbers that bfloat16 holds; only what is looked at is rounded to it, and the result."""
    query, key, value = (noise(BATCH, HEADS, PROMPT, WIDTH).roll(shift, 3).bfloat16().double() for shift in range(3))
    bias = noise(1, HEADS, PROMPT, PROMPT).bfloat16().double()
    expected = (query @ key.transpose(2, 3) * 0.5 + bias).softmax(-1) @ value
    got = by_products(query.to(dtype), key.to(dtype), value.to(dtype), bias.to(dtype), 0.0, 0.5)
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=error)


def test_what_is_dropped_of_what_is_looked_at_counts_as_0_and_the_rest_for_more() -> None:
    """With one-hot values the output is what is looked at: a quarter for each of four, 0 or twice that when dropped."""
    torch.manual_seed(7)
    nothing, value = torch.zeros(8, HEADS, 4, 4), torch.eye(4).expand(8, HEADS, 4, 4)
    looks, _ = attend(Layer(False), nothing, nothing, value, None, torch.zeros(1, HEADS, 4, 4), 1.0, dropout=0.5)
    assert looks.unique().tolist() == [0.0, 0.5]
    assert 0.3 < (looks == 0).double().mean() < 0.7


def test_without_a_mask_a_causal_layer_looks_at_what_came_before_and_another_at_all() -> None:
    query, key, value = (noise(1, HEADS, 4, WIDTH).roll(shift, dims=3) for shift in range(3))
    bias = noise(1, HEADS, 4, 4)
    scores = query @ key.transpose(2, 3) + bias
    for causal, seen in ((True, torch.ones(4, 4).tril().bool()), (False, torch.ones(4, 4).bool())):
        output, _ = attend(Layer(causal), query, key, value, None, bias, scaling=1.0)
        expected = (scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value).transpose(1, 2)
        torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)


def test_the_layers_of_a_pass_share_a_mask_and_another_pass_has_its_own() -> None:
    own, across, mask = noise(1, HEADS, 3, 3), noise(1, HEADS, 3, PROMPT), MASK[:, None, None]
    passes = [(additive_mask(own, None, 1, True), additive_mask(across, mask, 2, False)) for _ in range(3)]
    assert all(first is passes[0][0] and second is passes[0][1] for first, second in passes)
    other = additive_mask(across, ~mask, 2, False)
    assert (other > -100).equal((~mask).expand(-1, HEADS, 6, -1))
