"""The stages that run models, end to end on tiny ones: fetch_adapter, train_ppo, summarize."""

import csv
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from imports import ROOT
from peft import PeftModel
from projects import OUTPUTS, contents, names, pinned, run_stages, write_params
from safetensors.torch import load_file
from tiny import DIALOGUES, save_adapter
from transformers import PreTrainedTokenizerBase, T5ForConditionalGeneration

import stages
from detox.errors import InputError
from detox.generation import summaries
from detox.model.policy import Policy
from detox.model.prompts import Prompt
from detox.parsing import read_jsonl, read_metrics
from stages import fetch_adapter, rank_dialogues, summarize, train_ppo

pytest_plugins = ["models", "projects"]

ADAPTER_FILES = {"adapter_config.json", "adapter_model.safetensors"}
COLUMNS = """step reward reward_std kl kl_k1 toxic policy_loss value_loss clip_fraction entropy explained_variance
response_tokens truncated mismatch"""


def one_by_one(
    policy: Policy, tokenizer: PreTrainedTokenizerBase, keys: Sequence[tuple[int, ...] | None]
) -> list[list[str]]:
    """Summaries of the test dialogues by these keys, a dialogue at a time."""
    sizes = {"batch_size": 1, "max_new_tokens": 10}
    return summaries.in_order(
        summaries.draw(summaries.Writer(policy, Prompt(tokenizer, 30), **sizes), DIALOGUES[:4], keys, {})
    )


@pytest.fixture(autouse=True)
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test stands in the project's root, under its own params.yaml."""
    monkeypatch.chdir(finished)
    write_params()


def test_threads_that_wait_yield_soon_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    stages.yield_while_waiting()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    stages.yield_while_waiting()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


def test_no_stage_loads_torch_and_with_it_openmp_before_it_runs() -> None:
    modules = ", ".join(f"stages.{path.stem}" for path in (ROOT / "stages").glob("*.py"))
    code = f"import {modules}, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_fetch_adapter_copies_the_adapters_two_files(adapter: Path) -> None:
    assert contents("models/adapter") == {
        f"models/adapter/{name}": (adapter / name).read_bytes() for name in ADAPTER_FILES
    }


def test_models_ppo_is_exactly_the_adapters_files_and_the_value_head() -> None:
    assert names("models") == {"adapter", "ppo", "snapshots"}
    assert names("models/ppo") == ADAPTER_FILES | {"value_head.safetensors"}


def test_a_snapshot_is_kept_every_so_many_steps_and_the_policy_is_the_last_one() -> None:
    assert names("models/snapshots") == {"step_0001", "step_0002"}
    assert all(names(f"models/snapshots/{step}") == ADAPTER_FILES for step in ("step_0001", "step_0002"))
    first, last, final = (
        load_file(Path(folder, "adapter_model.safetensors"))
        for folder in ("models/snapshots/step_0001", "models/snapshots/step_0002", "models/ppo")
    )
    assert first.keys() == last.keys() == final.keys()
    for name, weight in final.items():
        assert weight.equal(last[name])
        assert not last[name].equal(first[name])


def test_peft_loads_what_training_wrote_and_it_has_moved(base: Path) -> None:
    before, after = (
        dict(PeftModel.from_pretrained(T5ForConditionalGeneration.from_pretrained(base), folder).named_parameters())
        for folder in ("models/adapter", "models/ppo")
    )
    assert before.keys() == after.keys()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved == {name for name in before if "lora_" in name}


def test_the_metrics_of_training_say_where_it_started_to_the_last_digit() -> None:
    metrics = read_metrics(Path("metrics/train.json"))
    assert set(metrics) == {
        "trainable_parameters",
        "trainable_percent",
        "value_head_parameters",
        "steps",
        "episodes",
        "kl_first",
        "mismatch_last",
        "ratio_error_first",
        "reward_first",
        "reward_last",
        "kl_last",
        "prompts_cut",
    }
    assert (metrics["steps"], metrics["episodes"]) == (2, 2 * 8)
    assert (metrics["trainable_parameters"], metrics["value_head_parameters"]) == (3072, 33)
    assert abs(metrics["kl_first"]) < 1e-5
    assert 0 < metrics["ratio_error_first"] < 1e-4
    assert metrics["ratio_error_first"] != round(metrics["ratio_error_first"], 6)
    assert metrics["kl_last"] == round(metrics["kl_last"], 6)


def test_a_stage_says_how_many_prompts_it_cuts(
    finished: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the instruction, the cue and the end they have 18, 13, 16, 12, 10 and 17 tokens."""
    assert read_metrics(Path("metrics/train.json"))["prompts_cut"] == 0
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "copy"))
    write_params(model={"source": pinned(base), "max_prompt_tokens": 16, "dtype": "float32"})
    train_ppo.main()
    note = "note: 2 of 6 prompts were cut to 16 tokens (model.max_prompt_tokens)\n"
    assert capsys.readouterr().out == f"device: cpu\n{note}"
    assert read_metrics(Path("metrics/train.json"))["prompts_cut"] == 2


def test_a_dialogue_that_is_held_out_is_summarised_and_not_trained_on(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word rude makes d0 and d3 risky: one of the two is held out, the other is watched in training."""
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "copy"))
    write_params(rank={"dialogues": None, "hold_out": 0.5})
    for stage in (rank_dialogues, train_ppo, summarize):
        stage.main()
    assert read_metrics(Path("metrics/risk.json")) == {
        "ranked": 6,
        "risky": 2,
        "held_out": 1,
        "test": 4,
        "test_risky": 2,
    }
    before, after = (read_jsonl(Path(f"data/summaries/held_out_{name}.jsonl")) for name in ("sft", "ppo"))
    assert [row["id"] for row in before] == [row["id"] for row in after]
    assert {before[0]["id"], *read_metrics(Path("metrics/samples.json"))} == {"d0", "d3"}


def test_the_table_of_training_has_a_row_a_step_and_a_column_a_figure() -> None:
    with Path("metrics/train.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS.split()
    assert [row["step"] for row in rows] == ["1", "2"]
    written = {"adapter.csv", "adapter.json", "risk.json", "samples.json", "summarize.csv", "train.csv", "train.json"}
    assert names("metrics") == written


def test_of_the_risky_dialogues_it_is_written_down_what_is_written_of_them_before_and_at_each_snapshot() -> None:
    """The word rude makes d0 and d3 risky; they are test dialogues, too, which other stages have summarised."""
    looks = read_metrics(Path("metrics/samples.json"))
    written = {"before": "summaries/sft", "step_0001": "rivals/step_0001", "step_0002": "summaries/ppo"}
    assert {name: set(seen) for name, seen in looks.items()} == {"d0": set(written), "d3": set(written)}
    toxic = 1 / (1 + math.exp(-2))  # the logits are (-1, 1) with the word and (1, -1) without it
    for when, path in written.items():
        greedy = {row["id"]: row["summary"] for row in read_jsonl(Path(f"data/{path}.jsonl"))}
        for name in looks.keys() & greedy.keys():
            expected = toxic if "rude" in greedy[name] else 1 - toxic
            assert looks[name][when] == {"summary": greedy[name], "toxicity": pytest.approx(expected, abs=1e-6)}


def test_the_table_of_summarising_has_a_row_a_batch_and_there_is_none_of_an_adapter_that_was_not_tuned() -> None:
    """Of four dialogues, and two with a rude turn, six summaries before PPO and three after it: each comes alone."""
    assert Path("metrics/adapter.csv").read_text() == "step,loss,dev_loss\n"
    with Path("metrics/summarize.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["dialogues"] for row in rows] == ["1", "2", "3", "4", "5", "6"] * 2
    for name, own in (("sft", rows[:6]), ("ppo", rows[6:])):
        written = [
            row for file in (name, f"provoked_{name}") for row in read_jsonl(Path(f"data/summaries/{file}.jsonl"))
        ]
        assert sorted(float(row[name]) for row in own) == sorted(len(row["summary"].split()) for row in written)


def test_summaries_stand_in_test_order_with_one_greedy_text_and_the_samples() -> None:
    for name in ("sft", "ppo"):
        rows = read_jsonl(Path(f"data/summaries/{name}.jsonl"))
        assert [list(row) for row in rows] == [["id", "group", "summary", "samples"]] * 4
        assert [(row["id"], row["group"]) for row in rows] == [("d0", "g0"), ("d1", "g1"), ("d2", "g0"), ("d3", "g1")]
        assert all(len(row["samples"]) == 2 for row in rows)
    assert names("data/summaries") == {
        f"{name}.jsonl"
        for name in ("sft", "ppo", "stress", "provoked_sft", "provoked_ppo", "held_out_sft", "held_out_ppo")
    }


@pytest.mark.parametrize(("name", "folder"), [("sft", "models/adapter"), ("ppo", "models/ppo")])
def test_sft_is_the_policy_before_training_and_ppo_the_one_after_it(
    name: str, folder: str, base: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    policy = Policy(base, Path(folder))
    rows = read_jsonl(Path(f"data/summaries/{name}.jsonl"))
    keys = [None, (5, summaries.SAMPLES, 0), (5, summaries.SAMPLES, 1)]
    drawn = one_by_one(policy, tokenizer, keys)
    assert [[row["summary"], *row["samples"]] for row in rows] == drawn


def test_the_rivals_are_the_pool_the_filter_the_base_and_the_adapter_on_its_way() -> None:
    systems = {path.stem: read_jsonl(path) for path in Path("data/rivals").iterdir()}
    assert set(systems) == {"pool", "filter", "base", "scale_0.5", "step_0001", "step_0002"}
    for name, rows in systems.items():
        assert [row["id"] for row in rows] == ["d0", "d1", "d2"]
        assert all(len(row["samples"]) == (4 if name == "pool" else 2) for row in rows)
        assert all(("summary" in row) == (name != "pool") for row in rows)


def test_the_filter_never_says_a_word_of_its_list_and_the_policy_before_ppo_does() -> None:
    said = {
        name: " ".join(text for row in read_jsonl(Path(f"data/rivals/{name}.jsonl")) for text in row["samples"])
        for name in ("filter", "pool")
    }
    assert "rude" in said["pool"].split()
    assert "rude" not in said["filter"].split()


def test_the_two_policies_say_different_things() -> None:
    assert Path("data/summaries/sft.jsonl").read_bytes() != Path("data/summaries/ppo.jsonl").read_bytes()


def test_the_stress_slice_is_ranked_by_the_reward_model_over_fresh_samples_of_the_policy_before_training(
    base: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Each sample's toxicity is 0.880797 with the word "rude" and 0.119203 without it."""
    keys = [(5, summaries.STRESS_SAMPLES, j) for j in range(3)]
    fresh = one_by_one(Policy(base, Path("models/adapter")), tokenizer, keys)
    toxicity = {
        f"d{place}": sum(0.880797 if "rude" in text.split() else 0.119203 for text in samples) / 3
        for place, samples in enumerate(fresh)
    }
    ranked = sorted(toxicity, key=lambda identity: (-toxicity[identity], identity))
    rows = read_jsonl(Path("data/summaries/stress.jsonl"))
    assert [row["id"] for row in rows] == ranked[:2]
    assert all(row["toxicity"] == pytest.approx(toxicity[row["id"]], abs=2e-6) for row in rows)


def test_a_second_run_gives_the_same_bytes_whatever_the_state_of_torchs_generator() -> None:
    before = contents(*OUTPUTS)
    assert len(before) == 2 + 3 + 2 * 2 + 7 + 7 + 6
    torch.manual_seed(123)
    run_stages()
    assert contents(*OUTPUTS) == before


def test_no_output_names_a_folder_of_this_machine(finished: Path, base: Path) -> None:
    for path, content in contents(*OUTPUTS).items():
        assert str(finished.parent).encode() not in content, path
        assert str(base.parent).encode() not in content, path


def misfit(base: Path, folder: Path) -> None:
    """An adapter whose configuration and weights disagree about the rank."""
    save_adapter(folder, base, seed=9)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 8}))


def test_an_adapter_that_does_not_fit_is_refused_and_every_output_stays_as_it_was(base: Path, tmp_path: Path) -> None:
    before = contents(*OUTPUTS)
    misfit(base, tmp_path / "misfit")
    write_params(adapter={"source": pinned(tmp_path / "misfit")})
    with pytest.raises(InputError, match="does not fit the base"):
        fetch_adapter.main()
    assert contents(*OUTPUTS) == before


def test_training_stops_at_an_adapter_that_does_not_fit_and_every_output_stays_as_it_was(
    base: Path, tmp_path: Path
) -> None:
    good, before = Path("models/adapter").rename(tmp_path / "good"), contents(*OUTPUTS)
    misfit(base, Path("models/adapter"))
    try:
        with pytest.raises(InputError, match="does not fit the base"):
            train_ppo.main()
    finally:
        for path in Path("models/adapter").iterdir():
            path.unlink()
        good.rename("models/adapter")
    assert contents("models/ppo", "models/snapshots", "metrics", "data/summaries").items() <= before.items()


def test_a_failure_halfway_leaves_the_earlier_outputs_and_no_scraps(word_classifier: Path) -> None:
    """The policies have summarised when the unknown label is noticed."""
    before = contents(*OUTPUTS)
    write_params(reward={"source": pinned(word_classifier), "toxic_label": "toxic", "batch_size": 4})
    with pytest.raises(InputError, match="no label 'toxic'"):
        summarize.main()
    assert contents(*OUTPUTS) == before
    assert names("data") == {"prepared", "risk.jsonl", "summaries", "rivals"}


def test_bad_input_is_one_line_and_exit_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_params(adapter={"source": pinned(tmp_path / "nothing")})
    monkeypatch.setattr(sys, "argv", ["fetch_adapter"])
    with pytest.raises(SystemExit) as stop:
        stages.run(fetch_adapter.main)
    assert stop.value.code == f"error: {tmp_path / 'nothing'} does not exist: check the source's path in params.yaml"


@pytest.mark.parametrize("stage", [fetch_adapter, train_ppo, summarize])
def test_help_says_what_a_stage_reads_and_writes(
    stage: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stage", "--help"])
    with pytest.raises(SystemExit) as stop:
        stages.run(stage.main)
    assert stop.value.code == 0
    assert "Reads " in (text := capsys.readouterr().out)
    assert "Writes" in text


TOUCH_64_MB_AGAIN = """
import resource, sys
from detox.runtime import allocator

if "keep" in sys.argv:
    allocator.keep_freed()
size = 64_000_000 + len(sys.argv)
b"x" * size
if "give" in sys.argv:
    allocator.give_back()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b"x" * size
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_used_again_without_a_page_being_cleared_until_it_is_given_back() -> None:
    """64 MB are 15,625 pages of 4 kB (or 31 huge ones), each of which costs a fault if the kernel lends it anew."""

    def faults(*arguments: str) -> int:
        command = [sys.executable, "-c", TOUCH_64_MB_AGAIN, *arguments]
        return int(subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT).stdout)

    assert faults() > 30
    assert faults("keep") < 10
    assert faults("keep", "give") > 30
