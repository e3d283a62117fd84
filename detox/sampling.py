"""Drawing tokens so that a sample depends on its own seed and logits alone, not on the batch it happens to be in."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor


class Sample(NamedTuple):
    """Responses drawn for a batch of prompts, with what the decoder computed on the way."""

    ids: Tensor  # [batch response] int64, padding behind the end
    mask: Tensor  # [batch response] bool, true through the end-of-sequence token, the first token included
    logprobs: Tensor  # [batch response] log π of each token; 0 where the mask is False
    values: Tensor  # [batch response] value of the state before each token; 0 where the mask is False
    states: Tensor  # [batch response width] what the language model's head read to draw each token


class Draw(LogitsProcessor):
    """Turns greedy decoding into sampling at temperature 1: inverts the cumulative distribution (Devroye 1986, II.2).

    Token t of a row is the first v with Σ_{w ≤ v} p(w) > u, and u is the t-th number of the row's own generator. A row
    whose seed is None takes the most probable token instead.
    """

    def __init__(self, seeds: Sequence[int | None], max_new_tokens: int):
        generators = [torch.Generator().manual_seed(seed or 0) for seed in seeds]
        self.uniform = torch.stack([torch.rand(max_new_tokens, generator=generator) for generator in generators])
        self.greedy = torch.tensor([[seed is None] for seed in seeds])
        self.logprobs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        probabilities = scores.softmax(dim=-1)
        cumulative = probabilities.cumsum(dim=-1)
        position = len(self.logprobs)
        # Times the last sum, which rounding may leave below 1.
        token = torch.searchsorted(cumulative, self.uniform[:, position, None] * cumulative[:, -1:], right=True)
        token = torch.where(self.greedy, scores.argmax(dim=-1, keepdim=True), token)
        self.logprobs.append(probabilities.gather(1, token).log().squeeze(1))
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0.0)
