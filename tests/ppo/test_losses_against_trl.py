"""detox/ppo/losses.py against what TRL 0.11.4's own code computed from the same tensors (golden/make_trl_golden.py).

Where we differ on purpose: TRL penalises log-ratios of sampled tokens, we the exact KL of each state (see there); TRL
leaves numbers on padding, ours are 0; TRL's losses are means over the valid tokens, ours are sums, to be divided by the
tokens of the whole optimiser batch; TRL counts a token as clipped only where the clip changes its loss, we count every
ratio outside the range. TRL drops a batch whose mean ratio exceeds `ratio_threshold` and, for an encoder-decoder,
builds masks without the first token: we do neither, and neither happens here, as the tensors are given and tame.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from detox.model import distributions
from detox.ppo import losses

GOLDEN = json.loads((Path(__file__).parent / "golden" / "trl_0_11_4.json").read_text())
MASK = torch.tensor(GOLDEN["mask"])
TOKENS = 6 + 3 + 1
CASES = pytest.mark.parametrize("case", GOLDEN["gae"], ids=lambda case: f"gamma={case['gamma']}, lam={case['lam']}")


def golden(name: str) -> Tensor:
    return torch.tensor(GOLDEN[name])


def assert_equal(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


def our_policy_loss(logprobs: Tensor) -> Tensor:
    advantages = torch.tensor(GOLDEN["gae"][0]["whitened"])
    return losses.policy_loss(logprobs, golden("old_logprobs"), advantages, MASK, GOLDEN["clip_range"])


def our_value_loss(values: Tensor) -> Tensor:
    returns = torch.tensor(GOLDEN["gae"][0]["returns"])
    return losses.value_loss(values, golden("old_values"), returns, MASK, GOLDEN["value_clip_range"])


def test_the_golden_numbers_were_made_by_trl_0_11_4() -> None:
    assert GOLDEN["made_with"]["trl"] == "0.11.4"


def test_the_golden_tensors_reach_both_clips_but_not_everywhere() -> None:
    assert 0 < GOLDEN["policy_clip_fraction"] < 1
    assert 0 < GOLDEN["value_clip_fraction"] < 1


def test_token_rewards_charge_a_token_for_the_state_behind_it_as_trl_charges_it_for_itself() -> None:
    """Differs in what a token pays: TRL its own log-ratio, ours the KL of the next state, so the last pays nothing."""
    paid = golden("logprobs") - golden("ref_logprobs")
    rewards = losses.token_rewards(
        golden("scores"), paid.roll(1, dims=1), MASK, torch.full((len(MASK),), GOLDEN["kl_coef"])
    )
    last = MASK & ~torch.cat([MASK[:, 1:], torch.zeros_like(MASK[:, :1])], dim=1)
    assert_equal(rewards[MASK & ~last], golden("token_rewards")[MASK & ~last])
    assert_equal(rewards[last], golden("token_rewards")[last] + GOLDEN["kl_coef"] * paid[last])
    assert not rewards[~MASK].any()


def test_the_kl_per_summary_equals_the_kl_that_trl_shows_its_controller() -> None:
    """Same definition: the batch mean of the sum over a response, in nats, not a mean over tokens."""
    assert_equal(losses.kl_k1(golden("logprobs"), golden("ref_logprobs"), MASK).mean(), golden("kl"))


@CASES
def test_advantages_and_returns_equal_trls(case: dict[str, Any]) -> None:
    """TRL masks the rewards itself before the recursion; given its unmasked rewards, ours must do the same."""
    advantages, returns = losses.gae(golden("token_rewards"), golden("old_values"), MASK, case["gamma"], case["lam"])
    assert_equal(advantages, torch.tensor(case["advantages"]))
    assert_equal(returns, torch.tensor(case["returns"]))


@CASES
def test_whitened_advantages_equal_trls(case: dict[str, Any]) -> None:
    """Differs on padding: TRL leaves the shifted zeros there, ours are 0."""
    whitened = losses.whiten(torch.tensor(case["advantages"]), MASK)
    assert_equal(whitened[MASK], torch.tensor(case["whitened"])[MASK])
    assert not whitened[~MASK].any()


def test_whitening_small_numbers_amid_full_padding_equals_trls() -> None:
    """Unlike advantages these are not 0 on padding, and their variance is no larger than the 1e-8 added to it."""
    assert_equal(losses.whiten(golden("small"), MASK)[MASK], golden("small_whitened")[MASK])


def test_the_policy_loss_per_token_and_its_gradient_equal_trls() -> None:
    """Differs in scale: TRL's loss is the mean over the valid tokens, ours the sum."""
    logprobs = golden("logprobs").requires_grad_()
    loss = our_policy_loss(logprobs) / TOKENS
    assert_equal(loss.detach(), golden("policy_loss"))
    assert_equal(torch.autograd.grad(loss, logprobs)[0], golden("policy_gradient"))


def test_the_value_loss_per_token_and_its_gradient_equal_trls() -> None:
    """Differs in scale: TRL's loss is the mean over the valid tokens (before vf_coef), ours the sum."""
    values = golden("values").requires_grad_()
    loss = our_value_loss(values) / TOKENS
    assert_equal(loss.detach(), golden("value_loss"))
    assert_equal(torch.autograd.grad(loss, values)[0], golden("value_gradient"))


def test_ratios_outside_the_clip_range_are_counted_even_where_trls_loss_does_not_notice() -> None:
    """Differs in definition: six of the ten ratios leave the range, at three the advantage's sign lets it be."""
    count = losses.clipped_tokens(golden("logprobs"), golden("old_logprobs"), MASK, GOLDEN["clip_range"])
    assert count.item() == 6
    assert GOLDEN["policy_clip_fraction"] * TOKENS == pytest.approx(3)


def test_the_entropy_of_the_next_token_equals_trls() -> None:
    """TRL reports the mean over the valid tokens."""
    assert_equal(distributions.entropy(golden("logits"))[MASK].mean(), golden("entropy"))
