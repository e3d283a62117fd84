"""Training stops before it learns from numbers that are not finite or from a policy that has run away."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from projects import write_params
from safetensors.torch import load_file
from tiny import DIALOGUES, PPO, RISKY, shift
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from detox.errors import InputError
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.prompts import Prompt
from detox.params import training
from detox.parsing import read_jsonl
from detox.ppo import trainer
from detox.ppo.divergence import Diverged
from detox.ppo.rollouts import Models
from stages import train_ppo

pytest_plugins = ["models", "projects"]


class Broken(Classifier):
    """Gives the last text of a batch a number that is not one."""

    def __init__(self, number: float):
        self.number = number

    def margin(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([1.0] * (len(texts) - 1) + [self.number])


def diverges(policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, **changes: float) -> str:
    """Why training stops, at once and with no weight moved."""
    before = [weight.detach().clone() for weight in policy.parameters()]
    with pytest.raises(Diverged) as stop:
        next(
            trainer.train(
                Models(policy, reward, Prompt(tokenizer, 30)), DIALOGUES, RISKY, training.Ppo(**(PPO | changes)), 0
            )
        )
    for weight, was in zip(policy.parameters(), before, strict=True):
        torch.testing.assert_close(weight, was, rtol=0, atol=0, equal_nan=True)
    return str(stop.value)


def test_a_reward_that_is_not_a_number_stops_training(policy: Policy, tokenizer: PreTrainedTokenizerBase) -> None:
    assert diverges(policy, Broken(math.nan), tokenizer) == "a reward is not finite"


def test_a_weight_that_is_not_a_number_stops_training(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    with torch.no_grad():
        policy.value_head_parameters()[0][0, 0] = math.nan
    assert diverges(policy, reward, tokenizer) == "a value is not finite"


def test_a_loss_that_overflows_stops_training(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert diverges(policy, reward, tokenizer, kl_coef=1e38) == "the loss or its gradient is not finite"


def test_a_kl_above_the_limit_stops_training(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    shift(policy)
    reason = diverges(policy, reward, tokenizer, kl_limit=1e-8)
    assert reason.startswith("the KL is ")
    assert reason.endswith(" nats a summary, above ppo.kl_limit (1e-08)")


def test_the_stage_says_at_which_step_and_keeps_the_batch_and_every_earlier_output(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    before = Path("models/ppo/adapter_model.safetensors").read_bytes()
    write_params(ppo=PPO | {"kl_limit": 1e-3})
    with pytest.raises(InputError, match=r"^PPO step 2 diverged: the KL is .*; lower ppo.learning_rate") as stop:
        train_ppo.main()
    [folder] = Path(".resume/train_ppo").glob("*/diverged")
    assert f"see its batch in {folder};" in str(stop.value)
    assert load_file(folder / "batch.safetensors")["scores"].shape == (8,)
    assert [list(row) for row in read_jsonl(folder / "batch.jsonl")] == [["prompt", "summary"]] * 8
    assert Path("models/ppo/adapter_model.safetensors").read_bytes() == before
