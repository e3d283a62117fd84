"""Several ranks do what one process does: the same samples, and the same numbers but for rounding."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_ranks import in_ranks
from tiny import DIALOGUES, PPO, RISKY
from transformers import PreTrainedTokenizerBase

from detox.errors import InputError
from detox.generation import summaries
from detox.model.classifier import Classifier
from detox.model.policy import Evaluation, Policy
from detox.model.prompts import Prompt
from detox.params import training
from detox.ppo import divergence, trainer
from detox.ppo.rollouts import Models
from detox.ppo.state import TrainState
from detox.ppo.stats import StepStats
from detox.runtime import checkpoints, memory, ranks

pytest_plugins = ["models"]

SIZES = {"steps": 5, "samples_per_prompt": 2, "batch_size": 16, "mini_batch_size": 8, "micro_batch_size": 4}

every_count = pytest.mark.parametrize("count", [2, 3])


class Project:
    """Tiny models, and training with them."""

    def __init__(self, base: Path, adapter: Path, reward: Classifier, tokenizer: PreTrainedTokenizerBase):
        self.base, self.adapter, self.reward, self.tokenizer = base, adapter, reward, tokenizer

    def trained(self, kind: type[Policy] = Policy, stop_after: int = 5, **changes: float) -> dict[str, Any]:
        """Rows and weights of a run that goes on from its state, if it has left one; it may stop before its end."""
        p = training.Ppo(**(PPO | SIZES | changes))
        policy = kind(self.base, self.adapter)
        state = TrainState(policy, p)

        def train(p: training.Ppo) -> Iterator[StepStats]:
            return trainer.train(Models(policy, self.reward, Prompt(self.tokenizer, 30)), DIALOGUES, RISKY, p, 0, state)

        try:
            with checkpoints.resumable("train_ppo", [p], [], 100, lambda state: True) as unfinished:
                if unfinished.state:
                    state.restore(unfinished.state)
                begun = state.step
                for row in memory.sparing(train, p, state):
                    unfinished.keep(state.freeze())
                    if row.step == stop_after < p.steps:
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        weights = torch.cat([weight.detach().flatten() for weight in state.weights()])
        return {"begun": begun, "rows": [asdict(row) for row in state.rows], "weights": weights.tolist()}


@pytest.fixture
def project(
    base: Path,
    adapter: Path,
    reward: Classifier,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return Project(base, adapter, reward, tokenizer)


def assert_same(run: dict[str, Any], other: dict[str, Any]) -> None:
    """The same samples; the same figures and weights but for rounding."""
    assert len(run["rows"]) == len(other["rows"]) == 5
    for row, other_row in zip(run["rows"], other["rows"], strict=True):
        assert row == pytest.approx(other_row, abs=1e-4)
        assert row["response_tokens"] == other_row["response_tokens"]
    torch.testing.assert_close(torch.tensor(run["weights"]), torch.tensor(other["weights"]), rtol=0, atol=1e-3)


@every_count
def test_training_in_ranks_is_that_of_one_process_but_for_rounding_and_all_end_in_the_same_bits_each_time(
    count: int, project: Project
) -> None:
    """Eight prompts; a mini-batch is two micro-batches, so that of three ranks one has none."""
    runs = in_ranks(count, project.trained)
    assert all(run == runs[0] for run in [*runs, *in_ranks(count, project.trained)])
    assert_same(runs[0], project.trained())


@every_count
def test_a_run_goes_on_in_more_processes_or_in_fewer(count: int, project: Project, tmp_path: Path) -> None:
    whole = project.trained()
    assert {run["begun"] for run in in_ranks(count, lambda: project.trained(stop_after=2))} == {0}
    assert [path.name for path in tmp_path.rglob("step_*")] == ["step_000002"]
    assert project.trained(stop_after=3)["begun"] == 2
    runs = in_ranks(5 - count, project.trained)
    assert {run["begun"] for run in runs} == {3}
    assert_same(runs[0], whole)
    assert not list(tmp_path.rglob("step_*"))


class Poor(Policy):
    """Asks for 2⁵⁰ bytes, which no machine has, where the second rank is to learn from more than one prompt at once."""

    def evaluate(self, *batch: Any) -> Evaluation:
        if ranks.rank() == 1 and torch.is_grad_enabled() and len(batch[0]) > 1:
            torch.empty(2**50, dtype=torch.uint8)
        return super().evaluate(*batch)


def test_where_memory_runs_out_in_one_rank_all_go_on_with_smaller_micro_batches(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = in_ranks(2, lambda: project.trained(Poor, mini_batch_size=16))
    assert runs[0] == runs[1]
    assert_same(runs[0], project.trained(mini_batch_size=16))
    [said] = capfd.readouterr().err.splitlines()
    assert said == "warning: out of memory: step 1 again, 4 episodes written, 2 read at once"


def test_training_that_diverges_stops_in_all_ranks_and_the_first_saves_the_batch(
    project: Project, tmp_path: Path
) -> None:
    def diverging() -> str:
        try:
            project.trained(kl_limit=1e-6)
        except divergence.Diverged as error:
            folder = tmp_path / str(ranks.rank())
            return str(divergence.report(error, 2, folder, project.tokenizer)).split(": see")[0]
        return "it went on"

    first, second = in_ranks(2, diverging)
    assert first == second
    assert first.startswith("PPO step 2 diverged: the KL is ")
    assert len((tmp_path / "0" / "batch.jsonl").read_text().splitlines()) == 16
    assert not (tmp_path / "1").exists()


@every_count
def test_ranks_share_each_batch_of_dialogues_and_all_know_all_summaries(
    count: int, policy: Policy, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Four dialogues a batch, so that one of three ranks has none of the last two."""

    def drawn(done: dict[int, list[str]]) -> list[list[Any]]:
        sizes = {"batch_size": 8, "max_new_tokens": 10}
        batches = summaries.draw(
            summaries.Writer(policy, Prompt(tokenizer, 30), **sizes), DIALOGUES, [None, (0, 3)], done
        )
        return [sorted(batch.items()) for batch in batches]

    alone = drawn({})
    assert [len(batch) for batch in alone] == [4, 2]
    as_json = [[[row, texts] for row, texts in batch] for batch in alone]
    assert in_ranks(count, lambda: drawn({})) == [as_json] * count
    assert in_ranks(count, lambda: drawn(dict(alone[0]))) == [as_json[1:]] * count


def test_more_ranks_than_prompts_of_a_rollout_are_refused(project: Project) -> None:
    def refused() -> str:
        with pytest.raises(InputError) as refusal:
            project.trained(batch_size=2, mini_batch_size=2, micro_batch_size=2)
        return str(refusal.value)

    said = in_ranks(2, refused)
    what = "there are 2 processes, but a rollout has 1 prompt(s), ppo.batch_size / ppo.samples_per_prompt"
    assert said == [f"{what}: lower compute.processes or compute.machines"] * 2
