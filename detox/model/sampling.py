"""Drawing responses token by token, so that each depends on its own prompt and seed alone, not on its batch.

transformers' `generate` decodes every row until the longest has ended and gives back neither log-probabilities nor
values. Here a prompt leaves the batch with the last of its responses: a quarter of the time less on the miniature.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import Cache, EncoderDecoderCache, LogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from detox.model.attention import OfPrompts, RoomForAll

ENCODED_AT_ONCE = 4  # prompts of similar length: on a CPU no more are faster, and little is padding


def seed_of(*key: int) -> int:
    """A seed for one random draw from what identifies it, e.g. (seed, step, episode): never from a batch's shape."""
    return int(np.random.SeedSequence(key).generate_state(1)[0])


class Sample(NamedTuple):
    """Responses drawn for a batch of prompts, with what the decoder computed on the way. 0 where the mask is False."""

    ids: Tensor  # [batch response] int64
    mask: Tensor  # [batch response] bool, true through the end-of-sequence token, the first token included
    logprobs: Tensor  # [batch response] log π of each token
    values: Tensor  # [batch response] value of the state before each token
    states: Tensor  # [batch response width] what the language model's head read to draw each token


class Step(NamedTuple):
    """What the decoder makes of one more token of each response."""

    logits: Tensor  # [batch vocab]
    values: Tensor  # [batch]
    states: Tensor  # [batch width]


@torch.no_grad()
def encoded(encoder: Any, prompt_ids: Tensor, prompt_mask: Tensor) -> Tensor:
    """What the decoder reads of the prompts: `[batch prompt width]`, 0 in padding; a few of like length at a time."""
    lengths = prompt_mask.sum(1)
    shape = (*prompt_ids.shape, encoder.config.d_model)
    states = torch.zeros(shape, dtype=encoder.dtype, device=prompt_ids.device)
    for rows in lengths.argsort(descending=True, stable=True).split(ENCODED_AT_ONCE):
        ids, mask = (each[rows, : lengths[rows].max()] for each in (prompt_ids, prompt_mask.long()))
        states[rows, : ids.shape[1]] = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    return states


class Encoding:
    """Encoded prompts, and the keys and values that the decoder has made of them and of the responses so far."""

    def __init__(self, states: Tensor, mask: Tensor, max_new_tokens: int):
        self.states, self.mask = states, mask
        responses = Cache(layer_class_to_replicate=partial(RoomForAll, max_new_tokens))  # type: ignore[arg-type]
        self.cache = EncoderDecoderCache(responses, Cache(layer_class_to_replicate=OfPrompts))

    def keep(self, prompts: Tensor, responses: Tensor) -> None:
        """Drops the prompts and the responses for which these are False."""
        self.states, self.mask = self.states[prompts], self.mask[prompts]
        self.cache.cross_attention_cache.batch_select_indices(prompts)
        self.cache.self_attention_cache.batch_select_indices(responses)

    def inputs(self) -> dict[str, Any]:
        """As arguments of the model."""
        return {
            "encoder_outputs": BaseModelOutput(self.states),
            "attention_mask": self.mask,
            "past_key_values": self.cache,
        }


def pick(logits: Tensor, uniform: Tensor, greedy: Tensor) -> tuple[Tensor, Tensor]:
    """A token of each row at temperature 1 and its log-probability: inverts the distribution (Devroye 1986, II.2).

    It is the first v with Σ_{w ≤ v} p(w) > u, where u is the row's number in [0, 1); the most probable one if `greedy`.
    """
    probabilities = logits.softmax(dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    # Times the last sum, which rounding may leave below 1.
    tokens = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)
    tokens = torch.where(greedy[:, None], logits.argmax(dim=-1, keepdim=True), tokens)
    return tokens.squeeze(1), probabilities.gather(1, tokens).log().squeeze(1)


def draw(
    step: Callable[[Tensor], Step],
    encoding: Encoding,
    seeds: Sequence[int | None],
    max_new_tokens: int,
    config: Any,
    constraint: LogitsProcessor | None = None,
) -> Sample:
    """One response per seed; token t of a response falls to the t-th number of its own generator.

    `step` decodes the last token of each response in `encoding`. A seed of None stands for the most probable tokens.
    Of the tokens so far and the logits, a constraint makes the logits that are drawn from.
    """
    k, width, device = len(seeds) // len(encoding.states), encoding.states.shape[2], encoding.states.device
    generators = [torch.Generator().manual_seed(seed or 0) for seed in seeds]
    uniform = torch.stack([torch.rand(max_new_tokens, generator=generator) for generator in generators]).to(device)
    greedy = torch.tensor([seed is None for seed in seeds], device=device)
    mask = torch.zeros_like(uniform, dtype=torch.bool)
    ids = torch.full_like(uniform, config.pad_token_id, dtype=torch.int64)
    logprobs, values = torch.zeros_like(uniform), torch.zeros_like(uniform)
    states = encoding.states.new_zeros(*uniform.shape, width)
    rows = torch.arange(len(seeds), device=device)  # the responses in `encoding`, k to each of them …
    running = torch.ones_like(rows, dtype=torch.bool)  # … some of which have ended already
    tokens = torch.full_like(rows, config.decoder_start_token_id)
    for t in range(max_new_tokens):
        now = step(tokens)
        logits = constraint(ids[rows, :t], now.logits) if constraint else now.logits
        tokens, picked = pick(logits, uniform[rows, t], greedy[rows])
        valid = rows[running]
        mask[valid, t] = True
        ids[valid, t], logprobs[valid, t] = tokens[running], picked[running]
        values[valid, t], states[valid, t] = now.values[running], now.states[running]
        running = running & (tokens != config.eos_token_id)
        unfinished = running.view(-1, k).any(dim=1)
        if not unfinished.any():
            break
        if not unfinished.all():
            kept = unfinished.repeat_interleave(k)
            encoding.keep(unfinished, kept)
            rows, running, tokens = rows[kept], running[kept], tokens[kept]
    return Sample(*(tensor[:, : t + 1] for tensor in (ids, mask, logprobs, values, states)))


@torch.no_grad()
def most_probable(model: Any, prompt_ids: Tensor, prompt_mask: Tensor, max_new_tokens: int) -> Sample:
    """The most probable response to each prompt, token by token, of an encoder–decoder without a value head.

    Of its configuration only the tokens that begin, end and pad a response matter.
    """
    states = encoded(model.get_encoder(), prompt_ids, prompt_mask)
    encoding = Encoding(states, prompt_mask.long(), max_new_tokens)

    def step(tokens: Tensor) -> Step:
        logits = model(**encoding.inputs(), decoder_input_ids=tokens[:, None]).logits[:, 0]
        nothing = logits.new_zeros(len(logits), states.shape[2])
        return Step(logits, nothing[:, 0], nothing)

    return draw(step, encoding, [None] * len(prompt_ids), max_new_tokens, model.config)
