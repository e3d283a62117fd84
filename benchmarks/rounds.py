"""Rounds of measurements: in each, every program runs once, in a process of its own; figures are medians over them."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import trange

from detox import files
from detox.errors import InputError

Figures = dict[str, Any]
Round = Mapping[str, Figures]


def printed(command: Sequence[str]) -> str:
    """What a program prints. Raises InputError, with its last words, if it fails."""
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        said = run.stderr.strip().splitlines() or ["it said nothing"]
        raise InputError(f"{' '.join(command)} failed with exit code {run.returncode}: {said[-1]}")
    return run.stdout


def measured(command: Sequence[str]) -> Figures:
    """The line of JSON that a measurement prints last."""
    return last_line(printed(command))


def last_line(text: str) -> Figures:
    """What a measurement has printed last, as JSON."""
    figures: Figures = json.loads(text.splitlines()[-1])
    return figures


def alternating(programs: Mapping[str, Sequence[str]], pairs: int, label: str) -> list[Round]:
    """The programs in turn, `pairs` times: what slows the machine for a while slows all of them."""
    return [{name: measured(programs[name]) for name in programs} for _ in trange(pairs, desc=label)]


def middle(rounds: Sequence[Round], name: str, key: str) -> float:
    """Median over the rounds of a figure."""
    return median(row[name][key] for row in rounds)


def faster(rounds: Sequence[Round], name: str, than: str) -> float:
    """Median over the rounds of seconds of `than` / seconds of `name`: a ratio is of one and the same round."""
    return median(row[than]["seconds"] / row[name]["seconds"] for row in rounds)


def limit_share(rounds: Sequence[Round], name: str, rates: str, kind: str, flop: float) -> float:
    """Median over the rounds of the seconds that `flop` take at that round's rate (GFLOP/s) / seconds of `name`."""
    return median(flop / (row[rates][kind] * 1e9) / row[name]["seconds"] for row in rounds)


def store(path: Path, figures: Figures) -> None:
    """Writes the figures as JSON."""
    with files.atomic(path) as temporary:
        temporary.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
