"""The mathematics of PPO over the responses of an encoder–decoder: tensors in, tensors out.

The decoder reads the response shifted right by one, so `logprobs[:, t]` belongs to `response[:, t]` and no slice of a
prompt has to be cut off. `values[:, t]` is the value of the state before token t. A mask is True where a token counts.

The policy maximises E[score − β·KL(π ‖ π_ref)]. The sequence's KL is E[Σₜ KLₜ] with KLₜ = KL(π(·|sₜ) ‖ π_ref(·|sₜ)),
exact over the vocabulary, and so its gradient has two parts (Amini et al. 2025, arXiv 2504.10637, §4):

    ∇KL = E[ Σₜ ∇KLₜ + Σₜ ∇log π(yₜ|sₜ)·Σ_{u>t} KLᵤ ]

The first is differentiated (`kl_divergence` in the loss), the second is a price on the token that led there
(`token_rewards`). The customary penalty, −β·(log π(yₜ) − log π_ref(yₜ)) in the reward, has the same expectation,
but its noise drowns what the classifier says.

Axes: `batch` episodes (one response each), `response` tokens (padded on the right), `vocab`.
Sources: PPO is Schulman et al. 2017 (arXiv 1707.06347), GAE Schulman et al. 2016 (arXiv 1506.02438), the KL penalty
and its controller Ziegler et al. 2019 (arXiv 1909.08593).
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Tokens = Float[Tensor, "batch response"]
Mask = Bool[Tensor, "batch response"]
Episodes = Float[Tensor, " batch"]
Scalar = Float[Tensor, ""]

AT_ONCE = 64  # distributions of which there are copies: one copy of all that T5-base's update reads is 50 MB


def token_rewards(scores: Episodes, kl: Tokens, mask: Mask, kl_coef: float) -> Tokens:
    """Reward of every token: rₜ = −β·KLₜ₊₁, in the score's units, plus the score on the last valid token.

    A token pays for the state that it leads to; KL₀ is nobody's doing. Every row needs a valid token.
    """
    kl = kl * mask
    rewards = -kl_coef * torch.cat([kl[:, 1:], torch.zeros_like(kl[:, :1])], dim=1)
    last = mask.sum(dim=1, keepdim=True) - 1
    return rewards.scatter_add(1, last, scores.unsqueeze(1))


def gae(rewards: Tokens, values: Tokens, mask: Mask, gamma: float, lam: float) -> tuple[Tokens, Tokens]:
    """Generalised advantage estimates and returns (Schulman et al. 2016, eq. 16).

    δₜ = rₜ + γ·V(sₜ₊₁) − V(sₜ),  Âₜ = δₜ + γλ·Âₜ₊₁,  Rₜ = Âₜ + V(sₜ). The last valid token is terminal: nothing is
    bootstrapped behind it. Both results are 0 where the mask is False.
    """
    values = values * mask
    next_values = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    deltas = (rewards + gamma * next_values - values) * mask
    advantages = torch.zeros_like(deltas)
    running = torch.zeros_like(deltas[:, 0])
    for t in reversed(range(deltas.shape[1])):
        running = deltas[:, t] + gamma * lam * running
        advantages[:, t] = running
    return advantages, advantages + values


def spread(x: Tokens, mask: Mask) -> Scalar:
    """√(variance + 1e-8) over the valid tokens, with Bessel's correction."""
    return (x[mask].var() + 1e-8).sqrt()


def whiten(x: Tokens, mask: Mask) -> Tokens:
    """(x − mean) / `spread` over the valid tokens; 0 elsewhere."""
    return (x - x[mask].mean()) / spread(x, mask) * mask


def policy_loss(logprobs: Tokens, old_logprobs: Tokens, advantages: Tokens, mask: Mask, clip_range: float) -> Scalar:
    """Clipped surrogate, summed over valid tokens: Σₜ −min(ρₜ·Âₜ, clip(ρₜ, 1−ε, 1+ε)·Âₜ), ρₜ = π/π_old (PPO, eq. 7).

    A sum, so that the caller divides by the tokens of the whole optimiser batch however he cuts it up.
    """
    ratio = torch.exp(logprobs - old_logprobs)
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(1 - clip_range, 1 + clip_range) * advantages)
    return -(surrogate * mask).sum()


def value_loss(values: Tokens, old_values: Tokens, returns: Tokens, mask: Mask, clip_range: float) -> Scalar:
    """Clipped squared error, summed over valid tokens: Σₜ ½·max((V−R)², (clip(V, V_old−ε, V_old+ε)−R)²)."""
    clipped = torch.clamp(values, old_values - clip_range, old_values + clip_range)
    errors = torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)
    return 0.5 * (errors * mask).sum()


def clipped_tokens(logprobs: Tokens, old_logprobs: Tokens, mask: Mask, clip_range: float) -> Scalar:
    """Number of valid tokens whose ratio ρₜ left [1−ε, 1+ε], whatever the sign of the advantage."""
    ratio = torch.exp(logprobs - old_logprobs)
    return (((ratio - 1).abs() > clip_range) & mask).sum().to(logprobs.dtype)


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


def kl_k1(logprobs: Tokens, ref_logprobs: Tokens, mask: Mask) -> Episodes:
    """KL(π ‖ π_ref) of a response in nats from its tokens alone: Σₜ (log π(yₜ) − log π_ref(yₜ)).

    The estimator k1 (Schulman 2020, http://joschu.net/blog/kl-approx.html): unbiased, but single values may be < 0.
    """
    return ((logprobs - ref_logprobs) * mask).sum(dim=1)


def next_kl_coef(kl_coef: float, kl: float, target: float, horizon: int, episodes: int) -> float:
    """β·(1 + clip(KL/target − 1, ±0.2)·episodes/horizon): the adaptive controller (Ziegler et al. 2019, §2.2)."""
    error = min(max(kl / target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * episodes / horizon)


def explained_variance(values: Tokens, returns: Tokens, mask: Mask) -> Scalar:
    """1 − Var(R − V)/Var(R) over valid tokens: 1 is a perfect critic, ≤ 0 a useless one; 0 where R is constant."""
    variance = returns[mask].var()
    unexplained = (returns - values)[mask].var()
    return torch.where(variance > 0, 1 - unexplained / variance, torch.zeros_like(variance))
