"""The benchmark of prepare makes the rows that it says, measures the stage itself, and fits powers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT

from benchmarks import large, large_page

NOTED = {"date": "2026-01-02", "processor": "A chip", "cores": 2, "versions": "Python 3.11, torch 2"}


def point(dialogues: int, *seconds: float) -> dict[str, Any]:
    rounds = [{"seconds": 2 * each, "cpu_seconds": each, "peak_gb": 0.25} for each in seconds]
    return {"dialogues": dialogues, "kept": dialogues // 2, "megabytes": dialogues / 1000, "rounds": rounds}


def test_of_a_hundred_rows_one_is_blank_two_are_repeated_and_three_bring_another_summary() -> None:
    rows = list(large.rows(200))
    assert rows == list(large.rows(200))
    assert len({row["id"] for row in rows}) == 200
    first, second = rows[:100], rows[100:]
    assert [row["id"] for row in rows if not row["dialogue"]] == ["d0", "d100"]
    earlier = {row["dialogue"]: row["summary"] for row in first if row["dialogue"]}
    again = {row["id"]: row["summary"] == earlier[row["dialogue"]] for row in second if row["dialogue"] in earlier}
    assert again == {"d101": True, "d102": True, "d103": False, "d104": False, "d105": False}


def test_the_exponent_is_that_of_a_power_whatever_small_runs_took() -> None:
    """8 times as much at 10 times as many: log 8 / log 10 = 0.903."""
    points = [point(1_000, 0.9), point(10_000, 1), point(100_000, 8, 9, 7), point(1_000_000, 64)]
    assert large_page.exponent(points) == pytest.approx(0.90309)
    assert large_page.exponent_between(*points[2:]) == pytest.approx(0.90309)


def test_the_page_has_the_medians_and_the_worst_peak(tmp_path: Path) -> None:
    points = [point(100_000, 10, 30, 20), point(1_000_000, 200)]
    points[0]["rounds"][1]["peak_gb"] = 0.5
    (tmp_path / "large.json").write_text(json.dumps({"noted": NOTED, "points": points}), encoding="utf-8")
    page = large_page.write(tmp_path)
    assert (tmp_path / "LARGE.md").read_text(encoding="utf-8") == page
    assert "| 100,000 | 50,000 | 100.0 | 40.00 | 20.00 | 200 |  | 0.50 |" in page
    assert "| 1,000,000 | 500,000 | 1,000.0 | 400.00 | 200.00 | 200 | 1.00 | 0.25 |" in page
    assert "to the power of 1.00" in page
    assert "2026-01-02, A chip, 2 cores, of which one is used; Python 3.11." in page
    first = (tmp_path / "large.svg").read_bytes()
    large_page.write(tmp_path)
    assert (tmp_path / "large.svg").read_bytes() == first


def test_a_point_is_a_run_of_the_stage_whose_memory_is_its_own() -> None:
    """A process has at least the memory of the one that started it, so this one must not hold torch."""
    code = "import sys; from benchmarks import large; print(large.measure(200, 2)); sys.exit('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "'dialogues': 200" in printed
    assert printed.count("'cpu_seconds'") == 2
