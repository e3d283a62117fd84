"""What a model says of the next token: log-probability of a token, entropy, KL from another distribution, in nats.

Tensors in, tensors out. Axes: `batch`, any `tokens`, `vocab`. Logits may be off by a constant.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

AT_ONCE = 64  # distributions of which there are copies: one copy of all that T5-base's update reads is 50 MB


class _Logprobs(torch.autograd.Function):
    """`token_logprobs`, whose gradient is made in one tensor; autograd would have four of the logits' size at once."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor) -> Tensor:
        log_normalisers = logits.logsumexp(-1, keepdim=True)
        ctx.save_for_backward(logits, log_normalisers, tokens)
        return (logits.gather(-1, tokens.unsqueeze(-1)) - log_normalisers).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        logits, log_normalisers, tokens = ctx.saved_tensors
        gradient = gradients[0].unsqueeze(-1)
        probabilities = (logits - log_normalisers).exp_()
        return probabilities.mul_(-gradient).scatter_add_(-1, tokens.unsqueeze(-1), gradient), None


def token_logprobs(
    logits: Float[Tensor, "*tokens vocab"], tokens: Int64[Tensor, "*tokens"]
) -> Float[Tensor, " *tokens"]:
    """log p of one token of each next-token distribution: logitᵧ − log Σᵥ exp(logitᵥ).

    ∂/∂logitᵥ = [v = y] − pᵥ.
    """
    logprobs: Tensor = _Logprobs.apply(logits, tokens)
    return logprobs


def entropy(logits: Float[Tensor, "batch *tokens vocab"]) -> Float[Tensor, " batch *tokens"]:
    """Entropy of each next-token distribution in nats: −Σᵥ p·log p."""

    def of(part: Tensor) -> Tensor:
        logprobs = part.log_softmax(-1)
        return -(logprobs.exp() * logprobs).sum(-1)

    return torch.cat([of(part) for part in logits.split(AT_ONCE)])


class _Divergence(torch.autograd.Function):
    """`kl_divergence`, which keeps one tensor as large as the logits for its gradient; autograd would keep four."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, ref_logits: Tensor) -> Tensor:
        slope, kl = torch.empty_like(logits), logits.new_empty(logits.shape[:-1])
        parts = (each.split(AT_ONCE) for each in (logits, ref_logits, slope, kl))
        for x, ref, its_slope, its_kl in zip(*parts, strict=True):
            logprobs = x.log_softmax(-1)
            probabilities = logprobs.exp()
            ratios = logprobs.sub_(ref.log_softmax(-1))
            its_kl.copy_((probabilities * ratios).sum(-1))
            torch.mul(probabilities, ratios.sub_(its_kl.unsqueeze(-1)), out=its_slope)
        ctx.save_for_backward(slope)
        return kl

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0].unsqueeze(-1) * slope, None


def kl_divergence(
    logits: Float[Tensor, "batch *tokens vocab"], ref_logits: Float[Tensor, "batch *tokens vocab"]
) -> Float[Tensor, " batch *tokens"]:
    """KL of each next-token distribution from the reference's in nats: Σᵥ p·(log p − log p_ref). Never negative.

    ∂KL/∂logitᵥ = pᵥ·(log pᵥ − log p_refᵥ − KL); the reference's logits get no gradient.
    """
    kl: Tensor = _Divergence.apply(logits, ref_logits)
    return kl
