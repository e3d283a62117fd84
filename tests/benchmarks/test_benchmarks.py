"""The benchmarks count, divide and write what they measured; measuring itself is slow and no test."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks import flops, page, rounds, shapes, tables
from benchmarks.parts import MIDDLE, PRODUCTS, SWEEPS, Bench, Sizes, profiled, shared, typed
from benchmarks.scoring import ours, theirs

NOTED = {
    "date": "2026-01-02",
    "processor": "A chip",
    "instructions": "AVX2",
    "cores": 2,
    "threads": 2,
    "versions": "Python 3.11",
}
# By hand, multiply-adds: width 2, attention 3, hidden 5, one layer, vocabulary 7; a prompt of 4, 2 responses of 3.
ENCODER = 4 * (4 * 6 + 3 * 10) + 2 * 4 * 4 * 3  # 312
CROSS = 4 * 2 * 6  # 48
DECODER = 2 * (3 * (6 * 6 + 3 * 10) + 2 * 6 * 3 + 2 * 3 * 4 * 3)  # 6 pairs see each other: 612
HEAD = 2 * 3 * 2 * 7  # 84


def once() -> dict[str, int]:
    return flops.forward(flops.Shape(2, 3, 5, 1, 7), [4], 2, 3)


def test_flop_of_a_tiny_step_are_those_counted_by_hand() -> None:
    assert list(once().values()) == [624, 96, 1224, 168]
    assert list(once().values()) == [2 * ENCODER, 2 * CROSS, 2 * DECODER, 2 * HEAD]
    assert flops.needed(once()) == 4 * 2112
    assert flops.repeated(once()) == 336


def test_k_responses_cost_one_encoding_and_k_decodings() -> None:
    shape = flops.Shape(8, 8, 16, 3, 50)
    one, four = (flops.forward(shape, [5, 9], k, 6) for k in (1, 4))
    shared = "encoder", "cross-attention keys and values"
    assert {name: four[name] / one[name] for name in one} == {name: 1 if name in shared else 4 for name in one}


def test_flop_of_a_tiny_classifier_are_those_counted_by_hand() -> None:
    """Width 2, hidden 3, two layers; texts of 1 and 4 tokens: 28 multiply-adds a token and 4 n² for attention, 208."""
    assert flops.encoder([1, 4], 2, 3, 2) == 832


ROUNDS: list[dict[str, dict[str, Any]]] = [
    {
        "TRL, 4 at once (its default)": {"seconds": theirs, "peak_gb": 4.0, "response_tokens": 64.0},
        "TRL, all at once": {"seconds": theirs / 2, "peak_gb": 5.0, "response_tokens": 64.0},
        "ours, k = 1": {"seconds": ours, "peak_gb": 2.0, "response_tokens": 63.0},
        PRODUCTS: {"torch.mm": rate, "oneDNN": 2 * rate},
    }
    for theirs, ours, rate in ((10.0, 5.0, 1.0), (90.0, 10.0, 1.0), (12.0, 4.0, 2.0))
]


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    """Ratios 2, 9, 3; medians 12 and 5."""
    assert rounds.faster(ROUNDS, "ours, k = 1", "TRL, 4 at once (its default)") == 3
    assert rounds.middle(ROUNDS, "ours, k = 1", "seconds") == 5


def test_a_share_of_the_limit_uses_the_rate_of_its_own_round() -> None:
    """4 GFLOP take 4, 4 and 2 s of 5, 10 and 4 s: 0.8, 0.4, 0.5."""
    assert rounds.limit_share(ROUNDS, "ours, k = 1", PRODUCTS, "torch.mm", 4e9) == 0.5


def test_a_measurement_that_fails_says_why() -> None:
    with pytest.raises(Exception, match="exit code 1: no such thing"):
        rounds.measured([sys.executable, "-c", "raise SystemExit('no such thing')"])


def results() -> dict[str, Any]:
    scored = {"seconds": 8.0, "peak_gb": 1.0, "mean": 0.25}
    steps = {"noted": NOTED, "episodes": 16, "rounds": ROUNDS}
    sweeps = [MIDDLE | {name: value} for name, values in SWEEPS.items() for value in values]
    return {
        "a": steps | {"flop": {"ours, k = 1": {"encoder": 2 * 10**9, "head": 10**9}}},
        "d": {
            "noted": NOTED,
            "texts": {"miniature": 5},
            "flop": {"miniature": 10**9},
            "rounds": [
                {
                    "miniature, evaluate": scored,
                    "miniature, ours": scored | {"seconds": 2.0},
                    PRODUCTS: {"torch.mm": 4.0},
                }
            ],
        },
        "e": {
            "noted": NOTED,
            "layers": 4,
            PRODUCTS: {"torch.mm": 100.0},
            "points": [sizes | {"seconds": 2.0, "flop": 10**11} for sizes in sweeps],
        },
        "f": {
            "noted": NOTED,
            "episodes": 16,
            "rounds": [
                {
                    "one process": {"seconds": 4.0, "peak_gb": 2.5},
                    "one process a core": {"seconds": 5.0, "peak_gb": 2.25},
                }
            ],
        },
        "g": {
            "noted": NOTED,
            "rounds": [
                {
                    "PPO, float32": {"seconds": 6.0},
                    "PPO, bfloat16": {"seconds": 4.0},
                    "tuning, float32": {"seconds": 5.0},
                    "tuning, bfloat16": {"seconds": 2.0},
                }
            ],
        },
        "profile": {
            "noted": NOTED,
            "seconds": 20.0,
            "operators": [{"operator": "aten::mm", "calls": 1234, "seconds": 5.0, "share": 0.25}],
        },
    }


def test_the_page_has_the_medians_of_what_was_measured_and_nothing_of_what_was_not(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(results()), encoding="utf-8")
    written = page.write(tmp_path)
    assert (tmp_path / "RESULTS.md").read_text(encoding="utf-8") == written
    assert "| ours, k = 1 | 5.00 | 3.200 | 3.00 | 1.50 | 2.00 | 63.0 |" in written
    assert "| 4 passes | 12 |" in written
    # Without the head 12 GFLOP, with it 14: 12/5, 12/10, 6/4 and 14/5, 14/10, 7/4 of the step's seconds.
    assert "| torch.mm | 1.0 | 150 % | 175 % |" in written
    assert "| miniature | 5 | 8.00 | 2.00 | 4.00 | 0.250000 | 0.250000 |" in written
    assert "| miniature, torch.mm | 1 | 4.0 | 12 % |" in written
    assert "| 128 | 64 | 16 | 1 | 2.00 | 8.00 | 16.00 |" in written
    assert "| one process a core | 5.00 | 3.200 | 0.80 | 2.25 |" in written
    assert "| `aten::mm` | 1,234 | 5.00 | 25.0 % |" in written
    assert "## (b)" not in written
    assert "2026-01-02, A chip (AVX2), 2 cores, 2 threads, 3 rounds; Python 3.11." in written
    assert "\n\n\n" not in written


def test_the_plot_has_a_bar_a_ratio_and_is_the_same_again(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(results()), encoding="utf-8")
    assert [ratio.value for ratio in tables.ratios(results())] == [3, 1.5, 4]
    axes = page.plot(results()).axes
    assert [text.get_text() for text in axes[0].texts] == ["3.00", "1.50", "4.00"]
    assert len(axes) == 1 + len(SWEEPS)
    assert [np.unique(line.get_ydata()) for line in axes[1].lines] == [8, 16]
    page.write(tmp_path)
    first = (tmp_path / "results.svg").read_bytes()
    page.write(tmp_path)
    assert (tmp_path / "results.svg").read_bytes() == first


def test_prompts_have_the_same_mean_length_however_many_there_are() -> None:
    assert shapes.spread(4, 80, 260) == [102, 148, 192, 238]
    assert {sum(shapes.spread(count, 80, 260)) / count for count in (1, 2, 4, 8, 16)} == {170}


def test_a_prompt_has_as_many_tokens_as_it_was_asked_to_have(tmp_path: Path) -> None:
    texts = json.loads(shapes.write_prompts(tmp_path / "texts.json", [20, 30]).read_text(encoding="utf-8"))
    assert sorted(map(len, shapes.tokenizer()(texts["prompts"])["input_ids"])) == [20, 30]


def test_evaluates_measurement_and_ours_give_the_same_scores(tmp_path: Path) -> None:
    shapes.roberta(tmp_path / "roberta", width=64, layers=1)
    texts = ["w3 w4", "w9 w8 w7 w6 w5"]
    mine, evaluates = (torch.tensor(score(tmp_path / "roberta")(texts)) for score in (ours, theirs))
    torch.testing.assert_close(mine, evaluates, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_every_measurement_of_ours_runs_on_tiny_models(tmp_path: Path) -> None:
    sizes = Sizes(width=64, layers=1, cut_layers=1, episodes=8, tokens=2)
    bench = Bench(tmp_path, "no Python with TRL", 1, sizes)
    bench.make_models()
    assert "lm_head.weight" in load_file(tmp_path / "t5" / "base" / "model.safetensors")
    shares = [row["share"] for row in profiled(bench)["operators"]]
    assert len(shares) == 12
    assert shares == sorted(shares, reverse=True)
    assert math.fsum(shares) <= 1
    assert [set(row) for row in shared(bench)["rounds"]] == [{"one process", "one process a core"}]
    assert [set(row) for row in typed(bench)["rounds"]] == [
        {f"{work}, {dtype}" for work in ("PPO", "tuning") for dtype in ("float32", "bfloat16")}
    ]
    gemm = rounds.measured([sys.executable, "-m", "benchmarks.gemm", "--seconds=0.1"])
    assert gemm["torch.mm"] > 0
