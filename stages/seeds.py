"""Train, summarise and evaluate with the seeds 1 to 5 beside the workspace, and compare: `make seeds`, some 20 minutes.

Each seed is an experiment of DVC (`dvc exp run --temp -S seed=N`) in a copy of the repository. Data, adapter and
classifiers stay; training, sampling and resampling are drawn anew.
Writes metrics/seeds.csv: a row a seed; metrics/seeds.json: mean, sd and worst of each change; metrics/seeds.svg.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import dvc.api
import matplotlib.style
import pandas as pd
from matplotlib.figure import Figure

from detox import files

EVALUATION = "metrics/evaluate.json"
# What is compared, how it stands under `all.change`, and as what it is drawn. A relative change should be below 0.
CHANGES = {
    "judge": ("relative", "toxicity by the judge"),
    "reward": ("relative", "toxicity by the reward"),
    "rougeL": ("absolute", "ROUGE-L"),
    "slots": ("absolute", "slot recall"),
}


def measured(seed: int) -> dict[str, float]:
    """Runs the pipeline with this seed and reads its headline numbers; the experiment itself is not kept."""
    name, dvc_exp = f"seed-{seed}", [sys.executable, "-m", "dvc", "exp"]
    subprocess.run([*dvc_exp, "run", "--temp", "-n", name, "-S", f"seed={seed}", "evaluate"], check=True)  # noqa: S603
    try:
        return row(seed, name)
    finally:
        subprocess.run([*dvc_exp, "remove", name], check=True)  # noqa: S603


def row(seed: int, revision: str) -> dict[str, float]:
    """The headline changes of one experiment, each with its interval."""
    with dvc.api.open(EVALUATION, rev=revision) as file:
        change = json.load(file)["all"]["change"]
    numbers: dict[str, float] = {"seed": seed}
    for name, (kind, _) in CHANGES.items():
        if found := change.get(name):
            numbers |= {name: found[kind], f"{name}_low": found["low"], f"{name}_high": found["high"]}
    return numbers


def spread(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and worst of each change over the seeds; `bound`, the worst end of all intervals."""
    return {
        name: {
            "mean": float(frame[name].mean()),
            "sd": float(frame[name].std(ddof=1)) if len(frame) > 1 else 0.0,
            "worst": float(frame[name].max() if kind == "relative" else frame[name].min()),
            "bound": float(frame[f"{name}_high"].max() if kind == "relative" else frame[f"{name}_low"].min()),
        }
        for name, (kind, _) in CHANGES.items()
        if name in frame
    }


def plot(frame: pd.DataFrame) -> Figure:
    """Each seed's changes with their intervals, side by side."""
    names = [name for name in CHANGES if name in frame]
    figure = Figure(figsize=(3 * len(names), 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        kind, title = CHANGES[name]
        below, above = frame[name] - frame[f"{name}_low"], frame[f"{name}_high"] - frame[name]
        axes.errorbar(frame["seed"], frame[name], yerr=[below, above], fmt="o", capsize=3)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set(title=title, xlabel="seed", xticks=frame["seed"], ylabel=f"{kind} change")
    return figure


def main(seeds: list[int]) -> None:
    frame = pd.DataFrame([measured(seed) for seed in seeds])
    files.write_csv(Path("metrics/seeds.csv"), frame)
    files.write_metrics(Path("metrics/seeds.json"), {"seeds": len(seeds), **spread(frame)})
    with files.atomic(Path("metrics/seeds.svg")) as path, matplotlib.style.context({"svg.hashsalt": "detox"}):
        plot(frame).savefig(path, format="svg", metadata=dict.fromkeys(("Creator", "Date")))
    print(frame.to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m stages.seeds", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5], help="1 2 3 4 5 where none is given")
    main(parser.parse_args().seeds)
