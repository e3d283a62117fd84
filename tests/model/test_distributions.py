"""Entropy, KL and log-probability of next-token distributions, against closed forms and torch's own distributions."""

import math

import torch

from detox.model import distributions


def test_the_entropy_of_a_uniform_distribution_is_the_logarithm_of_its_size_and_of_a_certain_one_0() -> None:
    certain = torch.tensor([50.0, 0, 0, 0, 0, 0, 0, 0])
    entropies = distributions.entropy(torch.stack([torch.full((8,), 3.0), certain]).unsqueeze(0))
    torch.testing.assert_close(entropies, torch.tensor([[math.log(8), 0.0]]), rtol=0, atol=1e-6)


def test_the_kl_is_positive_and_0_where_policy_and_reference_agree() -> None:
    logits, ref_logits = (torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert (distributions.kl_divergence(logits, ref_logits) > 0).all()
    assert distributions.kl_divergence(logits, logits).tolist() == [0.0, 0.0, 0.0]


def test_of_many_distributions_each_has_its_own_entropy_divergence_and_log_probability() -> None:
    """More of them than are computed at once."""
    generator = torch.Generator().manual_seed(0)
    logits, ref_logits = torch.randn(2, 2 * distributions.AT_ONCE + 3, 7, generator=generator).unbind()
    tokens = torch.randint(7, (len(logits),), generator=generator)
    policy, reference = (torch.distributions.Categorical(logits=each) for each in (logits, ref_logits))
    kl = torch.distributions.kl_divergence(policy, reference)
    torch.testing.assert_close(distributions.entropy(logits), policy.entropy(), rtol=0, atol=1e-6)
    torch.testing.assert_close(distributions.kl_divergence(logits, ref_logits), kl, rtol=0, atol=1e-6)
    torch.testing.assert_close(distributions.token_logprobs(logits, tokens), policy.log_prob(tokens), rtol=0, atol=1e-6)


def test_their_gradients_are_numerically_right() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    ref_logits = logits.detach().flip(0)  # a copy
    check = torch.autograd.gradcheck
    assert check(distributions.entropy, (logits,))
    assert check(lambda x: distributions.kl_divergence(x, ref_logits), (logits,))
    assert check(lambda x: distributions.token_logprobs(x, torch.tensor([[0, 4, 2], [1, 1, 3]])), (logits,))
