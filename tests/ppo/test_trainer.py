"""The PPO loop: what it starts from, what it moves, what it never touches, and that it learns."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import chain, islice, pairwise

import pytest
import torch
from tiny import DIALOGUES, PPO, RISKY, shift
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from detox.errors import InputError
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.prompts import Prompt
from detox.model.sampling import seed_of
from detox.params import training
from detox.ppo import stats, trainer
from detox.ppo.batches import batches
from detox.ppo.rollouts import Models, Rollout, collect
from detox.ppo.stats import StepStats, UpdateStats
from detox.ppo.trainer import Targets, loss_sum, update

pytest_plugins = ["models"]


def settings(**changes: float) -> training.Ppo:
    return training.Ppo(**(PPO | changes))


def trained(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, p: training.Ppo, seed: int = 0
) -> list[StepStats]:
    return list(trainer.train(Models(policy, reward, Prompt(tokenizer, 30)), DIALOGUES, RISKY, p, seed))


def rolled(
    policy: Policy,
    reward: Classifier,
    tokenizer: PreTrainedTokenizerBase,
    dialogues: list[str],
    seeds: Sequence[int],
) -> Rollout:
    sizes = {"mini_batch_size": 8, "micro_batch_size": 8, "decode_batch_size": 8}
    p = training.Ppo(**(PPO | sizes))
    return collect(Models(policy, reward, Prompt(tokenizer, 30)), dialogues, [True] * len(dialogues), seeds, p)


@pytest.fixture
def rollout(policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase) -> Rollout:
    """Eight episodes, of lengths that differ."""
    return rolled(policy, reward, tokenizer, [DIALOGUES[episode % 6] for episode in range(8)], range(8))


@pytest.fixture
def advantages(rollout: Rollout) -> Tensor:
    """Any numbers, 0 behind the end."""
    numbers = torch.randn(rollout.response_ids.shape, generator=torch.Generator().manual_seed(0))
    return numbers * rollout.response_mask


def sgd(policy: Policy, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(policy.adapter_parameters() + policy.value_head_parameters(), lr=learning_rate)


def weights(policy: Policy) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in policy.named_parameters()}


def restore(policy: Policy, start: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, weight in policy.named_parameters():
            weight.copy_(start[name])


def of_policy(name: str) -> bool:
    return ".policy." in name or ".v_head." in name


def change(policy: Policy, before: dict[str, Tensor], part: str) -> Tensor:
    """How far each weight of the policy's adapter or of the value head has moved."""
    return torch.cat([(now - before[name]).flatten() for name, now in weights(policy).items() if part in name])


def targets_of(advantages: Tensor, returns: Tensor, price: float) -> Targets:
    """The same price for every episode."""
    return Targets(advantages, returns, torch.full((len(advantages),), price))


def gradients(loss: Tensor, policy: Policy) -> list[Tensor]:
    return list(torch.autograd.grad(loss, policy.adapter_parameters()))


# Batches of prompts


@pytest.mark.parametrize(("count", "size"), [(10, 4), (3, 7), (8, 8), (5, 1)])
def test_every_pass_visits_each_dialogue_once(count: int, size: int) -> None:
    drawn = list(islice(batches([False] * count, size, None, seed=0), count))
    assert {len(batch) for batch in drawn} == {size}
    visited = list(chain.from_iterable(drawn))
    passes = [visited[start : start + count] for start in range(0, len(visited), count)]
    assert all(sorted(one) == list(range(count)) for one in passes)


def test_every_pass_and_every_seed_has_an_order_of_its_own() -> None:
    first, second = islice(batches([False] * 50, 50, None, seed=0), 2)
    assert first != second != list(range(50))
    assert next(batches([False] * 50, 50, None, seed=1)) not in (first, second)
    assert next(batches([False] * 50, 50, None, seed=0)) == first


@pytest.mark.parametrize(("share", "risky"), [(0.75, 6), (0.0, 0), (1.0, 8), (0.3, 2)])
def test_a_share_of_every_batch_is_risky_and_a_pass_visits_each_of_a_kind_once(share: float, risky: int) -> None:
    marks = [number % 3 == 0 for number in range(30)]
    drawn = list(islice(batches(marks, 8, share, seed=0), 30))
    assert {sum(marks[number] for number in batch) for batch in drawn} == {risky}
    for kind, size in ((True, risky), (False, 8 - risky)):
        members = [number for number, mark in enumerate(marks) if mark is kind]
        visited = [number for batch in drawn for number in batch if marks[number] is kind]
        assert len(visited) == 30 * size
        passes = [visited[start : start + len(members)] for start in range(0, len(visited), len(members))]
        assert all(sorted(one) == members for one in passes if len(one) == len(members))


@pytest.mark.parametrize(("marks", "which"), [([False] * 4, "no"), ([True] * 4, "every")])
def test_a_kind_that_is_wanted_and_does_not_occur_is_named(marks: list[bool], which: str) -> None:
    with pytest.raises(InputError) as error:
        next(batches(marks, 4, 0.5, seed=0))
    assert str(error.value) == (
        f"the reward finds a toxic turn in {which} training dialogue that was ranked, so ppo.risky_share 0.5 cannot "
        "be: set it to null"
    )


# What training moves


def test_kl_is_0_and_every_ratio_1_before_the_first_update_and_not_after_it(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    first, second = trained(policy, reward, tokenizer, settings(steps=2))
    assert abs(first.kl) < 1e-5
    assert abs(first.kl_k1) < 1e-5
    assert first.ratio_error < 1e-4
    assert second.kl > 1e-3
    assert second.ratio_error < 1e-4, "every step starts from the policy that rolled out"


def test_training_moves_the_policy_and_the_value_head_and_leaves_base_and_reference_bit_for_bit(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    before, trainable = weights(policy), {name for name, w in policy.named_parameters() if w.requires_grad}
    trained(policy, reward, tokenizer, settings(steps=3))
    after = weights(policy)
    assert {name for name in before if not after[name].equal(before[name])} == {n for n in before if of_policy(n)}
    assert {name for name, w in policy.named_parameters() if w.requires_grad} == trainable


def test_the_same_seed_gives_the_same_run_bit_for_bit_and_another_seed_another(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    start, runs = weights(policy), []
    for seed in (0, 0, 1):
        restore(policy, start)
        runs.append((trained(policy, reward, tokenizer, settings(), seed), weights(policy)))
    (rows, ends), (same_rows, same_ends), (other_rows, _) = runs
    assert rows == same_rows
    assert all(ends[name].equal(same_ends[name]) for name in ends)
    assert rows[0].reward != other_rows[0].reward or rows[0].response_tokens != other_rows[0].response_tokens


def test_nothing_is_dropped_during_training_steps(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, rollout: Rollout
) -> None:
    active: list[bool] = []
    for module in policy.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda module, args, output: active.append(module.training))
    prompt = rollout.prompt_ids, rollout.prompt_mask, rollout.response_ids, rollout.response_mask
    for _ in trainer.train(Models(policy, reward, Prompt(tokenizer, 30)), DIALOGUES, RISKY, settings(), 0):
        assert not any(module.training for module in policy.modules())
        assert policy.evaluate(*prompt).logprobs.equal(policy.evaluate(*prompt).logprobs)
    assert len(active) > 100
    assert not any(active)


def test_policy_and_value_head_have_learning_rates_of_their_own(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Adam's first step moves every weight by its learning rate, whatever the gradient's size."""
    before = weights(policy)
    trained(policy, reward, tokenizer, settings(steps=1, epochs=1, mini_batch_size=8))
    assert change(policy, before, ".policy.").abs().max().item() == pytest.approx(0.01, rel=1e-3)
    assert change(policy, before, ".v_head.").abs().max().item() == pytest.approx(0.02, rel=1e-3)


def first_rollout(policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, p: training.Ppo) -> Rollout:
    """The episodes of step 1 under seed 0."""
    batch = next(batches(RISKY, p.batch_size, None, seed=0))
    seeds = [seed_of(0, trainer.EPISODES, 1, episode) for episode in range(p.batch_size)]
    return rolled(policy, reward, tokenizer, [DIALOGUES[row] for row in batch], seeds)


def test_the_losses_of_a_first_step_are_those_of_whitened_advantages_and_of_its_td_errors(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    """At ratio 1 the policy loss is minus the mean advantage; with λ = 0 the value's error is r + γ·V′ − V.

    V is the mean of what the other episodes, each of a prompt of its own, earn from there in the same state, and what
    the value head adds.
    """
    p = settings(steps=1, epochs=1, mini_batch_size=8, kl_coef=0, gamma=0.5, lam=0)
    rollout = first_rollout(policy, reward, tokenizer, p)
    [row] = trained(policy, reward, tokenizer, p)
    lengths, scores = rollout.response_mask.sum(1).tolist(), rollout.scores.tolist()

    def earned(episode: int, t: int) -> float:
        return scores[episode] * 0.5 ** max(lengths[episode] - 1 - t, 0)

    def is_clean(episode: int, t: int) -> bool:
        return bool((rollout.clean_before[episode, t] if t < lengths[episode] else rollout.clean[episode]).item())

    def value(episode: int, t: int) -> float:
        others = [i for i in range(8) if i != episode and is_clean(i, t) == is_clean(episode, t)]
        return sum(earned(i, t) for i in others) / max(len(others), 1) + rollout.values[episode, t].item()

    errors = []
    for episode, length in enumerate(lengths):
        v = [value(episode, t) for t in range(length)]
        errors += [0.5 * after - now for now, after in pairwise(v)] + [scores[episode] - v[-1]]
    assert row.policy_loss == pytest.approx(0, abs=1e-5)
    assert row.value_loss == pytest.approx(sum(error**2 for error in errors) / len(errors) / 2, rel=1e-4)
    assert row.reward == pytest.approx(rollout.scores.mean().item(), abs=1e-6)


def test_every_step_draws_episodes_of_its_own(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    """One dialogue and a policy that hardly moves: only the seeds differ between the steps."""
    p = settings(steps=3, learning_rate=1.0e-9)
    rows = list(trainer.train(Models(policy, reward, Prompt(tokenizer, 30)), DIALOGUES[:1], RISKY[:1], p, 0))
    assert len({(row.response_tokens, round(row.entropy, 4)) for row in rows}) == 3


# The update


def test_at_ratio_1_the_gradient_of_the_loss_is_the_plain_policy_gradient(
    policy: Policy, rollout: Rollout, advantages: Tensor
) -> None:
    prompt = rollout.prompt_ids, rollout.prompt_mask, rollout.response_ids, rollout.response_mask
    p = settings()
    now = policy.evaluate(*prompt).logprobs
    same = rollout._replace(logprobs=now.detach(), drawn_logprobs=now.detach())  # those of decoding differ by rounding
    loss = loss_sum(policy, same, targets_of(advantages, 0 * advantages, 0.0), p, UpdateStats())
    plain = -(now * advantages).sum()
    for actual, expected in zip(gradients(loss, policy), gradients(plain, policy), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-6)


def test_the_kl_in_the_loss_is_its_price_times_the_mean_kl_of_a_token_with_its_gradient(
    policy: Policy, rollout: Rollout, advantages: Tensor
) -> None:
    shift(policy)
    prompt = rollout.prompt_ids, rollout.prompt_mask, rollout.response_ids, rollout.response_mask
    targets, p = targets_of(0 * advantages, 0 * advantages, 2.5), settings()
    stats = UpdateStats()
    loss = (loss_sum(policy, rollout, targets, p, stats) - stats.value_loss) / rollout.response_mask.sum()
    with policy.reference():
        reference = torch.distributions.Categorical(logits=policy.evaluate(*prompt).logits)
    now = torch.distributions.Categorical(logits=policy.evaluate(*prompt).logits)
    expected = 2.5 * torch.distributions.kl_divergence(now, reference).mean()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert loss.item() > 1e-3
    for actual, gradient in zip(gradients(loss, policy), gradients(expected, policy), strict=True):
        torch.testing.assert_close(actual, gradient, rtol=1e-3, atol=1e-6)


def test_splitting_an_optimiser_batch_leaves_the_sum_of_its_losses_as_it_was(
    policy: Policy, rollout: Rollout, advantages: Tensor
) -> None:
    targets, p = targets_of(advantages, advantages.flip(0) * rollout.response_mask, 2.0), settings()
    shift(policy)

    def loss_of(rows: list[int]) -> float:
        part = rollout.of(torch.tensor(rows))
        wanted = targets.of(torch.tensor(rows), part.response_ids.shape[1])
        return loss_sum(policy, part, wanted, p, UpdateStats()).item()

    whole = loss_of(list(range(8)))
    assert loss_of([0, 1, 2]) + loss_of([3, 4, 5, 6, 7]) == pytest.approx(whole, abs=1e-5)
    assert loss_of([5, 2, 7, 0, 1, 6, 3, 4]) == pytest.approx(whole, abs=1e-5)
    assert sum(loss_of([row]) for row in range(8)) == pytest.approx(whole, abs=1e-5)


def test_more_padding_of_a_rollout_changes_no_loss(policy: Policy, rollout: Rollout, advantages: Tensor) -> None:
    def wider(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, torch.zeros_like(tensor[:, :5])], dim=1) if tensor.ndim > 1 else tensor

    p = settings()
    shift(policy)
    narrow = loss_sum(policy, rollout, targets_of(advantages, advantages, 2.0), p, UpdateStats())
    padded = Rollout(*map(wider, rollout))
    wide = loss_sum(policy, padded, targets_of(wider(advantages), wider(advantages), 2.0), p, UpdateStats())
    assert wide.item() == pytest.approx(narrow.item(), abs=1e-6 * rollout.response_mask.sum().item())


def test_every_epoch_sees_every_token_once_in_mini_batches_of_one_optimiser_step_each(
    policy: Policy, rollout: Rollout, advantages: Tensor
) -> None:
    optimizer, steps = sgd(policy, learning_rate=0.0), []
    optimizer.register_step_post_hook(lambda *_: steps.append(1))
    stats = update(
        policy,
        optimizer,
        rollout,
        targets_of(advantages, advantages, 1.0),
        settings(epochs=3, mini_batch_size=2),
        (0, 1),
    )
    assert len(steps) == 3 * 8 / 2
    assert stats.tokens == 3 * rollout.response_mask.sum()
    assert stats.policy_loss == pytest.approx(-3 * advantages.sum().item(), abs=1e-3)
    assert stats.clipped == 0


def test_k_episodes_of_a_prompt_stay_together_in_a_mini_batch_and_every_token_is_seen_once(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    rollout = rolled(policy, reward, tokenizer, DIALOGUES[:4], range(8))
    numbers = torch.randn(rollout.response_ids.shape, generator=torch.Generator().manual_seed(0))
    advantages, p = numbers * rollout.response_mask, settings(epochs=1, mini_batch_size=4, samples_per_prompt=2)
    stats = update(policy, sgd(policy, learning_rate=0.0), rollout, targets_of(advantages, advantages, 1.0), p, (0, 1))
    assert stats.tokens == rollout.response_mask.sum()
    assert stats.policy_loss == pytest.approx(-advantages.sum().item(), abs=1e-3)
    assert stats.ratio_error < 1e-4


def test_k_episodes_of_a_prompt_teach_what_the_prompt_repeated_k_times_teaches(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    """One optimiser step over the whole rollout; plain descent, since Adam blows up the rounding of tiny gradients."""
    start, moves = weights(policy), []
    for dialogues, k in ((DIALOGUES[:4], 2), ([text for text in DIALOGUES[:4] for _ in range(2)], 1)):
        restore(policy, start)
        rollout = rolled(policy, reward, tokenizer, dialogues, range(8))
        p = settings(epochs=1, mini_batch_size=8, samples_per_prompt=k)
        advantages = rollout.scores[:, None] * rollout.response_mask
        update(policy, sgd(policy, 0.1), rollout, targets_of(advantages, advantages, 1.0), p, (0, 1))
        moves.append(change(policy, start, ".policy."))
    assert moves[0].abs().max() > 1e-3
    torch.testing.assert_close(moves[0], moves[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("micro_batch_size", [2, 4])
def test_micro_batches_add_up_to_the_gradient_of_their_mini_batch(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, micro_batch_size: int
) -> None:
    """Plain descent, with as many tokens and the largest ratio of the whole mini-batch in the statistics."""
    start, moves = weights(policy), []
    rollout = rolled(policy, reward, tokenizer, DIALOGUES[:4], range(8))
    rollout.logprobs[5, 0] -= math.log(1.5)  # as if the policy had moved by half there
    advantages = rollout.scores[:, None] * rollout.response_mask
    for size in (8, micro_batch_size):
        restore(policy, start)
        p = settings(epochs=1, mini_batch_size=8, micro_batch_size=size, samples_per_prompt=2)
        stats = update(policy, sgd(policy, 0.1), rollout, targets_of(advantages, advantages, 1.0), p, (0, 1))
        assert stats.tokens == rollout.response_mask.sum()
        assert stats.ratio_error == pytest.approx(0.5, abs=1e-4)
        moves.append(torch.cat([change(policy, start, part) for part in (".policy.", ".v_head.")]))
    assert moves[0].abs().max() > 1e-3
    torch.testing.assert_close(moves[0], moves[1], rtol=0, atol=1e-6)


def test_mini_batches_are_random_and_the_key_decides_them(policy: Policy, rollout: Rollout, advantages: Tensor) -> None:
    start, ends, targets = weights(policy), [], targets_of(advantages, advantages, 1.0)
    for key in ((0, 1), (0, 1), (0, 2)):
        restore(policy, start)
        update(policy, sgd(policy, 0.1), rollout, targets, settings(mini_batch_size=2), key)
        ends.append(change(policy, start, ".policy."))
    assert ends[0].equal(ends[1])
    assert not torch.allclose(ends[0], ends[2], atol=1e-5)


def test_the_norm_of_the_gradient_of_all_that_is_trained_is_bounded(
    policy: Policy, rollout: Rollout, advantages: Tensor
) -> None:
    """Plain gradient descent of rate 1 moves by the gradient: by a length of 0.001 if that is its bound."""
    before = weights(policy)
    p = settings(epochs=1, mini_batch_size=8, max_grad_norm=0.001)
    update(policy, sgd(policy, 1.0), rollout, targets_of(advantages, advantages, 1.0), p, (0, 1))
    moved = torch.cat([change(policy, before, part) for part in (".policy.", ".v_head.")])
    assert moved.norm().item() == pytest.approx(0.001, rel=1e-2)


def test_the_update_makes_tokens_of_positive_advantage_likelier(
    policy: Policy, rollout: Rollout, advantages: Tensor
) -> None:
    prompt = rollout.prompt_ids, rollout.prompt_mask, rollout.response_ids, rollout.response_mask
    p = settings(epochs=1, mini_batch_size=8)
    update(policy, sgd(policy, 0.05), rollout, targets_of(advantages, advantages, 1.0), p, (0, 1))
    with torch.no_grad():
        gained = policy.evaluate(*prompt).logprobs - rollout.logprobs
    assert (gained * advantages).sum() > 0


def test_the_update_brings_values_closer_to_the_returns(policy: Policy, rollout: Rollout, advantages: Tensor) -> None:
    prompt = rollout.prompt_ids, rollout.prompt_mask, rollout.response_ids, rollout.response_mask
    returns = (rollout.values + 1) * rollout.response_mask
    p = settings(epochs=1, mini_batch_size=8)
    update(policy, sgd(policy, 0.1), rollout, targets_of(0 * advantages, returns, 0.0), p, (0, 1))
    with torch.no_grad():
        grown = (policy.evaluate(*prompt).values - rollout.values)[rollout.response_mask]
    assert 0 < grown.mean() < 1


# What is reported


def test_a_row_of_statistics_by_hand() -> None:
    mask = torch.tensor([[True, True], [True, False]])
    rollout = Rollout(
        prompt_ids=torch.zeros(2, 1, dtype=torch.long),
        prompt_mask=torch.ones(2, 1, dtype=torch.bool),
        response_ids=torch.zeros(2, 2, dtype=torch.long),
        response_mask=mask,
        drawn_logprobs=torch.tensor([[-1.0, -2.5], [-2.0, 0.0]]),
        logprobs=torch.tensor([[-1.0, -2.0], [-1.0, 0.0]]),
        ref_logprobs=torch.tensor([[-1.5, -2.5], [-1.0, 0.0]]),
        ref_states=torch.zeros(2, 2, 1),
        kl=torch.tensor([[0.25, 0.5], [0.125, 0.0]]),
        values=torch.tensor([[1.0, 2.0], [2.0, 0.0]]),
        scores=torch.tensor([1.0, 4.0]),
        truncated=torch.tensor([True, False]),
        clean=torch.tensor([False, True]),
        clean_before=mask,
        price=torch.tensor([0.5, 0.5]),
    )
    sums = UpdateStats(tokens=6, policy_loss=-3, value_loss=1.5, clipped=2, entropy=9, mismatch=3, ratio_error=1e-7)
    row = stats.step_stats(5, rollout, 2 / 3, sums)
    assert asdict(row) == pytest.approx(
        {
            "step": 5,
            "reward": 2.5,
            "reward_std": 3 / 2**0.5,
            "kl": 0.4375,
            "kl_k1": 0.5,
            "toxic": 0.5,
            "policy_loss": -0.5,
            "value_loss": 0.25,
            "clip_fraction": 1 / 3,
            "entropy": 1.5,
            "explained_variance": 2 / 3,
            "response_tokens": 1.5,
            "truncated": 0.5,
            "mismatch": 0.5,
            "ratio_error": 1e-7,
        }
    )


def test_the_summary_of_a_run_is_its_first_and_last_row() -> None:
    row = StepStats(1, 0.5, 1.0, 1e-9, 0.0, 0.1, 0.0, 0.0, 0.0, 2.0, 0.0, 9.0, 0.0, 0.0, 1e-7)
    last = replace(row, step=3, reward=1.5, kl=2.5, mismatch=0.125, ratio_error=9.0)
    assert stats.summary([row, replace(row, reward=9.0), last], batch_size=8) == {
        "steps": 3,
        "episodes": 24,
        "kl_first": 1e-9,
        "kl_last": 2.5,
        "mismatch_last": 0.125,
        "ratio_error_first": 1e-7,
        "reward_first": 0.5,
        "reward_last": 1.5,
    }


def test_ppo_learns_to_avoid_a_word_that_the_classifier_dislikes(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    """The word costs 4; a fifth of the first summaries or more have it, hardly one of the last."""
    p = settings(steps=15, batch_size=32, mini_batch_size=16, kl_coef=0.02, missing_eos_penalty=0)
    rewards = [row.reward for row in trained(policy, reward, tokenizer, p)]
    assert rewards[0] < 1.2
    assert sum(rewards[-4:]) / 4 > 1.8
