"""Prompts → episodes: sample a summary, score it, and keep all that the update needs."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from safetensors.torch import load, save
from torch import Tensor

from detox.model import distributions, prompts
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.prompts import Prompt
from detox.model.sampling import Sample
from detox.params import training
from detox.ppo import rewards
from detox.runtime import ranks


class Models(NamedTuple):
    """What a rollout is made with: who writes, who scores, and what the writer is given."""

    policy: Policy
    reward: Classifier
    prompt: Prompt


class Rollout(NamedTuple):
    """A batch of episodes under the policy that sampled them, k to a prompt. No tensor carries a gradient."""

    prompt_ids: Tensor  # [batch/k prompt] int64
    prompt_mask: Tensor  # [batch/k prompt] bool
    response_ids: Tensor  # [batch response] int64
    response_mask: Tensor  # [batch response] bool: first token to end-of-sequence token
    drawn_logprobs: Tensor  # [batch response] log μ(yₜ): μ is what the tokens were drawn from, in float32 π_old itself
    logprobs: Tensor  # [batch response] log π_old(yₜ)
    ref_logprobs: Tensor  # [batch response] log π_ref(yₜ)
    ref_states: Tensor  # [batch response width] of which the head makes the reference's logits
    kl: Tensor  # [batch response] KL of π_old(·|sₜ) from π_ref(·|sₜ)
    values: Tensor  # [batch response] V_old(sₜ)
    scores: Tensor  # [batch] what the episode earns: clipped margin, less the penalty for a missing end
    truncated: Tensor  # [batch] bool: cut by max_new_tokens before it ended
    clean: Tensor  # [batch] bool: whether the reward finds the summary rather clean than toxic
    clean_before: Tensor  # [batch response] bool: the same of the tokens before t, when it last looked
    price: Tensor  # [batch] β: what a nat of distance from the reference costs, in units of the score

    @property
    def k(self) -> int:
        """Episodes of a prompt."""
        return len(self.response_ids) // len(self.prompt_ids)

    def episodes(self, prompts: Tensor) -> Tensor:
        """The numbers of the episodes of the prompts with these numbers."""
        return (prompts[:, None] * self.k + torch.arange(self.k, device=prompts.device)).flatten()

    def by_length(self, prompts: Tensor, size: int) -> tuple[Tensor, ...]:
        """These prompts' numbers, longest first, in parts of `size`: what one needs fits where the one before was."""
        return prompts[self.prompt_mask[prompts].sum(1).argsort(descending=True, stable=True)].split(size)

    def of(self, prompts: Tensor) -> "Rollout":
        """The episodes of the prompts with these numbers, without the columns that are padding in all of them."""
        index = self.episodes(prompts)
        prompt, response = self.prompt_mask[prompts].sum(1).max(), self.response_mask[index].sum(1).max()
        return Rollout(
            prompt_ids=self.prompt_ids[prompts, :prompt],
            prompt_mask=self.prompt_mask[prompts, :prompt],
            response_ids=self.response_ids[index, :response],
            response_mask=self.response_mask[index, :response],
            drawn_logprobs=self.drawn_logprobs[index, :response],
            logprobs=self.logprobs[index, :response],
            ref_logprobs=self.ref_logprobs[index, :response],
            ref_states=self.ref_states[index, :response],
            kl=self.kl[index, :response],
            values=self.values[index, :response],
            scores=self.scores[index],
            truncated=self.truncated[index],
            clean=self.clean[index],
            clean_before=self.clean_before[index, :response],
            price=self.price[index],
        )


def collect(
    models: Models, dialogues: Sequence[str], risky: Sequence[bool], seeds: Sequence[int], p: training.Ppo
) -> Rollout:
    """One episode per seed, the first k of the first dialogue: sample, score, and compare with the reference."""
    policy, tokenizer = models.policy, models.prompt.tokenizer
    prompt_ids, prompt_mask = models.prompt.encode(dialogues, policy.device)
    with policy.rounded():
        sample = draw(policy, prompt_ids, prompt_mask, seeds, p.max_new_tokens, p.decode_batch_size)
    truncated = ~((sample.ids == tokenizer.eos_token_id) & sample.mask).any(dim=1)
    margins = models.reward.margin(prompts.decode(tokenizer, sample.ids, sample.mask)).to(policy.device)
    rollout = Rollout(
        prompt_ids,
        prompt_mask,
        sample.ids,
        sample.mask,
        sample.logprobs.clone(),
        sample.logprobs,
        torch.zeros_like(sample.logprobs),
        torch.zeros_like(sample.states),
        torch.zeros_like(sample.logprobs),
        sample.values,
        rewards.score(margins, truncated, p.score_clip, p.missing_eos_penalty),
        truncated,
        margins > 0,
        clean_before(models, sample, p.prefix_every),
        rewards.prices(risky, p.kl_coef, p.calm_kl).repeat_interleave(len(seeds) // len(dialogues)).to(policy.device),
    )
    everything = torch.arange(len(dialogues), device=policy.device)
    parts = rollout.by_length(everything, p.micro_batch_size // rollout.k)
    if p.reused and not policy.exact:
        for part in parts:
            evaluate_again(policy, rollout, sample.states, part)
    with policy.reference():
        for part in parts:
            compare(policy, rollout, sample.states, part)
    return rollout


def clean_before(models: Models, sample: Sample, every: int) -> Tensor:
    """`[batch response]` whether the reward finds the tokens before t rather clean, looked at every so many tokens.

    Before the first look everything is clean; False where the mask is.
    """
    lengths, response = sample.mask.sum(1), sample.ids.shape[1]
    looks = [(row, t) for t in range(every, response, every) for row in (lengths > t).nonzero().flatten().tolist()]
    found = torch.ones_like(sample.mask)
    if looks:
        rows, ends = (torch.tensor(numbers, device=sample.ids.device) for numbers in zip(*looks, strict=True))
        before = torch.arange(response, device=sample.ids.device) < ends[:, None]
        verdicts = models.reward.margin(prompts.decode(models.prompt.tokenizer, sample.ids[rows], before)) > 0
        for (row, t), verdict in zip(looks, verdicts.tolist(), strict=True):
            found[row, t:] = verdict
    return found & sample.mask


def draw(
    policy: Policy, prompt_ids: Tensor, prompt_mask: Tensor, seeds: Sequence[int], max_new_tokens: int, at_once: int
) -> Sample:
    """One response per seed, `at_once` of them at a time: their keys and values are the most that a rollout keeps."""
    k = len(seeds) // len(prompt_ids)
    parts = []
    for rows in torch.arange(len(prompt_ids)).split(at_once // k):
        first, end, longest = rows[0], rows[-1] + 1, prompt_mask[rows].sum(1).max()
        part = prompt_ids[rows, :longest], prompt_mask[rows, :longest]
        parts.append(policy.sample(*part, seeds[first * k : end * k], max_new_tokens))
    return Sample(*map(stacked, zip(*parts, strict=True)))


@torch.no_grad()
def evaluate_again(policy: Policy, rollout: Rollout, states: Tensor, prompts: Tensor) -> None:
    """Puts what the update's own pass makes of the episodes of these prompts in the place of what decoding made."""
    part, index = rollout.of(prompts), rollout.episodes(prompts)
    mask, width = part.response_mask, part.response_ids.shape[1]
    now = policy.evaluate(part.prompt_ids, part.prompt_mask, part.response_ids, mask)
    rollout.logprobs[index, :width] = now.logprobs
    rollout.values[index, :width] = now.values * mask
    states[index, :width] = now.states * mask[:, :, None]


def compare(policy: Policy, rollout: Rollout, states: Tensor, prompts: Tensor) -> None:
    """Fills in what the reference, which the policy has to be now, makes of the episodes of these prompts."""
    part, index = rollout.of(prompts), rollout.episodes(prompts)
    mask, width = part.response_mask, part.response_ids.shape[1]
    reference = policy.evaluate(part.prompt_ids, part.prompt_mask, part.response_ids, mask)
    kl = distributions.kl_divergence(policy.logits(states[index, :width][mask]), reference.logits)
    rollout.ref_logprobs[index, :width] = reference.logprobs
    rollout.ref_states[index, :width] = reference.states * mask[:, :, None]
    rollout.kl[index, :width] = torch.zeros_like(part.kl).masked_scatter(mask, kl)


def united(part: Rollout, numbers: Sequence[int]) -> Rollout:
    """The rollout of all ranks, the same in each; this one's part has the prompts with these numbers, in order."""
    if ranks.size() == 1:
        return part
    device = part.prompt_ids.device
    tensors = {name: tensor.cpu().contiguous() for name, tensor in part._asdict().items()}
    parts = [load(content) for content in ranks.gathered(save(tensors | {"numbers": torch.tensor(numbers)}))]
    prompts = torch.cat([each.pop("numbers") for each in parts]).argsort()
    whole = Rollout(**{name: stacked([each[name] for each in parts]) for name in tensors})
    episodes = whole.episodes(prompts)
    return Rollout(
        *(
            tensor[prompts if name.startswith("prompt") else episodes].to(device)
            for name, tensor in whole._asdict().items()
        )
    )


def stacked(parts: Sequence[Tensor]) -> Tensor:
    """`[rows …]` of each, one below the other, padded with 0 on the right to the widest."""
    if parts[0].dim() == 1:
        return torch.cat(list(parts))
    widest = max(part.shape[1] for part in parts)
    padded = [part.new_zeros(len(part), widest, *part.shape[2:]) for part in parts]
    for wide, part in zip(padded, parts, strict=True):
        wide[:, : part.shape[1]] = part
    return torch.cat(padded)
