"""Prompts → episodes: what is scored, what is penalised, what is kept."""

import pytest
import torch
from tiny import DIALOGUES, PPO, RUDE, shift
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from detox.model import prompts
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.prompts import Prompt
from detox.model.sampling import seed_of
from detox.params import training
from detox.ppo import losses
from detox.ppo.rewards import prices, score
from detox.ppo.rollouts import Models, Rollout, collect

pytest_plugins = ["models"]

EOS = 1
EIGHT_EACH = DIALOGUES * 8


@pytest.fixture
def rollout(policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase) -> Rollout:
    """Eight episodes of each dialogue; a cut one is fined 1."""
    return rolled(policy, reward, tokenizer, EIGHT_EACH, range(48))


def rolled(
    policy: Policy,
    reward: Classifier,
    tokenizer: PreTrainedTokenizerBase,
    dialogues: list[str],
    seeds: range | list[int],
    score_clip: float = 5.0,
    micro_batch_size: int = 48,
    decode_batch_size: int = 48,
) -> Rollout:
    sizes = {"batch_size": 48, "mini_batch_size": 48, "micro_batch_size": micro_batch_size}
    p = training.Ppo(**(PPO | sizes | {"decode_batch_size": decode_batch_size, "score_clip": score_clip}))
    return collect(Models(policy, reward, Prompt(tokenizer, 30)), dialogues, [True] * len(dialogues), seeds, p)


def is_rude(rollout: Rollout) -> Tensor:
    return ((rollout.response_ids == RUDE) & rollout.response_mask).any(dim=1)


def test_the_summary_alone_is_scored_however_rude_the_dialogue(rollout: Rollout) -> None:
    """+2, or −2 with the word "rude", less 1 where the summary was cut."""
    rude = is_rude(rollout)
    assert 0 < rude.sum() < 48
    assert 0 < rollout.truncated.sum() < 48
    expected = 2.0 - 4.0 * rude - 1.0 * rollout.truncated
    torch.testing.assert_close(rollout.scores, expected, rtol=0, atol=1e-5)


def test_the_margin_is_clipped_and_the_penalty_is_not(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    rollout = rolled(policy, reward, tokenizer, EIGHT_EACH, range(48), score_clip=0.5)
    assert set(rollout.scores.tolist()) == {0.5, -0.5, 0.5 - 1, -0.5 - 1}


def test_scores_by_hand() -> None:
    margins, truncated = torch.tensor([2.0, -2.0, 2.0, -2.0]), torch.tensor([False, False, True, True])
    scores = score(margins, truncated, score_clip=1.5, missing_eos_penalty=0.25)
    assert scores.tolist() == [1.5, -1.5, 1.25, -1.75]


def test_a_prefix_is_clean_until_the_first_look_behind_the_word(rollout: Rollout) -> None:
    """The reward looks before tokens 3, 6 and 9; a word at token t is seen by the first of these looks above t."""
    seen = 0
    for ids, mask, clean, before in zip(
        rollout.response_ids, rollout.response_mask, rollout.clean, rollout.clean_before, strict=True
    ):
        length, words = int(mask.sum()), [t for t, token in enumerate(ids.tolist()) if token == RUDE and mask[t]]
        assert clean.item() == (not words)
        turn = words[0] // 3 * 3 + 3 if words else length
        assert before.tolist() == [t < min(turn, length) for t in range(len(ids))]
        seen += turn < length
    assert seen > 5


def test_a_summary_counts_as_truncated_exactly_when_it_never_ended(rollout: Rollout) -> None:
    ended = (rollout.response_ids == EOS).any(dim=1)
    assert rollout.truncated.equal(~ended)
    assert rollout.response_mask[rollout.truncated].all()


def test_the_score_of_a_cut_summary_lands_on_its_last_valid_token_and_nothing_is_bootstrapped(
    rollout: Rollout,
) -> None:
    mask = rollout.response_mask
    rewards = losses.token_rewards(rollout.scores, rollout.kl, mask, torch.zeros(len(mask)))
    cut, ended = rollout.truncated, ~rollout.truncated
    assert rewards[cut, -1].equal(rollout.scores[cut])
    assert rewards[ended][rollout.response_ids[ended] == EOS].equal(rollout.scores[ended])
    assert rewards.count_nonzero(dim=1).tolist() == [1] * 48
    advantages, _ = losses.gae(rewards, rollout.values, mask, gamma=1.0, lam=0.0)
    torch.testing.assert_close(advantages[cut, -1], (rollout.scores - rollout.values[:, -1])[cut], rtol=0, atol=1e-6)


def test_the_end_of_sequence_alone_is_scored_as_empty_text(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    rollout = rolled(policy, reward, tokenizer, [DIALOGUES[2]] * 60, range(60))
    empty = rollout.response_ids[:, 0] == EOS
    assert empty.any()
    assert not rollout.truncated[empty].any()
    torch.testing.assert_close(rollout.scores[empty], reward.margin([""]).expand(int(empty.sum())))


def test_the_policy_reads_the_prompt_of_its_dialogue(rollout: Rollout, tokenizer: PreTrainedTokenizerBase) -> None:
    texts = prompts.decode(tokenizer, rollout.prompt_ids, rollout.prompt_mask)
    assert texts == [f"Summarize the following conversation. {dialogue} Summary:" for dialogue in EIGHT_EACH]


def test_the_first_rollout_has_a_kl_of_0(rollout: Rollout) -> None:
    kl = losses.kl_k1(rollout.logprobs, rollout.ref_logprobs, rollout.response_mask)
    assert kl.abs().max() < 1e-4
    assert kl.mean().abs() < 1e-5
    assert rollout.kl.sum(dim=1).abs().max() < 1e-5


def test_the_reference_stays_behind_when_the_policy_moves(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Log-probabilities of the reference are those of the untouched policy for the same tokens."""
    untouched = rolled(policy, reward, tokenizer, EIGHT_EACH, range(48))
    shift(policy)
    moved = rolled(policy, reward, tokenizer, EIGHT_EACH, range(48))
    width = min(moved.response_ids.shape[1], untouched.response_ids.shape[1])
    same = (moved.response_ids[:, :width] == untouched.response_ids[:, :width]).all(dim=1)
    assert same.any()
    torch.testing.assert_close(moved.ref_logprobs[same], untouched.ref_logprobs[same], rtol=0, atol=1e-5)
    assert (moved.logprobs - untouched.logprobs)[same].abs().max() > 1e-3
    assert moved.kl.sum(dim=1).mean() > 1e-3


def test_the_kl_of_a_state_is_that_of_the_policys_distribution_from_the_references(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    shift(policy)
    rollout = rolled(policy, reward, tokenizer, EIGHT_EACH, range(48))
    decoder_ids = torch.cat([torch.zeros(48, 1, dtype=torch.long), rollout.response_ids[:, :-1]], dim=1)
    inputs = {"input_ids": rollout.prompt_ids, "attention_mask": rollout.prompt_mask.long()}
    distribution = torch.distributions.Categorical
    with torch.no_grad():
        now = distribution(logits=policy.language_model(**inputs, decoder_input_ids=decoder_ids).logits)
    with policy.reference():
        then = distribution(logits=policy.language_model(**inputs, decoder_input_ids=decoder_ids).logits)
    expected = torch.distributions.kl_divergence(now, then) * rollout.response_mask
    torch.testing.assert_close(rollout.kl, expected, rtol=0, atol=1e-5)
    assert expected.max() > 1e-2


def test_everything_behind_the_end_of_a_response_is_0(rollout: Rollout) -> None:
    padding = ~rollout.response_mask
    for name in ("logprobs", "ref_logprobs", "ref_states", "kl", "values", "response_ids"):
        assert not getattr(rollout, name)[padding].any()


def test_a_rollout_carries_no_gradient(rollout: Rollout) -> None:
    assert not any(tensor.requires_grad for tensor in rollout)


def test_an_episode_is_the_same_whatever_batch_it_is_in(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, rollout: Rollout
) -> None:
    for rows in ([4], [40, 7, 19], list(range(47, 23, -1))):
        other = rolled(policy, reward, tokenizer, [EIGHT_EACH[row] for row in rows], rows)
        for actual, expected in zip(other, rollout.of(torch.tensor(rows)), strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_a_selection_of_episodes_loses_the_columns_that_are_padding_in_all_of_them() -> None:
    prompt_mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]).bool()
    response_mask = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 1]]).bool()
    numbers = torch.arange(9.0).reshape(3, 3)
    rollout = Rollout(
        prompt_ids=torch.arange(12).reshape(3, 4),
        prompt_mask=prompt_mask,
        response_ids=numbers.long(),
        response_mask=response_mask,
        drawn_logprobs=numbers + 60,
        logprobs=numbers + 10,
        ref_logprobs=numbers + 20,
        ref_states=numbers[:, :, None] + 40,
        kl=numbers + 50,
        values=numbers + 30,
        scores=torch.tensor([0.5, 1.5, 2.5]),
        truncated=torch.tensor([False, True, False]),
        clean=torch.tensor([True, False, False]),
        clean_before=response_mask & (numbers != 3),
        price=torch.tensor([0.25, 0.5, 0.75]),
    )
    rows = rollout.of(torch.tensor([1, 0]))
    assert rows.prompt_ids.tolist() == [[4, 5, 6], [0, 1, 2]]
    assert rows.prompt_mask.tolist() == [[True, True, False], [True, True, True]]
    assert rows.response_ids.tolist() == [[3, 4], [0, 1]]
    assert rows.price.tolist() == [0.5, 0.25]
    assert rows.response_mask.tolist() == [[True, True], [True, False]]
    assert rows.drawn_logprobs.tolist() == [[63, 64], [60, 61]]
    assert rows.logprobs.tolist() == [[13, 14], [10, 11]]
    assert rows.ref_logprobs.tolist() == [[23, 24], [20, 21]]
    assert rows.ref_states.tolist() == [[[43], [44]], [[40], [41]]]
    assert rows.kl.tolist() == [[53, 54], [50, 51]]
    assert rows.values.tolist() == [[33, 34], [30, 31]]
    assert rows.scores.tolist() == [1.5, 0.5]
    assert rows.truncated.tolist() == [True, False]
    assert rows.clean.tolist() == [False, True]
    assert rows.clean_before.tolist() == [[False, True], [True, False]]


def test_the_reference_reads_prompts_of_similar_length_together_and_says_the_same_of_each(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    shift(policy)
    whole, parts = (rolled(policy, reward, tokenizer, DIALOGUES, range(24), micro_batch_size=m) for m in (24, 8))
    for actual, expected in zip(parts, whole, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    assert whole.prompt_mask.sum(1).tolist() == [18, 13, 16, 12, 10, 17]
    order = [part.tolist() for part in whole.by_length(torch.tensor([5, 1, 0, 4, 2]), 2)]
    assert order == [[0, 5], [2, 1], [4]]


def test_episodes_do_not_depend_on_how_many_are_written_at_once(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Six dialogues, four episodes each: all at once, and those of two, two and two, or of four and two dialogues."""
    shift(policy)
    whole = rolled(policy, reward, tokenizer, DIALOGUES, range(24))
    for at_once in (8, 16):
        parts = rolled(policy, reward, tokenizer, DIALOGUES, range(24), decode_batch_size=at_once)
        for actual, expected in zip(parts, whole, strict=True):
            torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_k_episodes_of_a_prompt_are_the_k_episodes_of_the_prompt_repeated(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    shared = rolled(policy, reward, tokenizer, DIALOGUES, range(24))
    repeated = rolled(policy, reward, tokenizer, [text for text in DIALOGUES for _ in range(4)], range(24))
    assert len(shared.prompt_ids) == 6
    for name in set(Rollout._fields) - {"prompt_ids", "prompt_mask"}:
        torch.testing.assert_close(getattr(shared, name), getattr(repeated, name), rtol=0, atol=1e-5)


def test_a_selection_of_prompts_brings_all_their_episodes(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    rollout = rolled(policy, reward, tokenizer, DIALOGUES, range(18))
    prompts = torch.tensor([4, 1])
    assert rollout.episodes(prompts).tolist() == [12, 13, 14, 3, 4, 5]
    selection = rollout.of(prompts)
    assert len(selection.prompt_ids) == 2
    assert selection.scores.tolist() == [rollout.scores[i].item() for i in (12, 13, 14, 3, 4, 5)]


def test_draws_of_different_kinds_steps_and_episodes_never_share_a_seed() -> None:
    keys = [(7, kind, step, episode) for kind in range(5) for step in range(20) for episode in range(20)]
    assert len({seed_of(*key) for key in keys}) == len(keys)
    assert seed_of(1, 2) != seed_of(2, 1)
    assert all(0 <= seed_of(*key) < 2**32 for key in keys)


def test_distance_costs_more_where_there_is_nothing_to_gain() -> None:
    assert prices([True, False, True], 0.5, 4.0).tolist() == [0.5, 2.0, 0.5]
