"""What a run will take follows from a measured one: by work, by weights and by how fast the machine multiplies."""

from typing import Any

import pytest

from benchmarks import forecast
from benchmarks.forecast import GIB, Run

PARAMETERS: dict[str, Any] = {
    "compute": {"processes": 1},
    "adapter": {"source": {"origin": None}},
    "ppo": {
        "steps": 4,
        "snapshot_every": 4,
        "batch_size": 8,
        "samples_per_prompt": 2,
        "epochs": 1,
        "max_new_tokens": 90,
    },
    "rank": {"dialogues": None},
    "summarize": {"samples": 3, "provoked": 6, "stress_samples": 2, "max_new_tokens": 90},
    "rivals": {"dialogues": 2, "best_of": [4], "scales": [0.5]},
}
ROWS = {"train": 100, "dev": 10, "test": 6}
STAGES = "prepare fetch_adapter train_ppo summarize summarize_rivals evaluate report".split()


def figures(base: int = 8_000_000) -> dict[str, Any]:
    """A minute of both cores for every stage, 0.5 GiB; 1 % of the weights are trained; classifiers of 2 MB."""
    weights = base // 4
    return {
        "noted": {"cores": 2},
        "gflops": 100.0,
        "parameters": PARAMETERS,
        "rows": ROWS,
        "cut": ROWS,
        "stages": {name: {"seconds": 70.0, "cpu_seconds": 120.0, "peak_gb": 0.5} for name in STAGES},
        "model_bytes": base + 2_000_000,
        "train": {"trainable_parameters": weights / 99, "trainable_percent": 1.0},
    }


def run(base: float = 8_000_000, rows: dict[str, int] = ROWS, **changes: dict[str, Any]) -> Run:
    parameters = {name: section | changes.get(name, {}) for name, section in PARAMETERS.items()}
    return Run(parameters, rows, base, 2_000_000)


def test_the_same_run_takes_the_same_time_here_and_half_of_it_on_a_machine_twice_as_fast() -> None:
    same = forecast.seconds(run(), figures(), gflops=100)
    assert {name: same[name] for name in STAGES if name != "fetch_adapter"} == pytest.approx(
        dict.fromkeys((name for name in STAGES if name != "fetch_adapter"), 60)
    )
    assert forecast.seconds(run(), figures(), gflops=200)["train_ppo"] == pytest.approx(30)


def test_twice_the_weights_take_twice_the_time_where_the_base_computes() -> None:
    found = forecast.seconds(run(base=16_000_000), figures(), gflops=100)
    assert [found[name] for name in ("train_ppo", "summarize", "summarize_rivals")] == pytest.approx([120] * 3)
    assert [found[name] for name in ("prepare", "evaluate", "report")] == pytest.approx([60] * 3)


def test_steps_episodes_tokens_and_dialogues_count() -> None:
    """A prompt is shared by 2 episodes, 110 tokens for each of 90 that it writes: with 190 they are 300 for 200."""
    assert forecast.seconds(run(ppo={"steps": 8, "batch_size": 16}), figures(), 100)["train_ppo"] == pytest.approx(240)
    assert forecast.seconds(run(ppo={"max_new_tokens": 190}), figures(), 100)["train_ppo"] == pytest.approx(90)
    # Rollout and reference once, forward and backward in each epoch: 6 passes for 4.
    assert forecast.seconds(run(ppo={"epochs": 2}), figures(), 100)["train_ppo"] == pytest.approx(90)
    # 2 greedy, 2 · 3 samples and 2 fresh ones are 10 a dialogue; with 8 fresh ones 16.
    assert forecast.seconds(run(summarize={"stress_samples": 8}), figures(), 100)["summarize"] == pytest.approx(96)
    assert forecast.seconds(run(rows=ROWS | {"test": 3}), figures(), 100)["summarize"] == pytest.approx(30)


def test_an_adapter_is_there_at_once_unless_it_is_tuned_or_new() -> None:
    """The rivals write 2 · (4 + 4 · (1 + 3)) = 40 summaries in 60 s, the ROUGE of the dev part needs 10."""
    origins = (None, "hf://a/b", "new", "train")
    found = [
        forecast.seconds(run(adapter={"source": {"origin": origin}}), figures(), 100)["fetch_adapter"]
        for origin in origins
    ]
    assert found[:3] == pytest.approx([forecast.SECONDS, forecast.SECONDS, forecast.SECONDS + 15])
    assert found[3] is None, "nobody has measured it so"


def test_the_run_whose_base_is_nearest_in_size_is_taken() -> None:
    """By ratio: 3 is nearer to 8 than to 1."""
    small, large = figures(base=1_000_000), figures(base=8_000_000)
    assert forecast.nearest([large, small], 3_000_000) is large
    assert forecast.nearest([large, small], 2_000_000) is small
    assert forecast.sizes(large) == pytest.approx((8_000_000, 2_000_000))


def test_memory_is_the_most_of_the_stages_that_run_in_all_their_processes() -> None:
    assert forecast.memory(["prepare", "train_ppo"], run(), figures()) == (0.5 * GIB, "train_ppo")
    size, stage = forecast.memory(["train_ppo", "report"], run(16_000_000, compute={"processes": 3}), figures())
    assert size / GIB == pytest.approx(3)
    assert stage == "train_ppo"
    assert forecast.memory(["check"], run(), figures()) == (0.0, "")


def test_both_measured_runs_are_there_and_say_their_rate() -> None:
    large, small = (forecast.sizes(figures)[0] for figures in forecast.measured())
    assert round(large / 4 / 1e6) == 248
    assert small < 50e6
    assert all(figures["gflops"] > 1 for figures in forecast.measured())
