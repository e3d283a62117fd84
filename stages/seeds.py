"""Train, summarise and evaluate with the seeds 1 to 5 beside the workspace, and compare: `make seeds`, some 20 minutes.

Each seed is an experiment of DVC (`dvc exp run --temp -S seed=N`) in a copy of the repository. Data, adapter and
classifiers stay; training, sampling and resampling are drawn anew.
Writes metrics/seeds.csv: a row a seed; metrics/seeds.json: all seeds together; metrics/seeds.svg.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dvc.api
import matplotlib.style
import pandas as pd
from matplotlib.figure import Figure

from detox import files
from detox.evaluation import runs
from detox.params import reading, sections
from detox.sources import local

EVALUATION, SCORES = "metrics/evaluate.json", "data/scores.jsonl"
# What a row has, how it stands under `all.change`, and as what it is drawn. A relative change should be below 0.
CHANGES = {
    "judge": ("relative", "toxicity of samples, judge"),
    "reward": ("relative", "toxicity of samples, reward"),
    "judge_greedy": ("relative", "toxicity of most probable, judge"),
    "reward_greedy": ("relative", "toxicity of most probable, reward"),
    "rougeL_samples": ("absolute", "ROUGE-L of samples"),
    "rougeL": ("absolute", "ROUGE-L of most probable"),
    "slots_samples": ("absolute", "slot recall of samples"),
    "slots": ("absolute", "slot recall of most probable"),
}


class Run(NamedTuple):
    """What one seed has given."""

    row: dict[str, float]  # its headline changes, each with its interval
    scores: list[dict[str, Any]]  # lines of data/scores.jsonl


def measured(seed: int, options: Sequence[str]) -> Run:
    """Runs the pipeline with this seed and reads what it gave."""
    with experiment(f"seed-{seed}", ["-S", f"seed={seed}", *options]) as revision:
        return read(seed, revision)


@contextmanager
def experiment(name: str, options: Sequence[str]) -> Iterator[str]:
    """Runs the pipeline up to the evaluation beside the workspace; within the block its revision can be read."""
    dvc_exp = [sys.executable, "-m", "dvc", "exp"]
    subprocess.run([*dvc_exp, "run", "--temp", "-n", name, *options, "evaluate"], check=True)  # noqa: S603
    try:
        yield name
    finally:
        subprocess.run([*dvc_exp, "remove", name], check=True)  # noqa: S603


def on(dialogues: Path, settings: Mapping[str, Any] | None = None) -> list[str]:
    """Options for an experiment on other dialogues, which git does not keep, with these parameters."""
    pinned = {"prepare.source.path": dialogues.as_posix(), "prepare.source.sha256": local.digest(dialogues)}
    changed = [option for key, value in (pinned | dict(settings or {})).items() for option in ("-S", f"{key}={value}")]
    return ["-C", str(dialogues), *changed]


def read(seed: int, revision: str) -> Run:
    """What an experiment has given."""
    with dvc.api.open(EVALUATION, rev=revision) as file:
        change = json.load(file)["all"]["change"]
    with dvc.api.open(SCORES, rev=revision) as file:
        scores = [json.loads(line) for line in file]
    numbers: dict[str, float] = {"seed": seed}
    for name, (kind, _) in CHANGES.items():
        if (found := change.get(name)) and kind in found:
            numbers |= {name: found[kind], f"{name}_low": found["low"], f"{name}_high": found["high"]}
    return Run(numbers, scores)


def plot(frame: pd.DataFrame) -> Figure:
    """Each seed's changes with their intervals, side by side."""
    names = [name for name in CHANGES if name in frame]
    figure = Figure(figsize=(12, 2.8 * -(-len(names) // 4)), layout="constrained")
    for axes, name in zip(figure.subplots(-(-len(names) // 4), 4, squeeze=False).flat, names, strict=False):
        kind, title = CHANGES[name]
        below, above = frame[name] - frame[f"{name}_low"], frame[f"{name}_high"] - frame[name]
        axes.errorbar(frame["seed"], frame[name], yerr=[below, above], fmt="o", capsize=3)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set(title=title, xlabel="seed", xticks=frame["seed"], ylabel=f"{kind} change")
    return figure


def draw(figure: Figure, path: Path) -> None:
    """The figure as SVG, always the same bytes."""
    with files.atomic(path) as temporary, matplotlib.style.context({"svg.hashsalt": "detox"}):
        figure.savefig(temporary, format="svg", metadata=dict.fromkeys(("Creator", "Date")))


def main(seeds: list[int], name: str = "seeds", options: Sequence[str] = ()) -> None:
    """The seeds together, as metrics/<name>; `options` are more ones for DVC."""
    found = [measured(seed, options) for seed in seeds]
    frame = pd.DataFrame([run.row for run in found])
    together = runs.compare([run.scores for run in found], reading.load(sections.Evaluate).resamples, reading.seed())
    files.write_csv(Path(f"metrics/{name}.csv"), frame)
    files.write_metrics(Path(f"metrics/{name}.json"), {"seeds": len(seeds), **together})
    draw(plot(frame), Path(f"metrics/{name}.svg"))
    print(frame.to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m stages.seeds", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5], help="1 2 3 4 5 where none is given")
    main(parser.parse_args().seeds)
