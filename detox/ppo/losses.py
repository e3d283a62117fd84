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
Ziegler et al. 2019 (arXiv 1909.08593).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Tokens = Float[Tensor, "batch response"]
Mask = Bool[Tensor, "batch response"]
Episodes = Float[Tensor, " batch"]
Scalar = Float[Tensor, ""]

LIMIT = 2.0  # of an importance weight


def token_rewards(scores: Episodes, kl: Tokens, mask: Mask, price: Episodes) -> Tokens:
    """Reward of every token: rₜ = −β·KLₜ₊₁, in the score's units, plus the score on the last valid token.

    β is the price of an episode. A token pays for the state that it leads to; KL₀ is nobody's doing. Every row needs a
    valid token.
    """
    kl = kl * mask * price.unsqueeze(1)
    rewards = -torch.cat([kl[:, 1:], torch.zeros_like(kl[:, :1])], dim=1)
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


def importance_weights(old_logprobs: Tokens, drawn_logprobs: Tokens) -> Tokens:
    """wₜ = min(π_old(yₜ)/μ(yₜ), 2), for tokens that were drawn from μ, a rounding of π_old; 1 where the two are one.

    An advantage times its weight makes up for μ: E_μ[w·f] = E_π_old[f]. Truncated importance sampling (Ionides 2008; of
    samplers that round, Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy RL training"):
    exact below the limit, and no token counts more than twice.
    """
    return torch.exp(old_logprobs - drawn_logprobs).clamp(max=LIMIT)


def mismatch(old_logprobs: Tokens, drawn_logprobs: Tokens, mask: Mask) -> Scalar:
    """Σₜ |log π_old(yₜ) − log μ(yₜ)| over valid tokens, in nats; 0 where tokens are drawn from π_old itself."""
    return (old_logprobs - drawn_logprobs)[mask].abs().sum()


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


def kl_k1(logprobs: Tokens, ref_logprobs: Tokens, mask: Mask) -> Episodes:
    """KL(π ‖ π_ref) of a response in nats from its tokens alone: Σₜ (log π(yₜ) − log π_ref(yₜ)).

    The estimator k1 (Schulman 2020, http://joschu.net/blog/kl-approx.html): unbiased, but single values may be < 0.
    """
    return ((logprobs - ref_logprobs) * mask).sum(dim=1)


def explained_variance(values: Tokens, returns: Tokens, mask: Mask) -> Scalar:
    """1 − Var(R − V)/Var(R) over valid tokens: 1 is a perfect critic, ≤ 0 a useless one; 0 where R is constant."""
    variance = returns[mask].var()
    unexplained = (returns - values)[mask].var()
    return torch.where(variance > 0, 1 - unexplained / variance, torch.zeros_like(variance))
