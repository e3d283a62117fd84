"""Picking tokens from hand-made distributions, and which prompts a batch still holds while it decodes."""

import pytest
import torch
from torch import Tensor
from transformers import T5Config
from transformers.cache_utils import DynamicLayer

from detox.model.attention import RoomForAll
from detox.model.sampling import Encoding, Sample, Step, draw, pick

A, B, C, END, PAD = 3, 4, 5, 1, 0
CONFIG = T5Config(pad_token_id=PAD, eos_token_id=END, decoder_start_token_id=PAD)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("u", "token"), [(0.0, 0), (0.2499, 0), (0.25, 1), (0.4999, 1), (0.5, 3), (0.75, 3), (0.99999994, 3)]
)
def test_a_token_is_the_first_whose_cumulative_probability_exceeds_the_number(u: float, token: int) -> None:
    """And one of probability 0, like the third, is never drawn."""
    logits = torch.tensor([[0.25, 0.25, 0.0, 0.5]]).log() + 7  # the level of logits means nothing
    tokens, logprobs = pick(logits, torch.tensor([u]), torch.tensor([False]))
    assert tokens.tolist() == [token]
    assert logprobs.exp().tolist() == pytest.approx([0.5 if token == 3 else 0.25])


def test_a_greedy_row_takes_the_most_probable_token_whatever_its_number() -> None:
    logits = torch.tensor([[0.3, 0.4, 0.3]]).log().expand(3, -1)
    tokens, logprobs = pick(logits, torch.tensor([0.0, 0.0, 0.99]), torch.tensor([True, False, False]))
    assert tokens.tolist() == [1, 0, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.4, 0.3, 0.3])


def test_sums_that_rounding_leaves_below_1_do_not_lead_behind_the_vocabulary() -> None:
    logits = torch.randn(64, 50_000, generator=torch.Generator().manual_seed(0))
    last = torch.full((64,), 1 - 2**-24)
    assert pick(logits, last, torch.zeros(64, dtype=torch.bool))[0].max() < 50_000


def scripted(responses: list[list[int]], prompts: int, max_new_tokens: int) -> tuple[Sample, list[tuple[int, int]]]:
    """A decoder that says what it is told, and how many prompts and responses it was given at every step.

    A prompt's state is its number, by which the decoder finds its lines: so that it notices what has left the batch.
    """
    k = len(responses) // prompts
    numbers = torch.arange(prompts).float().view(-1, 1, 1)
    encoding = Encoding(numbers.expand(-1, 2, 3), torch.ones(prompts, 2).long(), max_new_tokens)
    given: list[tuple[int, int]] = []

    def step(tokens: Tensor) -> Step:
        numbers = encoding.states[:, 0, 0].long()
        given.append((len(numbers), len(tokens)))
        rows = (numbers[:, None] * k + torch.arange(k)).flatten()
        logits = torch.full((len(rows), 8), -torch.inf)
        for place, row in enumerate(rows.tolist()):
            logits[place, (responses[row] + [C] * 9)[len(given) - 1]] = 0.0
        return Step(logits, rows + len(given) / 10, rows[:, None].expand(-1, 3).float())

    return draw(step, encoding, range(len(responses)), max_new_tokens, CONFIG), given


def test_a_prompt_leaves_the_batch_with_the_last_of_its_responses() -> None:
    sample, given = scripted([[A, END], [A, B, B, END], [END], [B, END], [A, A, A, A, END], [END]], 3, 9)
    assert given == [(3, 6), (3, 6), (2, 4), (2, 4), (1, 2)]
    assert sample.ids.tolist() == [
        [A, END, PAD, PAD, PAD],
        [A, B, B, END, PAD],
        [END, PAD, PAD, PAD, PAD],
        [B, END, PAD, PAD, PAD],
        [A, A, A, A, END],
        [END, PAD, PAD, PAD, PAD],
    ]
    assert sample.mask.sum(dim=1).tolist() == [2, 4, 1, 2, 5, 1]
    assert sample.mask.equal(sample.ids != PAD)


def test_what_was_computed_stays_with_its_response_and_its_token_and_is_0_behind_the_end() -> None:
    sample, _ = scripted([[A, END], [END], [A, A, END], [B, END]], 2, 9)
    expected = torch.tensor([[0.1, 0.2, 0.0], [1.1, 0.0, 0.0], [2.1, 2.2, 2.3], [3.1, 3.2, 0.0]])
    torch.testing.assert_close(sample.values, expected)
    assert sample.states[:, :, 0].equal(sample.mask * torch.arange(4.0)[:, None])
    assert not sample.logprobs.any()


def test_decoding_stops_at_the_longest_response_allowed() -> None:
    sample, given = scripted([[A] * 9, [B, END]], 1, 4)
    assert given == [(1, 2)] * 4
    assert sample.ids.tolist() == [[A, A, A, A], [B, END, PAD, PAD]]
    assert sample.mask.sum(dim=1).tolist() == [4, 2]


def test_room_for_all_tokens_holds_what_a_growing_cache_holds() -> None:
    """Beside transformers' own layer: token by token, and after responses have left."""
    numbers = torch.Generator().manual_seed(0)
    ours, theirs = RoomForAll(5), DynamicLayer()
    kept = torch.tensor([True, False, True])
    for step, rows in enumerate((3, 3, 2, 2, 2)):
        if step == 2:
            ours.batch_select_indices(kept)
            theirs.batch_select_indices(kept)
        keys, values = torch.randn(2, rows, 4, 1, 6, generator=numbers)
        for mine, other in zip(ours.update(keys, values), theirs.update(keys, values), strict=True):
            assert torch.equal(mine, other)
        assert ours.get_seq_length() == theirs.get_seq_length() == step + 1
