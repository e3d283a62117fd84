"""Where memory runs out it goes on in smaller batches: same episodes, losses and summaries, but for rounding."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUES, PPO, RISKY, classifier_params
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from detox.errors import InputError
from detox.generation import summaries
from detox.model.classifier import Classifier
from detox.model.policy import Evaluation, Policy
from detox.model.prompts import Prompt
from detox.model.sampling import Sample
from detox.params import training
from detox.ppo import trainer
from detox.ppo.rollouts import Models
from detox.ppo.state import TrainState
from detox.ppo.stats import StepStats
from detox.runtime import memory

pytest_plugins = ["models"]


class Small(Policy):
    """Asks for 2⁵⁰ bytes, which no machine has, where it learns from too many episodes or answers too many prompts."""

    limit = 0
    prompts = 100

    def evaluate(self, *batch: Any) -> Evaluation:
        if torch.is_grad_enabled() and len(batch[2]) > self.limit:
            torch.empty(2**50, dtype=torch.uint8)
        return super().evaluate(*batch)

    def sample(self, prompt_ids: Tensor, *rest: Any) -> Sample:
        if len(prompt_ids) > self.prompts:
            torch.empty(2**50, dtype=torch.uint8)
        return super().sample(prompt_ids, *rest)


def trained(
    policy: Policy, reward: Classifier, tokenizer: PreTrainedTokenizerBase, **changes: float
) -> tuple[list[StepStats], TrainState]:
    p = training.Ppo(**(PPO | {"batch_size": 8, "mini_batch_size": 8, "micro_batch_size": 8} | changes))
    state = TrainState(policy, p)

    def train(p: training.Ppo) -> Iterator[StepStats]:
        return trainer.train(Models(policy, reward, Prompt(tokenizer, 30)), DIALOGUES, RISKY, p, 0, state)

    return list(memory.sparing(train, p, state)), state


def warnings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines on stderr that say that memory has run out; the rest of it is progress bars."""
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: out of memory")]


def test_the_same_episodes_and_losses_in_smaller_micro_batches(
    base: Path,
    adapter: Path,
    reward: Classifier,
    tokenizer: PreTrainedTokenizerBase,
    capsys: pytest.CaptureFixture[str],
) -> None:
    poor = Small(base, adapter)
    poor.limit = 3
    rows, state = trained(Policy(base, adapter), reward, tokenizer)
    again, same = trained(poor, reward, tokenizer)
    assert [row.response_tokens for row in rows] == [row.response_tokens for row in again]
    for row, other in zip(rows, again, strict=True):
        assert row.reward == pytest.approx(other.reward, abs=1e-6)
        assert row.policy_loss == pytest.approx(other.policy_loss, abs=1e-4)
        assert row.value_loss == pytest.approx(other.value_loss, rel=1e-3)
    for weight, other_weight in zip(state.weights(), same.weights(), strict=True):
        torch.testing.assert_close(weight, other_weight, rtol=0, atol=1e-3)
    assert warnings(capsys) == [
        "warning: out of memory: step 1 again, 4 episodes written, 4 read at once",
        "warning: out of memory: step 1 again, 2 episodes written, 2 read at once",
    ]


def test_what_does_not_fit_even_one_prompt_at_a_time_is_one_line(
    base: Path, adapter: Path, reward: Classifier, tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(InputError, match=r"^out of memory with the episodes of one prompt at once, 2 of them: "):
        trained(Small(base, adapter), reward, tokenizer, samples_per_prompt=2)


def test_a_rollout_that_does_not_fit_is_written_in_parts_though_it_is_read_a_prompt_at_a_time(
    base: Path,
    adapter: Path,
    reward: Classifier,
    tokenizer: PreTrainedTokenizerBase,
    capsys: pytest.CaptureFixture[str],
) -> None:
    poor = Small(base, adapter)
    poor.limit, poor.prompts = 1, 3
    trained(poor, reward, tokenizer, micro_batch_size=1)
    assert warnings(capsys) == [
        "warning: out of memory: step 1 again, 4 episodes written, 1 read at once",
        "warning: out of memory: step 1 again, 2 episodes written, 1 read at once",
    ]


def test_another_error_is_not_taken_for_a_lack_of_memory(base: Path, adapter: Path) -> None:
    def fail(p: training.Ppo) -> Iterator[StepStats]:
        raise RuntimeError("shapes do not match")

    p = training.Ppo(**PPO)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        next(memory.sparing(fail, p, TrainState(Policy(base, adapter), p)))


SAID = [
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "CUDA error: out of memory",
    "HIP out of memory. Tried to allocate 2.00 GiB",
    "XPU out of memory. Tried to allocate 2.00 GiB",
    "MPS backend out of memory (MPS allocated: 2.00 GB)",
    "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.",
    "could not create a primitive",
    "could not create a primitive descriptor for a matmul primitive",
    "could not create a memory object",
    "std::bad_alloc",
    "unable to mmap 9 bytes from file <x>: Cannot allocate memory (12)",
]
KINDS = [MemoryError(), OSError(12, "Cannot allocate memory"), torch.OutOfMemoryError("x")]


@pytest.mark.parametrize("error", [*map(RuntimeError, SAID), *KINDS], ids=str)
def test_it_is_known_by_its_kind_or_by_what_the_library_says(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once three rows do not fit; then not even one does, and what was said of it is told."""

    def work(rows: list[int]) -> dict[int, int]:
        if len(rows) > least:
            raise error
        return {row: row**2 for row in rows}

    least = 2
    assert list(memory.in_parts(work, [[1, 2, 3], [4, 5]], "a row")) == [{1: 1, 2: 4, 3: 9}, {4: 16, 5: 25}]
    assert warnings(capsys) == ["warning: out of memory: again with 1 at once"]
    least = 0
    with pytest.raises(InputError, match=r"^out of memory with a row \(.+\)$"):
        list(memory.in_parts(work, [[1]], "a row"))


@pytest.mark.parametrize("error", [ValueError("out of memory"), OSError(2, "x"), RuntimeError("mat1 and mat2 shapes")])
def test_what_another_error_says_is_not_taken_for_it(error: Exception) -> None:
    assert not memory.exhausted(error)


def test_a_classifier_reads_in_smaller_batches_where_memory_runs_out(
    word_classifier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reward = Classifier(classifier_params(word_classifier, batch_size=4))
    whole, forward = reward.margin(DIALOGUES), reward.model.forward

    def poor(input_ids: Tensor, **rest: Any) -> Any:
        if len(input_ids) > 1:
            torch.empty(2**50, dtype=torch.uint8)
        return forward(input_ids=input_ids, **rest)

    monkeypatch.setattr(reward.model, "forward", poor)
    torch.testing.assert_close(reward.margin(DIALOGUES), whole)
    assert warnings(capsys) == [f"warning: out of memory: again with {size} at once" for size in (2, 1)]


def summarised(policy: Policy, tokenizer: PreTrainedTokenizerBase) -> list[dict[int, list[str]]]:
    """Two batches, of four and of two dialogues: the most probable summary and a sample of each."""
    sizes = {"batch_size": 8, "max_new_tokens": 10}
    return list(summaries.draw(summaries.Writer(policy, Prompt(tokenizer, 30), **sizes), DIALOGUES, [None, (0, 3)], {}))


def test_the_same_summaries_in_the_same_batches_of_fewer_dialogues_at_once(
    base: Path, adapter: Path, tokenizer: PreTrainedTokenizerBase, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch stays whole, because an interrupted run is taken up again at whole batches."""
    poor = Small(base, adapter)
    poor.prompts = 1
    whole = summarised(Policy(base, adapter), tokenizer)
    assert [len(batch) for batch in whole] == [4, 2]
    assert summarised(poor, tokenizer) == whole
    assert warnings(capsys) == [
        "warning: out of memory: again with 2 at once",
        "warning: out of memory: again with 1 at once",
    ]


def test_a_dialogue_whose_summaries_do_not_fit_is_one_line(
    base: Path, adapter: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    poor = Small(base, adapter)
    poor.prompts = 0
    with pytest.raises(InputError, match=r"^out of memory with 2 summaries of one dialogue: lower summarize\."):
        summarised(poor, tokenizer)


def test_another_error_is_not_taken_for_a_lack_of_memory_by_summarising_either() -> None:
    def fail(rows: list[int]) -> dict[int, str]:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        next(memory.in_parts(fail, [[0, 1]], "a row"))
