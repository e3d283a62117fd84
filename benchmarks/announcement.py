"""What the terminal says before a run: what is about to run, and how much time, memory and disk that takes here."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks import cost, forecast, gemm
from benchmarks.forecast import GIB, Run
from detox.corpus import heads
from detox.runtime import capacity

Sections = Mapping[str, Any]  # of params.yaml, each as its dataclass


def told(
    stages: Sequence[str],
    p: Sections,
    dialogues: bool,
    weights: Mapping[str, int | None],
    disk: Sequence[tuple[Path, int]],
) -> str:
    """The stages that will run, and what they take.

    `dialogues` is whether they are there to be looked at; `weights` are bytes of a source's, where they are known;
    `disk` is what is written to which folder, in bytes.
    """
    measured = forecast.measured()
    run, assumed = run_of(p, dialogues, weights, measured[0])
    figures = forecast.nearest(measured, run.base)
    said = [f"To run: {', '.join(stages)}", time(stages, p, run, figures), memory(stages, run, figures)]
    parts = ", ".join(f"{size / capacity.GB:.1f} GB in {path}" for path, size in disk if size > capacity.GB / 20)
    said.append(f"Disk: {parts or 'hardly anything'}; {shutil.disk_usage('.').free / capacity.GB:.1f} GB are free here")
    return "\n".join([*said, *assumed])


def run_of(
    p: Sections, dialogues: bool, weights: Mapping[str, int | None], usual: forecast.Tree
) -> tuple[Run, list[str]]:
    """What the cost follows from; what is not there yet is taken to be as in the usual run, which is then said."""
    tree = {name: asdict(section) for name, section in p.items() if name != "seed"}
    tree["adapter"]["tuning"] = tree["adapter"]["tuning"] or {"epochs": 0}
    rows, assumed = usual["rows"], []
    if dialogues:
        rows = heads.estimate(p["prepare"])._asdict()
    else:
        assumed.append(
            f"The dialogues are not here yet: taken for {rows['train']:,} to train on, {rows['test']:,} to test."
        )
    base, classifiers = forecast.sizes(usual)
    if not all(weights.values()):
        assumed.append("Not every model is known yet: taken for T5-base, RoBERTa-base and BERT-base.")
    both = sum(weights[name] or classifiers / 2 for name in ("reward", "judge"))
    return Run(tree, rows, weights["model"] or base, both), assumed


def time(stages: Sequence[str], p: Sections, run: Run, figures: forecast.Tree) -> str:
    """How long it takes, about, by a second of matrix products."""
    if p["compute"].device != "cpu":
        return "Time: not known on a GPU, where nobody has measured it"
    rate = gemm.fastest(1.0)
    known = forecast.seconds(run, figures, rate)
    parts = {name: known.get(name, forecast.SECONDS) for name in stages}
    whole = cost.duration(sum(seconds or 0 for seconds in parts.values()))
    each = ", ".join(
        f"{name} {'not measured' if seconds is None else cost.duration(seconds)}"
        for name, seconds in parts.items()
        if seconds is None or seconds > forecast.SECONDS
    )
    said = f"Time: about {whole} at {rate:.0f} GFLOP/s on {torch.get_num_threads()} core(s)"
    return f"{said}: {each}" if each else said


def memory(stages: Sequence[str], run: Run, figures: forecast.Tree) -> str:
    """The most that a stage takes, about."""
    size, stage = forecast.memory(stages, run, figures)
    free, whole = capacity.available() / GIB, capacity.memory() / GIB
    where = f"about {size / GIB:.1f} GiB in {stage}" if stage else "hardly any"
    return f"Memory: {where}; {free:.1f} of {whole:.1f} GiB are free"
