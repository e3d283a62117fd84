"""The mathematics of PPO: hand-computed numbers, closed forms, identities."""

import math

import pytest
import torch
from torch import Tensor

from detox.model import distributions
from detox.ppo import losses

MASK = torch.tensor([[True, True, True, False], [True, False, False, False], [True, True, False, False]])
VALID = 6


def noise(seed: int) -> Tensor:
    """Random numbers in MASK's shape, on the padding too."""
    return torch.randn(MASK.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def row(*numbers: float) -> Tensor:
    """A batch of one response."""
    return torch.tensor([numbers], dtype=torch.float64)


def all_of(tokens: Tensor) -> Tensor:
    return torch.ones_like(tokens, dtype=torch.bool)


def assert_equal(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(loss, of)[0]


def test_a_token_pays_beta_times_the_kl_of_the_state_behind_it_and_the_last_valid_one_earns_the_score() -> None:
    kl = torch.tensor([[9.0, 2.0, 4.0, 9.0], [9.0, 9.0, 9.0, 9.0]])
    rewards = losses.token_rewards(torch.tensor([10.0, 4.0]), kl, MASK[:2], price=torch.tensor([0.5, 7.0]))
    assert rewards.tolist() == [[-1.0, -2.0, 10.0, 0.0], [4.0, 0.0, 0.0, 0.0]]


def test_the_token_rewards_of_a_response_sum_to_its_score_less_beta_times_the_kl_behind_its_first_state() -> None:
    scores, kl = noise(0)[:, 0], noise(1)
    price = torch.tensor([0.3, 0.6, 1.5], dtype=torch.float64)
    total = losses.token_rewards(scores, kl, MASK, price).sum(dim=1)
    assert_equal(total, scores - price * (kl * MASK)[:, 1:].sum(dim=1))


# A policy over three tokens, of which 0 ends, in a table: a row of logits for each of the seven prefixes below.

ENDS_OR_CUT = [(0,), (1, 0), (2, 0), *((a, b, c) for a in (1, 2) for b in (1, 2) for c in (0, 1, 2))]
PREFIXES = [(), (1,), (2,), (1, 1), (1, 2), (2, 1), (2, 2)]


def test_the_expected_gradient_of_the_loss_is_that_of_the_score_less_beta_times_the_kl() -> None:
    """Every response there is, weighted by its probability: no sampling, no tolerance for noise."""
    table, ref_table = (
        torch.randn(7, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in (0, 1)
    )
    table.requires_grad_()
    scores, beta = dict(zip(ENDS_OR_CUT, [*noise(2).flatten().tolist(), 1.0, -2.0, 0.5], strict=True)), 0.7
    objective, loss = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for response in ENDS_OR_CUT:
        states = [PREFIXES.index(response[:t]) for t in range(len(response))]
        logits, ref_logits = table[states], ref_table[states]
        logprobs, ref_logprobs = (x.log_softmax(-1)[range(len(response)), response] for x in (logits, ref_logits))
        probability = logprobs.sum().exp()
        objective = objective + probability * (scores[response] - beta * (logprobs - ref_logprobs).sum())
        kl, mask = distributions.kl_divergence(logits, ref_logits), all_of(logprobs)[None]
        rewards = losses.token_rewards(
            torch.tensor([scores[response]], dtype=torch.float64), kl.detach()[None], mask, row(beta)[0]
        )
        advantages, _ = losses.gae(rewards, row(*[0.0] * len(response)), mask, gamma=1.0, lam=1.0)
        surrogate = losses.policy_loss(logprobs[None], logprobs.detach()[None], advantages, mask, clip_range=0.2)
        loss = loss + probability.detach() * (surrogate + beta * kl.sum())
    expected = torch.autograd.grad(objective, table, retain_graph=True)[0]
    assert expected.abs().min() > 1e-4
    assert_equal(gradient(loss, table), -expected)


def test_gae_on_three_tokens_by_hand() -> None:
    """δ = (1, 2, 1); Â₂ = 1, Â₁ = 2 + ¼·1, Â₀ = 1 + ¼·2.25."""
    rewards, values = row(1, 2, 3), row(0.5, 1, 2)
    advantages, returns = losses.gae(rewards, values, all_of(rewards), gamma=0.5, lam=0.5)
    assert advantages.tolist() == [[1.5625, 2.25, 1.0]]
    assert returns.tolist() == [[2.0625, 3.25, 3.0]]


def test_with_gamma_and_lambda_1_the_advantage_is_the_reward_to_go_less_the_value() -> None:
    rewards, values = noise(0) * MASK, noise(1)
    advantages, returns = losses.gae(rewards, values, MASK, gamma=1.0, lam=1.0)
    to_go = rewards.flip(1).cumsum(1).flip(1) * MASK
    assert_equal(advantages, (to_go - values) * MASK)
    assert_equal(returns, to_go)


def test_with_lambda_0_the_advantage_is_the_td_error_and_the_last_token_bootstraps_nothing() -> None:
    rewards, values = row(1, 2, 3), row(10, 20, 30)
    advantages, _ = losses.gae(rewards, values, all_of(rewards), gamma=0.9, lam=0.0)
    assert_equal(advantages, row(1 + 0.9 * 20 - 10, 2 + 0.9 * 30 - 20, 3 - 30))


def test_a_value_behind_the_last_valid_token_is_never_bootstrapped() -> None:
    mask = torch.tensor([[True, False]])
    advantages, returns = losses.gae(row(1, 7), row(2, 1000), mask, gamma=1.0, lam=1.0)
    assert advantages.tolist() == [[-1.0, 0.0]]
    assert returns.tolist() == [[1.0, 0.0]]


def test_with_values_that_are_right_every_advantage_is_0() -> None:
    rewards = row(1, 2, 4)
    advantages, _ = losses.gae(rewards, row(1 + 0.5 * 4, 2 + 0.5 * 4, 4), all_of(rewards), gamma=0.5, lam=0.7)
    assert_equal(advantages, row(0, 0, 0))


def test_whitening_three_numbers_by_hand() -> None:
    assert_equal(losses.whiten(row(1, 2, 3, 9), row(1, 1, 1, 0).bool()), row(-1, 0, 1, 0) / math.sqrt(1 + 1e-8))


def test_whitened_numbers_have_mean_0_and_with_bessels_correction_variance_1() -> None:
    whitened = losses.whiten(3 + 5 * noise(0), MASK)
    assert whitened[MASK].mean().item() == pytest.approx(0, abs=1e-12)
    assert whitened[MASK].square().sum().item() / (VALID - 1) == pytest.approx(1, abs=1e-8)
    assert not whitened[~MASK].any()


def test_more_padding_full_of_numbers_changes_no_advantage_no_loss_and_no_kl() -> None:
    scores, tensors = noise(0)[:, 0], [noise(seed) for seed in range(1, 7)]
    wide = [torch.cat([tensor, 100 * noise(9)], dim=1) for tensor in tensors]
    wide_mask = torch.cat([MASK, torch.zeros_like(MASK)], dim=1)
    for narrow, padded in zip(everything(scores, tensors, MASK), everything(scores, wide, wide_mask), strict=True):
        assert_equal(padded[:, :4] if padded.ndim == 2 else padded, narrow)


def everything(scores: Tensor, tensors: list[Tensor], mask: Tensor) -> list[Tensor]:
    """What the trainer computes of a rollout, from log-probabilities (old, reference, now), values and returns."""
    old_logprobs, ref_logprobs, logprobs, old_values, values, returns = tensors
    rewards = losses.token_rewards(scores, old_logprobs - ref_logprobs, mask, price=torch.full((len(MASK),), 0.2))
    advantages, _ = losses.gae(rewards, old_values, mask, gamma=0.9, lam=0.8)
    return [
        rewards,
        advantages,
        losses.whiten(advantages, mask),
        losses.policy_loss(logprobs, old_logprobs, advantages, mask, clip_range=0.2),
        losses.value_loss(values, old_values, returns, mask, clip_range=0.2),
        losses.clipped_tokens(logprobs, old_logprobs, mask, clip_range=0.2),
        losses.kl_k1(old_logprobs, ref_logprobs, mask),
        losses.spread(advantages, mask),
        losses.explained_variance(values, returns, mask),
    ]


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [(1.0, 2.0, -2.0), (1.5, 2.0, -2.4), (1.5, -2.0, 3.0), (0.5, 2.0, -1.0), (0.5, -2.0, 1.6)],
)
def test_the_policy_loss_of_a_token_by_hand(ratio: float, advantage: float, loss: float) -> None:
    logprobs, old_logprobs = row(math.log(ratio) - 3), row(-3)
    actual = losses.policy_loss(logprobs, old_logprobs, row(advantage), all_of(logprobs), clip_range=0.2)
    assert actual.item() == pytest.approx(loss, abs=1e-12)


def test_at_ratio_1_the_gradient_is_the_plain_policy_gradient() -> None:
    """∇ Σ −ρ·Â = −Â where ρ = 1: that of Σ −log π·Â."""
    logprobs, advantages = noise(0).requires_grad_(), noise(1)
    loss = losses.policy_loss(logprobs, logprobs.detach().clone(), advantages, MASK, clip_range=0.2)
    assert_equal(gradient(loss, logprobs), -advantages * MASK)


def test_tokens_drawn_from_another_distribution_are_weighted_so_that_means_stay() -> None:
    """μ = (0.1, 0.2, 0.3, 0.4), π = (0.2, 0.1, 0.3, 0.4): of f = (1, 2, 3, 4) the mean is 2.9 by π, 3 by μ."""
    drawn, policy = row(0.1, 0.2, 0.3, 0.4), row(0.2, 0.1, 0.3, 0.4)
    weights = losses.importance_weights(policy.log(), drawn.log())
    assert weights.tolist()[0] == pytest.approx([2.0, 0.5, 1.0, 1.0], abs=1e-12)
    assert (drawn * weights * row(1, 2, 3, 4)).sum().item() == pytest.approx(2.9, abs=1e-12)


def test_no_weight_is_above_2() -> None:
    assert losses.importance_weights(row(0.9).log(), row(0.3).log()).tolist() == [[2.0]]


def test_the_mismatch_is_the_distance_of_valid_tokens() -> None:
    """|−1 + 1.5| + |−2 + 1|; the third is padding."""
    mask = torch.tensor([[True, True, False]])
    assert losses.mismatch(row(-1, -2, -9), row(-1.5, -1, 0), mask).item() == 1.5


def test_a_ratio_that_has_gone_too_far_in_its_advantages_direction_gets_no_gradient_and_any_other_does() -> None:
    ratios, advantages = torch.tensor([[1.3, 0.7, 1.3, 0.7]]), torch.tensor([[2.0, -2.0, -2.0, 2.0]])
    logprobs = ratios.log().requires_grad_()
    loss = losses.policy_loss(logprobs, torch.zeros(1, 4), advantages, all_of(ratios), clip_range=0.2)
    torch.testing.assert_close(gradient(loss, logprobs), torch.tensor([[0.0, 0.0, 2.6, -1.4]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "old_value", "target", "loss"),
    [(2.0, 0.0, 1.0, 0.5), (0.2, 0.0, 1.0, 0.32), (2.0, 0.0, 3.0, 3.125), (-1.0, 1.0, 1.0, 2.0)],
)
def test_the_value_loss_of_a_token_is_half_the_worse_square_error(
    value: float, old_value: float, target: float, loss: float
) -> None:
    """Clip 0.5: of 2 and 0.5 to 1; of 0.2 to 1, unclipped; of 2 and 0.5 to 3; of −1 and 0.5 to 1."""
    values = row(value)
    actual = losses.value_loss(values, row(old_value), row(target), all_of(values), clip_range=0.5)
    assert actual.item() == pytest.approx(loss, abs=1e-12)


def test_a_value_that_moved_too_far_towards_its_return_gets_no_gradient() -> None:
    values = row(2.0, 0.2).requires_grad_()
    loss = losses.value_loss(values, row(0, 0), row(3, 1), all_of(values), clip_range=0.5)
    assert_equal(gradient(loss, values), row(0, 0.2 - 1))


def test_the_losses_of_the_parts_of_a_batch_sum_to_the_loss_of_the_whole() -> None:
    now, old, target = noise(0), noise(1), noise(2)
    for loss in (
        lambda rows: losses.policy_loss(now[rows], old[rows], target[rows], MASK[rows], clip_range=0.2),
        lambda rows: losses.value_loss(now[rows], old[rows], target[rows], MASK[rows], clip_range=0.2),
    ):
        assert_equal(loss(slice(0, 1)) + loss(slice(1, 3)), loss(slice(0, 3)))


def test_the_gradients_of_all_that_is_differentiated_are_numerically_right() -> None:
    """Far from the kinks: the ratios are within the range or well outside it."""
    log_ratios = torch.tensor([[0.1, -0.1, 0.5], [-0.5, 0.05, 0.9]], dtype=torch.float64).requires_grad_()
    advantages = torch.tensor([[1.0, -2.0, 0.5], [0.7, 1.5, -1.0]], dtype=torch.float64).requires_grad_()
    zeros, mask = torch.zeros(2, 3, dtype=torch.float64), torch.tensor([[True, True, True], [True, True, False]])
    check = torch.autograd.gradcheck
    assert check(lambda x, a: losses.policy_loss(x, zeros, a, mask, 0.2), (log_ratios, advantages))
    assert check(lambda v, r: losses.value_loss(v, zeros, r, mask, 0.2), (log_ratios, advantages))
    assert check(lambda x, a: losses.token_rewards(a[:, 0], x, mask, row(0.1, 0.5)[0]), (log_ratios, advantages))
    assert check(lambda r, v: losses.gae(r, v, mask, 0.9, 0.8), (log_ratios, advantages))
    assert check(lambda a: losses.whiten(a, mask), (advantages,))


def test_a_token_counts_as_clipped_on_either_side_of_the_range_and_never_as_padding() -> None:
    ratios, mask = row(0.79, 0.81, 1.19, 1.21, 5.0), row(1, 1, 1, 1, 0).bool()
    assert losses.clipped_tokens(ratios.log(), torch.zeros_like(ratios), mask, clip_range=0.2).item() == 2


def test_k1_is_the_sum_of_the_log_ratios_of_a_response() -> None:
    logprobs, ref_logprobs = torch.tensor([[-1.0, -2.0, -5.0, -7.0]]), torch.tensor([[-3.0, -1.0, -5.5, -1.0]])
    assert losses.kl_k1(logprobs, ref_logprobs, MASK[:1]).tolist() == [1.5]


def test_the_kl_of_two_distributions_by_hand_and_as_the_expectation_of_k1() -> None:
    """Over all three tokens of a vocabulary: KL = ½·log 2 + ¼·log(½) + ¼·log 1."""
    policy, reference = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.25, 0.5, 0.25])
    kl = distributions.kl_divergence(
        policy.log()[None] + 3, reference.log()[None] - 5
    )  # logits may be off by a constant
    assert kl.item() == pytest.approx(0.25 * math.log(2), abs=1e-6)
    k1 = losses.kl_k1(policy.log().unsqueeze(1), reference.log().unsqueeze(1), torch.ones(3, 1, dtype=torch.bool))
    assert (policy * k1).sum().item() == pytest.approx(0.25 * math.log(2), abs=1e-7)


def test_the_explained_variance_is_1_for_a_perfect_critic_and_0_for_one_that_knows_the_mean_alone() -> None:
    returns, mask = row(1, 2, 3, 99), row(1, 1, 1, 0).bool()
    assert losses.explained_variance(returns, returns, mask).item() == 1
    assert losses.explained_variance(row(2, 2, 2, 0), returns, mask).item() == 0
    assert losses.explained_variance(row(1, 2, 2, 0), returns, mask).item() == pytest.approx(2 / 3)


def test_the_explained_variance_of_constant_returns_is_0() -> None:
    returns = row(5, 5, 5)
    assert losses.explained_variance(row(1, 2, 3), returns, all_of(returns)).item() == 0
