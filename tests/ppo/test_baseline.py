"""The baseline: numbers by hand, what must not enter it, and a gradient that it leaves as it is."""

from itertools import product

import pytest
import torch
from torch import Tensor

from detox.ppo import losses
from detox.ppo.baseline import PRIOR, expected_return

CLEAN, TOXIC = True, False


def constant(*scores: float) -> Tensor:
    """Episodes of two tokens that earn their score whatever token they are at."""
    return torch.tensor(scores, dtype=torch.float64)[:, None].expand(-1, 2).contiguous()


def assert_equal(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_of_one_prompt_it_is_the_mean_of_the_other_samples() -> None:
    """Samples that earn 3, 1, −1: the others' means are 0, 1 and 2."""
    value = expected_return(constant(3, 1, -1), torch.ones(3, 2, dtype=torch.bool), k=3)
    assert_equal(value, constant(0, 1, 2))


def test_other_prompts_count_for_two_samples() -> None:
    """Of prompts {3, 1} and {5, −1}, the first sample has 1 beside it and a mean of 2 elsewhere: (1 + 2·2)/3."""
    assert PRIOR == 2
    value = expected_return(constant(3, 1, 5, -1), torch.ones(4, 2, dtype=torch.bool), k=2)
    assert_equal(value, constant((1 + 2 * 2) / 3, (3 + 2 * 2) / 3, (-1 + 2 * 2) / 3, (5 + 2 * 2) / 3))


def test_only_samples_in_the_same_state_count_at_each_token() -> None:
    """All are clean at first. Then the third is toxic, alone, and the first two have each other."""
    clean = torch.tensor([[CLEAN, CLEAN], [CLEAN, CLEAN], [CLEAN, TOXIC]])
    value = expected_return(constant(3, 1, -1), clean, k=3)
    assert_equal(value, torch.tensor([[0, 1], [1, 3], [2, 0]], dtype=torch.float64))


def test_a_toxic_sample_expects_what_toxic_samples_elsewhere_earn() -> None:
    """Alone in its prompt in this state, it has the other prompt's −3 alone."""
    clean = torch.tensor([[CLEAN, CLEAN], [CLEAN, TOXIC], [CLEAN, CLEAN], [CLEAN, TOXIC]])
    value = expected_return(constant(3, -2, 3, -3), clean, k=2)
    assert value[1, 1] == -3
    assert value[3, 1] == -2


@pytest.mark.parametrize("row", range(6))
def test_nothing_of_an_episode_from_a_token_on_enters_its_baseline_there(row: int) -> None:
    draw = torch.Generator().manual_seed(0)
    returns, clean = torch.randn(6, 4, generator=draw), torch.rand(6, 4, generator=draw) > 0.4
    value = expected_return(returns, clean, k=3)
    returns[row] += 7
    clean[row, 2:] ^= True
    torch.testing.assert_close(expected_return(returns, clean, k=3)[row, :2], value[row, :2], rtol=0, atol=1e-5)


# A policy over three tokens, of which 0 ends, in a table: a row of logits for each prefix. Token 2 is toxic, and a 1
# behind it makes the response clean again.

RESPONSES = [(0,), (1, 0), (2, 0), *((a, b, c) for a in (1, 2) for b in (1, 2) for c in (0, 1, 2))]
PREFIXES = [(), (1,), (2,), (1, 1), (1, 2), (2, 1), (2, 2)]


def is_clean(tokens: tuple[int, ...]) -> bool:
    return not tokens or tokens[-1] != 2


def padded(rows: list[list[float]]) -> Tensor:
    return torch.tensor([[*row, *[0.0] * (3 - len(row))] for row in rows], dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 2])
def test_the_expected_gradient_is_the_true_one_also_where_a_toxic_prefix_becomes_clean_again(k: int) -> None:
    """Every pair of responses there is, weighted by its probability; two samples of a prompt, or of two prompts."""
    table = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    logprobs = table.log_softmax(-1)
    scores = dict(zip(RESPONSES, torch.linspace(-2, 3, len(RESPONSES)).tolist(), strict=True))
    of = {
        response: logprobs[[PREFIXES.index(response[:t]) for t in range(len(response))], list(response)]
        for response in RESPONSES
    }
    objective = sum(of[response].sum().exp() * scores[response] for response in RESPONSES)
    loss, spread = torch.zeros((), dtype=torch.float64), set()
    for pair in product(RESPONSES, repeat=2):
        mask = torch.tensor([[t < len(response) for t in range(3)] for response in pair])
        clean = torch.tensor([[is_clean(response[: min(t, len(response))]) for t in range(3)] for response in pair])
        earned = torch.tensor([[scores[response]] * 3 for response in pair], dtype=torch.float64)
        value = expected_return(earned, clean, k) * mask
        spread.update(value.flatten().tolist())
        rewards = losses.token_rewards(earned[:, 0], torch.zeros_like(value), mask, torch.zeros(len(mask)))
        advantages, _ = losses.gae(rewards, value, mask, gamma=1.0, lam=1.0)
        now = torch.stack([torch.nn.functional.pad(of[response], (0, 3 - len(response))) for response in pair])
        surrogate = losses.policy_loss(now, now.detach(), advantages, mask, clip_range=0.2)
        loss = loss + (of[pair[0]].sum() + of[pair[1]].sum()).exp().detach() * surrogate
    assert len(spread) > 10
    actual, expected = (torch.autograd.grad(x, table, retain_graph=True)[0] for x in (loss, objective))
    assert expected.abs().max() > 1e-2
    assert_equal(actual, -2 * expected)
