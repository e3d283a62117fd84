"""The PPO loop: roll out, estimate advantages, update; one StepStats a step.

Where it departs from TRL 0.11.4's PPOTrainer: the reference is the starting adapter, the first token counts, there is
no dropout, rollout log-probabilities come (in float32) from decoding itself, and losses are token sums over an
optimiser batch.

Several processes (detox.runtime.ranks) share the prompts of a rollout and the micro-batches of an update; each knows
the whole rollout, and all take the same optimiser step on the sum of their gradients. So a step is what one process
makes of it.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from detox.errors import InputError
from detox.model import distributions
from detox.model.policy import Policy
from detox.model.sampling import seed_of
from detox.params import training
from detox.ppo import divergence, losses
from detox.ppo.baseline import expected_return
from detox.ppo.batches import batches
from detox.ppo.rollouts import Models, Rollout, collect, united
from detox.ppo.state import TrainState
from detox.ppo.stats import StepStats, UpdateStats, step_stats
from detox.runtime import allocator, ranks

EPISODES, MINI_BATCHES = 1, 2  # what a seed is for, beside batches.PROMPTS: draws of different kinds never share one


class Targets(NamedTuple):
    """What an update strives for."""

    advantages: Tensor  # [batch response], whitened over the rollout
    returns: Tensor  # [batch response]
    price: Tensor  # [batch] of a nat of distance from the reference, in units of `advantages`

    def of(self, index: Tensor, width: int) -> "Targets":
        """Those of some episodes, up to a number of tokens."""
        return Targets(self.advantages[index, :width], self.returns[index, :width], self.price[index])


def train(
    models: Models,
    dialogues: Sequence[str],
    risky: Sequence[bool],
    p: training.Ppo,
    seed: int,
    state: TrainState | None = None,
) -> Iterator[StepStats]:
    """Trains the policy in place to `p.steps` steps, from the first or from where `state` stands, which it moves on.

    Raises InputError if a rank would have no prompt, and Diverged.
    """
    check_ranks(p)
    state, k = state or TrainState(models.policy, p), p.samples_per_prompt
    todo = islice(batches(risky, p.batch_size // k, p.risky_share, seed), state.step, p.steps)
    for step, batch in enumerate(todo, start=state.step + 1):
        ranks.meet(step)
        allocator.give_back()
        # 1. Sample k summaries of each dialogue and score them.
        own = share([dialogues[number] for number in batch])
        seeds = [seed_of(seed, EPISODES, step, place * k + j) for place in own for j in range(k)]
        texts, marks = [dialogues[batch[place]] for place in own], [risky[batch[place]] for place in own]
        rollout = united(collect(models, texts, marks, seeds, p), own)
        divergence.check_rollout(rollout, p.kl_limit)
        # 2. Charge every token for the distance from the reference that it leads to.
        rewards = losses.token_rewards(rollout.scores, rollout.kl, rollout.response_mask, rollout.price)
        # 3. Estimate what each token was worth.
        returns, values, targets = estimate(rollout, rewards, p)
        # 4. Update policy and value head on random mini-batches.
        allocator.give_back()
        stats = update(models.policy, state.optimizer, rollout, targets, p, (seed, MINI_BATCHES, step))
        explained = losses.explained_variance(values, returns, rollout.response_mask).item()
        state.rows.append(row := step_stats(step, rollout, explained, stats))
        yield row


def estimate(rollout: Rollout, rewards: Tensor, p: training.Ppo) -> tuple[Tensor, Tensor, Targets]:
    """Returns, what was expected of them (the baseline, and what the value head adds), and the update's targets."""
    mask = rollout.response_mask
    returns, _ = losses.gae(rewards, torch.zeros_like(rewards), mask, p.gamma, lam=1.0)
    earned = torch.where(mask, returns, rollout.scores[:, None])
    clean = torch.where(mask, rollout.clean_before, rollout.clean[:, None])
    baseline = expected_return(earned, clean, rollout.k) * mask
    values = baseline + rollout.values * mask
    advantages, aims = losses.gae(rewards, values, mask, p.gamma, p.lam)
    # The price of a nat is in the units of the whitened advantages.
    price = rollout.price / losses.spread(advantages, mask)
    return returns, values, Targets(losses.whiten(advantages, mask), aims - baseline, price)


def check_ranks(p: training.Ppo) -> None:
    """Raises InputError unless every rank has a prompt of a rollout."""
    prompts = p.batch_size // p.samples_per_prompt
    if ranks.size() > prompts:
        raise InputError(
            f"there are {ranks.size()} processes, but a rollout has {prompts} prompt(s), "
            "ppo.batch_size / ppo.samples_per_prompt: lower compute.processes or compute.machines"
        )


def share(texts: Sequence[str]) -> list[int]:
    """The numbers of those texts that are this rank's, which together are about as long as any other's."""
    return sorted(ranks.dealt(sorted(range(len(texts)), key=lambda place: len(texts[place]))))


def update(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    targets: Targets,
    p: training.Ppo,
    key: tuple[int, ...],
) -> UpdateStats:
    """`p.epochs` passes over the rollout in random mini-batches, one optimiser step each.

    A mini-batch passes in micro-batches, prompts of similar length together, at least one for each rank where there are
    prompts enough: its gradient is the sum of theirs.
    """
    stats, k = UpdateStats(), p.samples_per_prompt
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for epoch in range(p.epochs):
        order = np.random.default_rng(seed_of(*key, epoch)).permutation(p.batch_size // k)
        for prompts in torch.as_tensor(order, device=policy.device).split(p.mini_batch_size // k):
            tokens = rollout.response_mask[rollout.episodes(prompts)].sum()
            optimizer.zero_grad()
            at_once = min(p.micro_batch_size // k, -(-len(prompts) // ranks.size()))
            for part in ranks.dealt(rollout.by_length(prompts, at_once)):
                micro_batch = rollout.of(part)
                wanted = targets.of(rollout.episodes(part), micro_batch.response_ids.shape[1])
                (loss_sum(policy, micro_batch, wanted, p, stats) / tokens).backward()
            ranks.add_up_gradients(weights)
            for group in optimizer.param_groups:
                divergence.check_gradient(torch.nn.utils.clip_grad_norm_(group["params"], p.max_grad_norm), rollout)
            optimizer.step()
            stats.optimizer_steps += 1
    return stats.united()


def loss_sum(policy: Policy, rollout: Rollout, targets: Targets, p: training.Ppo, stats: UpdateStats) -> Tensor:
    """Policy loss + price · KL + value loss, summed over valid tokens; adds to `stats`.

    The value loss moves the value head alone, and nothing else does, so that it needs no weight beside the others.
    """
    mask = rollout.response_mask
    now = policy.evaluate(rollout.prompt_ids, rollout.prompt_mask, rollout.response_ids, mask)
    # For the only update of a rollout π_old is what this pass makes, where decoding has made something else.
    old_logprobs = rollout.logprobs if p.reused or policy.exact else now.logprobs.detach()
    with torch.no_grad():
        ref_logits = policy.logits(rollout.ref_states[mask])
    kl = distributions.kl_divergence(now.logits, ref_logits)
    del ref_logits  # as large as all that a layer or two keeps for its gradient
    advantages = losses.importance_weights(old_logprobs, rollout.drawn_logprobs) * targets.advantages
    policy_loss = losses.policy_loss(now.logprobs, old_logprobs, advantages, mask, p.clip_range)
    value_loss = losses.value_loss(now.values, rollout.values, targets.returns, mask, p.value_clip_range)
    with torch.no_grad():
        stats.tokens += mask.sum().item()
        stats.policy_loss += policy_loss.item()
        stats.value_loss += value_loss.item()
        stats.clipped += losses.clipped_tokens(now.logprobs, old_logprobs, mask, p.clip_range).item()
        stats.mismatch += losses.mismatch(old_logprobs, rollout.drawn_logprobs, mask).item()
        stats.entropy += distributions.entropy(now.logits).sum().item()
        if stats.optimizer_steps == 0:
            error = torch.expm1(now.logprobs - old_logprobs)[mask].abs().max().item()
            stats.ratio_error = max(stats.ratio_error, error)
    price = targets.price.unsqueeze(1).expand_as(mask)[mask]
    return policy_loss + (price * kl).sum() + value_loss
