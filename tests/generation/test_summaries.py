"""Dialogues → summaries: each in its place, each from a seed of its own; and the stress slice."""

from collections.abc import Sequence

import pytest
import torch
from tiny import DIALOGUES
from transformers import PreTrainedTokenizerBase

from detox.corpus.dialogues import Dialogue
from detox.generation import rivals, summaries
from detox.model import prompts
from detox.model.policy import Policy
from detox.model.sampling import seed_of
from detox.ppo import batches, trainer

pytest_plugins = ["models"]


def drawn(
    policy: Policy, tokenizer: PreTrainedTokenizerBase, keys: Sequence[tuple[int, ...] | None], batch_size: int
) -> list[list[str]]:
    sizes = {"batch_size": batch_size, "max_new_tokens": 10}
    return summaries.in_order(
        summaries.draw(summaries.Writer(policy, prompts.Prompt(tokenizer, 30), **sizes), DIALOGUES, keys, {})
    )


def test_the_most_probable_summary_of_a_dialogue_is_its_own_whatever_the_batch_and_whatever_is_drawn_beside_it(
    policy: Policy, tokenizer: PreTrainedTokenizerBase
) -> None:
    alone = []
    for dialogue in DIALOGUES:
        encoded = prompts.Prompt(tokenizer, 30).encode([dialogue])
        sample = policy.sample(*encoded, [None], 10)
        alone += prompts.decode(tokenizer, sample.ids, sample.mask)
    assert len(set(alone)) > 3
    for batch_size in (1, 4, 100):
        assert drawn(policy, tokenizer, [None], batch_size) == [[summary] for summary in alone]
    assert [row[1] for row in drawn(policy, tokenizer, [(0, 3), None, (0, 4)], 100)] == alone


def test_a_sample_depends_on_its_key_and_the_number_of_its_dialogue_alone(
    policy: Policy, tokenizer: PreTrainedTokenizerBase
) -> None:
    keys = [(0, 3, j) for j in range(3)]
    samples = drawn(policy, tokenizer, keys, batch_size=100)
    assert [len(row) for row in samples] == [3] * len(DIALOGUES)
    for batch_size in (1, 4):
        assert drawn(policy, tokenizer, keys, batch_size) == samples
    assert drawn(policy, tokenizer, [None, *keys[:2]], batch_size=4) == [
        [summary, *row[:2]]
        for [summary], row in zip(drawn(policy, tokenizer, [None], batch_size=100), samples, strict=True)
    ]
    assert drawn(policy, tokenizer, [(0, 4, j) for j in range(3)], batch_size=100) != samples


def test_a_sample_is_what_the_policy_draws_from_that_seed(policy: Policy, tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = prompts.Prompt(tokenizer, 30).encode([DIALOGUES[4]])
    sample = policy.sample(*encoded, [seed_of(0, 3, 1, 4)], 10)
    expected = prompts.decode(tokenizer, sample.ids, sample.mask)
    assert drawn(policy, tokenizer, [(0, 3, 0), (0, 3, 1)], batch_size=4)[4][1:] == expected


def test_the_samples_of_a_dialogue_differ(policy: Policy, tokenizer: PreTrainedTokenizerBase) -> None:
    samples = drawn(policy, tokenizer, [(0, 3, j) for j in range(8)], batch_size=100)
    assert all(len(set(row)) > 3 for row in samples)


def test_no_two_kinds_of_draws_share_their_seeds() -> None:
    kinds = [batches.PROMPTS, trainer.EPISODES, trainer.MINI_BATCHES, summaries.SAMPLES, summaries.STRESS_SAMPLES]
    assert len({*kinds, rivals.SAMPLES}) == 6


def test_summarising_leaves_torchs_own_generator_alone(policy: Policy, tokenizer: PreTrainedTokenizerBase) -> None:
    state = torch.get_rng_state()
    drawn(policy, tokenizer, [(0, 3)], batch_size=4)
    assert torch.get_rng_state().equal(state)


def test_a_line_has_the_most_probable_summary_and_its_samples_and_no_fresh_draw() -> None:
    dialogues = [Dialogue("a", "text", ("reference",), "scenario"), Dialogue("b", "text", (), "b")]
    drawn = [["one", "x", "y", "fresh"], ["two", "z", "w", "fresh"]]
    assert summaries.rows(dialogues, drawn, samples=2) == [
        {"id": "a", "group": "scenario", "summary": "one", "samples": ["x", "y"]},
        {"id": "b", "group": "b", "summary": "two", "samples": ["z", "w"]},
    ]


def test_batches_hold_every_text_once_shortest_first() -> None:
    assert list(summaries.by_length(["aaa", "a", "bb", "b"], 3, "")) == [[1, 3, 2], [0]]


@pytest.mark.parametrize(
    ("share", "minimum", "expected"), [(0.5, 1, "cb"), (0.0, 1, "c"), (0.1, 3, "cba"), (1, 9, "cbad")]
)
def test_the_stress_slice_is_a_share_of_the_most_toxic_dialogues_but_a_minimum_if_there_are_so_many(
    share: float, minimum: int, expected: str
) -> None:
    stress = summaries.most_toxic("dabc", [0.1, 0.3, 0.5, 0.9], share, minimum)
    assert [row["id"] for row in stress] == list(expected)


def test_among_equally_toxic_dialogues_the_id_decides() -> None:
    stress = summaries.most_toxic(["z", "b", "a"], [0.5, 0.5, 0.1234567], share=0, minimum=3)
    assert stress == [{"id": "b", "toxicity": 0.5}, {"id": "z", "toxicity": 0.5}, {"id": "a", "toxicity": 0.123457}]
