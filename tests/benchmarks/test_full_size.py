"""The flan-t5-base profile at full size: what of it is trained, and how its cost follows from a few measurements."""

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from imports import ROOT
from peft import LoraConfig
from safetensors.torch import save_file
from transformers import AutoModelForSeq2SeqLM, T5Config, T5ForConditionalGeneration

from benchmarks import cost, full_size, shapes, usage
from detox.errors import InputError
from detox.model import fitting, pretrained
from detox.model.policy import Policy

PARAMETERS = {
    "rank": {"dialogues": 8},
    "ppo": {"steps": 7, "snapshot_every": 3},
    "summarize": {"samples": 2, "provoked": 4},
    "rivals": {"dialogues": 4, "best_of": [6], "scales": [0.5]},
}
ROWS = {"train": 10, "dev": 4, "test": 9}
RUN = {"seconds": 50.0, "cpu_seconds": 60.0, "peak_gb": 1.5}


def save_zeros(folder: Path) -> None:
    """FLAN-T5-base's architecture, all weights 0, in a file with a hole for them, which takes no room on the disk.

    One weight of the head is 1: transformers would tie a head that equals the embeddings to these.
    """
    config = T5Config(  # type: ignore[call-arg]
        vocab_size=32128,
        d_model=768,
        d_kv=64,
        num_heads=12,
        d_ff=2048,
        num_layers=12,
        feed_forward_proj="gated-gelu",
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    config.save_pretrained(folder)
    with torch.device("meta"):
        weights = T5ForConditionalGeneration(config).state_dict()
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, weight in weights.items():
        if "embed_tokens" not in name:  # they are `shared`
            start, end = end, end + 4 * weight.numel()
            header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        begin = file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(begin + end)
        file.seek(begin + header["lm_head.weight"]["data_offsets"][0])
        file.write(b"\0\0\x80\x3f")  # 1.0


def test_on_flan_t5_base_1_41_percent_of_the_weights_are_trained_and_769_of_the_value_head(tmp_path: Path) -> None:
    """Rank 32 on q and v of 36 attentions 768 wide; 247,577,856 weights in the base, whose head is its own."""
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    save_zeros(base)
    config = LoraConfig(r=32, lora_alpha=32, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM")
    config.save_pretrained(str(adapter))
    _, shapes = fitting.fitted(pretrained.skeleton(AutoModelForSeq2SeqLM, base), config, "course", where="", remedy="")
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, adapter / "adapter_model.safetensors")
    sizes = Policy(base, adapter).sizes()
    assert sizes["trainable_parameters"] == 36 * 2 * 32 * (768 + 768) == 3_538_944
    assert sizes["value_head_parameters"] == 769
    assert sizes["trainable_percent"] == pytest.approx(100 * 3_538_944 / (247_577_856 + 3_538_944))
    assert round(sizes["trainable_percent"], 2) == 1.41


def test_a_run_counts_steps_dialogues_summaries_and_texts() -> None:
    """5 systems, the filter, the base, one scale, two snapshots; of both policies all texts are scored, and LEAD-3."""
    rivals, texts = 4 * (6 + 5 * 3), 2 * (2 + 1) * (9 + 4) + 4 * (6 + 5 * 2 + 1)
    assert list(cost.work(PARAMETERS, ROWS).items()) == [
        ("prepare", 1),
        ("fetch_adapter", 1),
        ("rank_dialogues", 8),
        ("train_ppo", 7),
        ("summarize", 13),
        ("summarize_rivals", rivals),
        ("evaluate", texts),
        ("report", 1),
    ]
    assert (rivals, texts) == (84, 146)


def figures() -> dict[str, Any]:
    return {
        "noted": {"cores": 2},
        "parameters": PARAMETERS,
        "rows": ROWS,
        "cut": ROWS | {"test": 3},
        "stages": dict.fromkeys(("fetch_adapter", "train_ppo", "summarize"), RUN),
    }


def test_a_stage_is_scaled_by_its_work_and_takes_the_time_of_its_cores() -> None:
    """A minute of processor time on 3 + 3 dialogues is 30 s of both cores, 65 s on 9 + 4; what was run whole stays."""
    found = cost.stages(figures(), PARAMETERS)
    assert found["summarize"] == (6, 30, 13, 65)
    assert found["fetch_adapter"].whole_seconds == found["train_ppo"].whole_seconds == 30


def test_a_gpu_is_counted_at_a_twentieth_of_its_rate() -> None:
    """A second at 156 GFLOP/s is 0.01 s at 15.6 TFLOP/s."""
    assert cost.on_gpu(1, 156e9) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.6, "1 s"), (99.4, "99 s"), (100, "2 min"), (5990, "100 min"), (9000, "2.5 h")]
)
def test_a_duration_is_in_the_unit_that_a_person_would_use(seconds: float, words: str) -> None:
    assert cost.duration(seconds) == words


def test_what_was_measured_is_what_the_profile_says_but_for_counts_that_are_scaled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the README's figures are of another profile: `make full-size`."""
    monkeypatch.chdir(ROOT)
    measured = json.loads(cost.FIGURES.read_text(encoding="utf-8"))["parameters"]
    scaled = {"steps", "snapshot_every", "dialogues", "scales", "risky_share"}
    assert sizes(measured, scaled) == sizes(cost.profile(), scaled)


def sizes(tree: Any, but: set[str]) -> dict[str, int]:
    """The whole numbers of the sections that decide how long a unit of work takes."""
    sections = {name: tree[name] for name in ("ppo", "summarize", "rivals")}
    return {
        f"{section}.{key}": value
        for section, values in sections.items()
        for key, value in values.items()
        if isinstance(value, int) and key not in but
    }


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="failed with exit code 1: no such thing"):
        usage.run([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path)


def test_the_rows_that_are_left_are_evenly_spaced() -> None:
    assert full_size.spaced(list(range(10)), 4) == [0, 2, 5, 7]


@pytest.mark.slow
def test_every_stage_runs_and_is_measured_on_tiny_models(tmp_path: Path) -> None:
    tokenizer, dialogues = tmp_path / "tokenizer", tmp_path / "dialogues"
    shapes.tokenizer().save_pretrained(tokenizer)
    dialogues.mkdir()
    rng = Random(0)
    for part, count in {"train": 40, "dev": 4, "test": 12}.items():
        rows = [
            {
                "fname": f"{part}_{number}",
                "dialogue": text,
                **{f"summary{place}": " ".join(text.split()[:place]) for place in range(1, 4)},
            }
            for number, text in enumerate(shapes.texts([60] * count, rng))
        ]
        (dialogues / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    counts, sizes = full_size.Counts(steps=1, summarised=6, rivals=2), full_size.Sizes(width=64, layers=1)
    measured = full_size.measure(tmp_path / "project", tokenizer, dialogues, counts, sizes)
    assert measured["rows"] == {"train": 40, "dev": 4, "test": 12}
    assert list(measured["stages"]) == full_size.STAGES
    assert all(min(stage.values()) > 0 for stage in measured["stages"].values())
    assert measured["train"]["value_head_parameters"] == 65
