"""A base in bfloat16: what stays in float32, and that before the first update the KL is 0 and every ratio 1."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import DIALOGUES, PPO, RISKY, Prompts
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.prompts import Prompt
from detox.model.sampling import Sample
from detox.params import training
from detox.ppo import trainer
from detox.ppo.rollouts import Models
from detox.ppo.state import TrainState

pytest_plugins = ["models"]

SEEDS = range(12)  # two of each prompt
ALONE = PPO | {"samples_per_prompt": 2, "micro_batch_size": 2, "mini_batch_size": 8, "epochs": 1}


@pytest.fixture
def coarse(base: Path, adapter: Path) -> Policy:
    return Policy(base, adapter, "bfloat16")


def logprobs(policy: Policy, encoded: Prompts, ids: Tensor, mask: Tensor) -> Tensor:
    with torch.no_grad():
        return policy.evaluate(*encoded, ids, mask).logprobs[mask]


def test_the_base_alone_is_in_bfloat16_and_all_that_is_trained_is_not(coarse: Policy) -> None:
    types = {name: weight.dtype for name, weight in coarse.named_parameters()}
    fine = {name for name in types if ".lora_" in name or ".v_head." in name or "lm_head" in name}
    assert len(fine) == 2 * 24 + 2 + 1
    assert {types[name] for name in fine} == {torch.float32}
    assert {kind for name, kind in types.items() if name not in fine} == {torch.bfloat16}


def test_the_adapter_is_not_rounded(coarse: Policy, adapter: Path, tmp_path: Path) -> None:
    coarse.save(tmp_path / "saved")
    saved, given = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path / "saved", adapter))
    assert all(saved[name].equal(given[name]) for name in given)


def test_it_says_what_float32_says_but_for_rounding(coarse: Policy, policy: Policy, encoded: Prompts) -> None:
    sample = policy.sample(*encoded, SEEDS, 10)
    fine, rounded = (logprobs(each, encoded, sample.ids, sample.mask) for each in (policy, coarse))
    assert fine.dtype == rounded.dtype == torch.float32
    assert 1e-4 < (fine - rounded).abs().mean() < 0.1


@pytest.mark.parametrize(("mini_batch", "error"), [(4, 1e-3), (8, 1e-2)])
def test_before_the_first_update_the_kl_is_0_and_every_ratio_is_1_and_then_the_policy_moves(
    coarse: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, mini_batch: int, error: float
) -> None:
    """With one update a rollout the KL is that of the rounded policy which has drawn."""
    p = training.Ppo(**(ALONE | {"mini_batch_size": mini_batch}))
    state = TrainState(coarse, p)
    first, second = trainer.train(Models(coarse, reward, Prompt(tokenizer, 30)), DIALOGUES, RISKY, p, 0, state)
    assert abs(first.kl) < error
    assert abs(first.kl_k1) < 10 * error
    assert first.ratio_error < 1e-3
    assert second.kl > 0.01
    moments = [value for moments in state.optimizer.state.values() for value in moments.values()]
    assert {moment.dtype for moment in moments} == {torch.float32}


def test_for_rollouts_adapter_and_head_are_rounded_too_and_come_back_as_they_were(
    coarse: Policy, encoded: Prompts
) -> None:
    head = coarse.language_model.get_output_embeddings()
    before = {name: each.clone() for name, each in coarse.state_dict().items()}
    with coarse.rounded():
        assert head.weight.dtype == torch.bfloat16
        quick = coarse.sample(*encoded, SEEDS, 10)
    careful = coarse.sample(*encoded, SEEDS, 10)
    assert head.weight.dtype == torch.float32
    assert all(each.equal(before[name]) for name, each in coarse.state_dict().items())
    assert quick.logprobs.dtype == torch.float32
    assert missed(coarse, encoded, careful) < missed(coarse, encoded, quick) / 2


def missed(policy: Policy, encoded: Prompts, sample: Sample) -> float:
    """How far what decoding says of its tokens is from what a fresh pass says, in nats."""
    return (logprobs(policy, encoded, sample.ids, sample.mask) - sample.logprobs[sample.mask]).abs().mean().item()


def test_in_float32_nothing_is_rounded(policy: Policy, encoded: Prompts) -> None:
    given = policy.sample(*encoded, SEEDS, 10)
    with policy.rounded():
        again = policy.sample(*encoded, SEEDS, 10)
    assert all(one.equal(other) for one, other in zip(given, again, strict=True))


@pytest.mark.parametrize(("mini_batch", "error"), [(4, 0.2), (8, 1e-12)])
def test_several_prompts_at_once_start_from_the_reference_with_ratios_near_1(
    coarse: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, mini_batch: int, error: float
) -> None:
    """In the update a prompt has other companions than in the pass that gave the old log-probabilities.

    With one update a rollout there is no such pass: the update's own gives them.
    """
    p = training.Ppo(**(ALONE | {"micro_batch_size": 4, "mini_batch_size": mini_batch}))
    first, second = trainer.train(Models(coarse, reward, Prompt(tokenizer, 30)), DIALOGUES, RISKY, p, 0)
    assert abs(first.kl) < 1e-2
    assert first.ratio_error < error
    assert 1e-3 < first.mismatch < 1
    assert second.kl > 0.01


def test_in_float32_tokens_are_drawn_from_the_policy_itself(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    p = training.Ppo(**ALONE)
    steps = trainer.train(Models(policy, reward, Prompt(tokenizer, 30)), DIALOGUES, RISKY, p, 0)
    assert [step.mismatch for step in steps] == [0, 0]
