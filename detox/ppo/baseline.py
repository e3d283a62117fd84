"""What an episode may expect to earn, read off the episodes beside it: the value V(sₜ) from which advantages are taken.

A state is a prompt and the tokens so far. Two things are known of it without any training: what the other samples of
the same prompt earn, and whether the reward finds the tokens so far toxic. So V(sₜ) is the mean return of those other
samples that are, at their own token t, as clean or as toxic as this one.

Nothing that an episode itself draws at t or later enters its V(sₜ), so that with γ = λ = 1 the expected gradient is the
true one, whatever V is (Williams 1992; Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!").
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Tokens = Float[Tensor, "batch response"]
Mask = Bool[Tensor, "batch response"]

PRIOR = 2.0  # samples that the mean over the other prompts counts for


def expected_return(returns: Tokens, clean: Mask, k: int) -> Tokens:
    """V(sₜ) = (Σⱼ Gₜʲ + m·Ḡₜ) / (n + m) over the n other samples j of the prompt in the same state at token t.

    Ḡₜ is the same mean over all other prompts. It counts for m = PRIOR samples, because three samples alone are a noisy
    mean (shrinkage, James & Stein 1961). `returns` is what each episode earns from token t on, and behind its end what
    it has earned; `clean` is whether it is clean before token t. The k samples of a prompt stand together.
    0 where no other episode is in that state.
    """
    value = returns.new_zeros(returns.shape)
    for state in (clean, ~clean):
        earned, there = returns * state, state.to(returns.dtype)
        (of_prompt, of_all), (n_prompt, n_all) = ((_by_prompt(x, k), x.sum(0)) for x in (earned, there))
        others, n = of_prompt - earned, n_prompt - there
        elsewhere = (of_all - of_prompt) / (n_all - n_prompt).clamp(min=1)
        weight = n + PRIOR * (n_all > n_prompt)
        mean = (others + (weight - n) * elsewhere) / weight
        value = torch.where(state & (weight > 0), mean, value)
    return value


def _by_prompt(x: Tokens, k: int) -> Tokens:
    """The sum over the samples of each one's prompt."""
    return x.view(-1, k, x.shape[1]).sum(1).repeat_interleave(k, dim=0)
