"""Train, summarise and evaluate with the seeds 1 to 5 beside the workspace, and compare: `make seeds`, some 15 minutes.

Each seed is an experiment of DVC (`dvc exp run --temp -S seed=N`) in a copy of the repository. Data, adapter and
classifiers stay; training, sampling and resampling are drawn anew.
Writes metrics/seeds.json: mean, sd and worst of each headline number; and metrics/seeds.csv, a row a seed.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import dvc.api
import pandas as pd

from detox import files

EVALUATION = "metrics/evaluate.json"
# Column, where it stands under `all.change`, and whether the worst of the seeds is the largest.
NUMBERS = (
    ("judge", ("judge", "relative"), True),
    ("judge_high", ("judge", "high"), True),
    ("reward", ("reward", "relative"), True),
    ("rougeL", ("rougeL", "absolute"), False),
    ("rougeL_low", ("rougeL", "low"), False),
    ("slots", ("slots", "absolute"), False),
)


def measured(seed: int) -> dict[str, float]:
    """Runs the pipeline with this seed and reads its headline numbers; the experiment itself is not kept."""
    name, dvc_exp = f"seed-{seed}", [sys.executable, "-m", "dvc", "exp"]
    subprocess.run([*dvc_exp, "run", "--temp", "-n", name, "-S", f"seed={seed}", "evaluate"], check=True)
    try:
        return row(seed, name)
    finally:
        subprocess.run([*dvc_exp, "remove", name], check=True)


def row(seed: int, revision: str) -> dict[str, float]:
    """The headline numbers of one experiment."""
    with dvc.api.open(EVALUATION, rev=revision) as file:
        change = json.load(file)["all"]["change"]
    return {"seed": seed} | {name: change[measure][key] for name, (measure, key), _ in NUMBERS if measure in change}


def spread(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and worst of each number over the seeds."""
    return {
        name: {
            "mean": float(frame[name].mean()),
            "sd": float(frame[name].std(ddof=1)) if len(frame) > 1 else 0.0,
            "worst": float(frame[name].max() if largest else frame[name].min()),
        }
        for name, _, largest in NUMBERS
        if name in frame
    }


def main(seeds: list[int]) -> None:
    frame = pd.DataFrame([measured(seed) for seed in seeds])
    files.write_csv(Path("metrics/seeds.csv"), frame)
    files.write_metrics(Path("metrics/seeds.json"), {"seeds": len(seeds), **spread(frame)})
    print(frame.to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m benchmarks.seeds", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5], help="1 2 3 4 5 where none is given")
    main(parser.parse_args().seeds)
