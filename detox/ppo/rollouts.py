"""Prompts → episodes: sample a summary, score it, and keep all that the update needs."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from safetensors.torch import load, save
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from detox.model import distributions, prompts
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.sampling import Sample
from detox.runtime import ranks


class Rollout(NamedTuple):
    """A batch of episodes under the policy that sampled them, k to a prompt. No tensor carries a gradient."""

    prompt_ids: Tensor  # [batch/k prompt] int64
    prompt_mask: Tensor  # [batch/k prompt] bool
    response_ids: Tensor  # [batch response] int64
    response_mask: Tensor  # [batch response] bool: first token to end-of-sequence token
    logprobs: Tensor  # [batch response] log π_old(yₜ)
    ref_logprobs: Tensor  # [batch response] log π_ref(yₜ)
    ref_states: Tensor  # [batch response width] of which the head makes the reference's logits
    kl: Tensor  # [batch response] KL of π_old(·|sₜ) from π_ref(·|sₜ)
    values: Tensor  # [batch response] V_old(sₜ)
    scores: Tensor  # [batch] what the episode earns: clipped margin, less the penalty for a missing end
    truncated: Tensor  # [batch] bool: cut by max_new_tokens before it ended

    @property
    def k(self) -> int:
        """Episodes of a prompt."""
        return len(self.response_ids) // len(self.prompt_ids)

    def episodes(self, prompts: Tensor) -> Tensor:
        """The numbers of the episodes of the prompts with these numbers."""
        return (prompts[:, None] * self.k + torch.arange(self.k, device=prompts.device)).flatten()

    def by_length(self, prompts: Tensor, size: int) -> tuple[Tensor, ...]:
        """These prompts' numbers, longest first, in parts of `size`: little of each part is padding.

        What a part needs fits where the one before it was.
        """
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
            logprobs=self.logprobs[index, :response],
            ref_logprobs=self.ref_logprobs[index, :response],
            ref_states=self.ref_states[index, :response],
            kl=self.kl[index, :response],
            values=self.values[index, :response],
            scores=self.scores[index],
            truncated=self.truncated[index],
        )


def score(
    texts: Sequence[str], truncated: Tensor, reward: Classifier, score_clip: float, missing_eos_penalty: float
) -> Tensor:
    """Margin of the summary alone, clipped to ±score_clip, less the penalty where the summary was cut short."""
    margins = reward.margin(texts).to(truncated.device)
    return margins.clamp(-score_clip, score_clip) - missing_eos_penalty * truncated


def collect(
    policy: Policy,
    reward: Classifier,
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Sequence[str],
    seeds: Sequence[int],
    *,
    micro_batch_size: int,
    decode_batch_size: int,
    max_prompt_tokens: int,
    max_new_tokens: int,
    score_clip: float,
    missing_eos_penalty: float,
) -> Rollout:
    """One episode per seed, the first k of the first dialogue: sample, score, and compare with the reference."""
    texts = [prompts.prompt(dialogue) for dialogue in dialogues]
    prompt_ids, prompt_mask = prompts.encode(tokenizer, texts, max_prompt_tokens, policy.device)
    sample = draw(policy, prompt_ids, prompt_mask, seeds, max_new_tokens, decode_batch_size)
    truncated = ~((sample.ids == tokenizer.eos_token_id) & sample.mask).any(dim=1)
    summaries = prompts.decode(tokenizer, sample.ids, sample.mask)
    rollout = Rollout(
        prompt_ids,
        prompt_mask,
        sample.ids,
        sample.mask,
        sample.logprobs,
        torch.zeros_like(sample.logprobs),
        torch.zeros_like(sample.states),
        torch.zeros_like(sample.logprobs),
        sample.values,
        score(summaries, truncated, reward, score_clip, missing_eos_penalty),
        truncated,
    )
    everything = torch.arange(len(texts), device=policy.device)
    parts = rollout.by_length(everything, micro_batch_size // rollout.k)
    if not policy.exact:
        for part in parts:
            evaluate_again(policy, rollout, sample.states, part)
    with policy.reference():
        for part in parts:
            compare(policy, rollout, sample.states, part)
    return rollout


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
