"""The check of GPUs: what it compares and writes; and all of it, on the simulated device."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from imports import ROOT

from benchmarks import gpu_check


def run(kl: float, *texts: str) -> dict[str, Any]:
    return {"rows": [{"step": 1.0, "kl": kl}], "sft": [{"summary": text} for text in texts]}


def test_two_runs_are_as_far_apart_as_their_worst_figure_and_as_many_summaries_as_differ() -> None:
    """Above 1 it is relative: 203 is 0.015 of 200 away. One of four texts is another."""
    assert gpu_check.compared(run(0.5, *"abcd"), run(0.25, *"abcx")) == (0.25, 0.25)
    assert gpu_check.compared(run(200.0, "a"), run(203.0, "a")) == (0.015, 0.0)


def test_the_page_states_tokens_a_second_and_the_share_of_what_the_card_multiplies() -> None:
    """64 prompts of 64 tokens in 2 s are 2,048 a second for TRL; 30 of 400 TFLOP/s are 7.5 %."""
    ours = {"step_tokens": 5000.4, "decoding_tokens": 9000.0, "peak_gb": 3.21}
    figures = {"float32": ours | {"step_tflops": 30.0, "card_tflops": 400.0}, "TRL": {"seconds": 2.0, "peak_gb": 1}}
    text = gpu_check.page("5 passed", {"one process": (2e-6, 0.0)}, figures)
    assert "| one process | 2.0e-06 | 0.0% |" in text
    assert "| float32 | 5000 | 7.5% | 9000 | – | – | 3.2 |" in text
    assert "| TRL | 2048 | – | – | – | – | 1.0 |" in text


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: make gpu-check")
def test_without_a_gpu_the_check_runs_on_a_simulated_one_and_writes_nothing() -> None:
    page = ROOT / "benchmarks" / "GPU.md"
    before = page.read_bytes() if page.exists() else None
    ran = subprocess.run([sys.executable, "-m", "benchmarks.gpu_check"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("there is no GPU: a simulated one, whose figures mean nothing\n")
    for kind in ("one process", "two processes", "float32", "bfloat16"):
        assert f"\n| {kind} | " in ran.stdout
    assert (page.read_bytes() if page.exists() else None) == before
