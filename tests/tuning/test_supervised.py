"""An adapter that is tuned here learns the references, keeps the best, goes on after an interruption.

A new one has learnt nothing.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import forked
from rouge_score import rouge_scorer
from safetensors.torch import load_file
from tiny import DIALOGUES
from transformers import T5ForConditionalGeneration

from detox.corpus.dialogues import Dialogue
from detox.model import adapters, prompts
from detox.model.policy import Policy
from detox.params.training import Tuning
from detox.runtime.devices import CPU
from detox.tuning import checkpoints, supervised

pytest_plugins = ["models"]

P = Tuning(
    rank=2,
    alpha=4,
    dropout=0.0,
    targets=["q", "v"],
    learning_rate=0.05,
    batch_size=2,
    epochs=3,
    patience=100,
    max_summary_tokens=8,
)
PAIRS = [Dialogue(f"d{n}", text, ("Ann was kind", "Bob was calm"), f"d{n}") for n, text in enumerate(DIALOGUES)]


CURVES: list[list[dict[str, float]]] = []  # told at each look


def tune(base: Path, folder: Path, dev: int, **changes: Any) -> dict[str, Any]:
    p = Tuning(**{**P.__dict__, **{k: v for k, v in changes.items() if k in P.__dict__}})
    dtype = changes.get("dtype", "float32")
    plan = supervised.Plan(base, dtype, p, prompt(base), changes.get("seed", 1), CPU)
    return supervised.tune(plan, PAIRS, PAIRS[:dev], folder, folder / "adapter", CURVES.append)


def prompt(base: Path, **changes: Any) -> prompts.Prompt:
    return prompts.Prompt(prompts.tokenizer(base), **{"max_tokens": 30, **changes})


@pytest.mark.slow
def test_the_references_become_likely_and_the_adapter_fits_its_base(base: Path, tmp_path: Path) -> None:
    """12 examples of 6 dialogues in batches of 2 are 6 steps a pass. Random words cost log 36 = 3.6 nats each."""
    metrics = tune(base, tmp_path / "run", dev=3)
    assert metrics["steps"] == 18
    assert metrics["dev_loss"] < 2
    curve = CURVES[-1]
    assert [row["step"] for row in curve] == list(range(1, 19)), "six steps a pass, and five looks: one each step"
    assert min(row["dev_loss"] for row in curve) == metrics["dev_loss"]
    assert {"rouge1", "rouge2", "rougeL", "rougeLsum"} <= metrics.keys()
    adapters.check(tmp_path / "run" / "adapter", base)
    assert adapters.describe(tmp_path / "run" / "adapter")["rank"] == 2


@pytest.mark.slow
def test_the_configuration_has_the_layers_in_the_order_of_the_alphabet(base: Path, tmp_path: Path) -> None:
    """peft keeps them in a set of texts, whose order differs from one Python process to the next."""
    tune(base, tmp_path, dev=0, epochs=1, targets=["wo", "v", "o", "k", "q"])
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["target_modules"] == ["k", "o", "q", "v", "wo"]


def test_a_pass_has_every_example_once_and_hardly_a_batch_of_short_and_long_prompts() -> None:
    """64 of ten and of a hundred tokens in turn, four to a batch: sorted among sixteen, one batch in four mixes."""
    examples = [{"input_ids": [place] * (10, 100)[place % 2]} for place in range(64)]
    first, again, other = (supervised.one_pass(examples, 4, seed) for seed in (1, 1, 2))
    for order in (first, other):
        assert sorted(row["input_ids"][0] for row in order) == list(range(64))
        batches = [{len(row["input_ids"]) for row in order[start : start + 4]} for start in range(0, 64, 4)]
        assert sum(len(lengths) > 1 for lengths in batches) <= 4
    assert first == again != other


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(base: Path, tmp_path: Path) -> None:
    tune(base, tmp_path / "whole", dev=2)
    told = CURVES[-1]
    shutil.copytree(tmp_path / "whole", tmp_path / "half", ignore=shutil.ignore_patterns("adapter", "checkpoint-18"))
    [kept] = (tmp_path / "half").iterdir()
    assert kept.name == "checkpoint-17"
    tune(base, tmp_path / "half", dev=2)
    whole, half = (load_file(tmp_path / run / "adapter" / "adapter_model.safetensors") for run in ("whole", "half"))
    assert whole.keys() == half.keys()
    assert all(whole[name].equal(half[name]) for name in whole)
    assert CURVES[-1] == told, "the curve goes on from what it was"


OF_STATE = [b"", b"[]", b"{}", b'{"global_step": 17}', b"[" * 100_000]


@pytest.fixture(scope="module")
def stopped(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, and half of one."""
    folder = tmp_path_factory.mktemp("stopped")
    tune(base, folder / "whole", dev=2, epochs=1)
    assert killed(base, folder / "half", 6, dev=2, epochs=1) == -signal.SIGKILL
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("trainer_state.json", content) for content in OF_STATE),
        *((name, b"x") for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "adapter_model.safetensors")),
        *((name, b"") for name in ("optimizer.pt", "adapter_config.json")),
    ],
)
def test_a_damaged_checkpoint_is_removed_and_the_run_ends_as_if_it_had_not_been(
    base: Path, stopped: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    shutil.copytree(stopped / "half", tmp_path / "half")
    (tmp_path / "half/checkpoint-5" / name).write_bytes(content)
    tune(base, tmp_path / "half", dev=2, epochs=1)
    adapter = "adapter/adapter_model.safetensors"
    whole, half = load_file(stopped / "whole" / adapter), load_file(tmp_path / "half" / adapter)
    assert all(whole[key].equal(half[key]) for key in whole)


@pytest.mark.slow
def test_a_best_checkpoint_elsewhere_is_not_loaded(base: Path, tmp_path: Path) -> None:
    assert killed(base, tmp_path, 6, dev=2, epochs=1) == -signal.SIGKILL
    path = tmp_path / "checkpoint-5/trainer_state.json"
    for best in ("/etc", str(tmp_path / ".."), str(tmp_path / "checkpoint-9"), 7):
        tree = json.loads(path.read_text())
        path.write_text(json.dumps(tree | {"best_model_checkpoint": best}))
        shutil.copytree(tmp_path / "checkpoint-5", tmp_path / "again/checkpoint-5")
        assert checkpoints.newest(tmp_path / "again") is None
        assert not list((tmp_path / "again").iterdir())


def killed(base: Path, folder: Path, step: int, **how: Any) -> int:
    """How a run ends that kills itself before it writes the last file of a step's checkpoint."""

    def run() -> None:
        def hook(event: str, arguments: Any) -> None:
            if event == "open" and str(arguments[0]).endswith(f"checkpoint-{step}/trainer_state.json"):
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        tune(base, folder, **how)

    return forked(run)


@pytest.mark.slow
def test_a_run_killed_within_a_checkpoint_or_after_its_end_ends_as_if_it_had_not_been(
    base: Path, tmp_path: Path
) -> None:
    """It stops early: patience lasts through the interruption, and is not given anew to a run that had stopped."""
    how: dict[str, Any] = {"dev": 2, "patience": 2, "dropout": 0.1, "learning_rate": 0.5}
    whole = tune(base, tmp_path / "whole", **how)
    weights = load_file(tmp_path / "whole" / "adapter" / "adapter_model.safetensors")
    assert whole["steps"] == 3, "the first step was the best"
    for step in (2, 3):
        assert killed(base, tmp_path / f"killed-{step}", step, **how) == -signal.SIGKILL
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped", ignore=shutil.ignore_patterns("adapter"))
    for run in [*tmp_path.glob("killed-*"), tmp_path / "stopped"]:
        assert tune(base, run, **how) == whole, run.name
        again = load_file(run / "adapter" / "adapter_model.safetensors")
        assert all(again[name].equal(weights[name]) for name in weights), run.name


@pytest.mark.slow
def test_without_a_dev_part_it_trains_to_the_end(base: Path, tmp_path: Path) -> None:
    assert tune(base, tmp_path / "run", dev=0) == {"steps": 18}


def test_the_folder_of_an_interrupted_run_belongs_to_these_data_and_settings(base: Path, tmp_path: Path) -> None:
    for part in ("train", "dev"):
        (tmp_path / f"{part}.jsonl").write_text(part)

    def name(seed: int = 1, dtype: str = "float32", **changes: Any) -> str:
        return supervised.Plan(base, dtype, P, prompt(base, **changes), seed, CPU).fingerprint(tmp_path)

    usual = name()
    assert name() == usual
    others = {name(seed=2), name(dtype="bfloat16"), name(max_tokens=31), name(text="{dialogue}")}
    (tmp_path / "dev.jsonl").write_text("other")
    assert len(others | {usual, name()}) == 6


def test_on_a_base_in_bfloat16_the_adapter_learns_the_same_in_float32_but_for_rounding(
    base: Path, tmp_path: Path
) -> None:
    fine, coarse = (tune(base, tmp_path / dtype, 3, dtype=dtype) for dtype in ("float32", "bfloat16"))
    assert coarse["steps"] == fine["steps"]
    assert 0 < abs(coarse["dev_loss"] - fine["dev_loss"]) < 0.1
    tensors = load_file(tmp_path / "bfloat16/adapter/adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def begin(base: Path, folder: Path, dev: int = 3, seed: int = 1) -> dict[str, float]:
    return supervised.begin(supervised.Plan(base, "float32", P, prompt(base), seed, CPU), PAIRS[:dev], folder)


def test_a_new_adapter_is_the_base_itself_until_it_learns(base: Path, tmp_path: Path) -> None:
    """B is 0, so that every logit is the base's own; A is drawn from the seed."""
    begin(base, tmp_path / "new")
    adapters.check(tmp_path / "new", base)
    assert adapters.describe(tmp_path / "new")["rank"] == 2
    config = json.loads((tmp_path / "new" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (2, 4, ["q", "v"])
    weights = load_file(tmp_path / "new" / "adapter_model.safetensors")
    assert {float(weight.abs().max()) for name, weight in weights.items() if "lora_B" in name} == {0.0}
    assert min(float(weight.std()) for name, weight in weights.items() if "lora_A" in name) > 0.01

    policy, plain = Policy(base, tmp_path / "new"), T5ForConditionalGeneration.from_pretrained(base).eval()
    ids, mask = prompts.Prompt(prompts.tokenizer(base), 30).encode(DIALOGUES)
    sample = policy.sample(ids, mask, range(len(ids)), 8)
    start = torch.cat([torch.zeros_like(sample.ids[:, :1]), sample.ids[:, :-1]], dim=1)
    with torch.no_grad():
        logits = plain(input_ids=ids, attention_mask=mask.long(), decoder_input_ids=start).logits
        evaluation = policy.evaluate(ids, mask, sample.ids, sample.mask)
    torch.testing.assert_close(evaluation.logits, logits[sample.mask], rtol=0, atol=1e-4)


def test_a_new_adapter_is_the_same_bytes_by_its_seed(base: Path, tmp_path: Path) -> None:
    written = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        begin(base, tmp_path / name, dev=0, seed=seed)
        written.append((tmp_path / name / "adapter_model.safetensors").read_bytes())
    assert written[0] == written[1] != written[2]


def test_of_a_new_adapter_is_said_how_well_the_base_summarises(base: Path, tmp_path: Path) -> None:
    """By transformers' own greedy search and rouge_score, the better of two references."""
    plain, tokenizer = T5ForConditionalGeneration.from_pretrained(base).eval(), prompts.tokenizer(base)
    scorer = rouge_scorer.RougeScorer(["rouge1"], use_stemmer=True)
    expected = []
    for pair in PAIRS[:3]:
        ids, _ = prompts.Prompt(tokenizer, 30).encode([pair.text])
        written = plain.generate(input_ids=ids, max_new_tokens=8, do_sample=False, num_beams=1)
        [text] = tokenizer.batch_decode(written, skip_special_tokens=True)
        expected.append(max(scorer.score(each, text)["rouge1"].fmeasure for each in pair.references))
    metrics = begin(base, tmp_path / "new")
    assert set(metrics) == {"rouge1", "rouge2", "rougeL", "rougeLsum"}
    assert metrics["rouge1"] == pytest.approx(sum(expected) / 3)
    assert begin(base, tmp_path / "without", dev=0) == {}
