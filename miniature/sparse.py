"""PPO where toxicity is rare: `make sparse`.

A second corpus of the same scenarios has 3 % heated dialogues, as real text has (docs/design.md), and a test part of
heated ones alone, in which a change can show. PPO trains twice on it, for some 3,000 episodes each: on dialogues as
they come, and with `ppo.risky_share` as it is in params.yaml.

Reads  data/miniature; writes data/sparse, which git does not keep, and metrics/sparse.{csv,json,svg}: P(toxic) by the
       judge of the test part's rivals dialogues after so many episodes, and the change on the whole test part.
"""

import io
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import dvc.api
import pandas as pd
from matplotlib.figure import Figure

from detox import files
from detox.params import reading, training
from miniature import build, corpus
from stages import said_in_lines, seeds

SPARSE = Path("data/sparse")
KEPT = 0.0206  # share of the heated training dialogues that stay, of 0.6: 0.6 · KEPT / (0.4 + 0.6 · KEPT) = 0.03
TRAIN_SEED, TEST_SEED = 41, 42
EPISODES, SNAPSHOTS = 3200, 4  # at most; steps between points of the curve


def train_rows(rng: Random) -> list[dict[str, str]]:
    """Training dialogues of which few are heated."""
    return corpus.train_rows(rng, lambda scene: scene.mood != "heated" or rng.random() < KEPT)


def write() -> None:
    """The corpus."""
    facts = [row for row in corpus.fact_rows(Random(TEST_SEED)) if row["mood"] == "heated"]
    heated = {row["id"] for row in facts}
    with files.atomic(SPARSE) as folder:
        shutil.copytree(build.DATA, folder)
        files.write_jsonl(folder / "train.jsonl", train_rows(Random(TRAIN_SEED)))
        test = (row for row in corpus.test_rows(Random(TEST_SEED)) if row["id"] in heated)
        files.write_jsonl(folder / "test.jsonl", test)
        files.write_jsonl(folder / "facts.jsonl", facts)


def measured(name: str, share: float | None) -> tuple[pd.Series, dict[str, Any]]:
    """P(toxic) by the judge after so many episodes, and the change in the end, of PPO with this share."""
    p = reading.load(training.Ppo)
    told = {
        "ppo.risky_share": "null" if share is None else share,
        "ppo.steps": EPISODES // p.batch_size,
        "ppo.snapshot_every": SNAPSHOTS,
    }
    with seeds.experiment(f"sparse-{name}", seeds.on(SPARSE, told)) as revision:
        curve = pd.read_csv(io.StringIO(dvc.api.read("metrics/progress.csv", rev=revision)), index_col="step")
        change = json.loads(dvc.api.read("metrics/evaluate.json", rev=revision))["all"]["change"]
    curve.index = curve.index * p.batch_size
    return curve["judge"], {key: change[key] for key in ("judge", "judge_greedy", "rougeL", "slots")}


def plot(curves: pd.DataFrame) -> Figure:
    """Both curves."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, style in zip(curves, ("o--", "s-"), strict=True):
        axes.plot(curves.index, curves[name], style, label=str(name).replace("_", " "))
    axes.set(xlabel="episodes", ylabel="P(toxic), judge, heated test dialogues", ylim=(0, None))
    axes.legend()
    return figure


def main() -> None:
    write()
    found = {"as_they_come": measured("even", None)}
    found["risky_first"] = measured("risky", reading.load(training.Ppo).risky_share)
    curves = pd.DataFrame({name: curve for name, (curve, _) in found.items()})
    files.write_csv(Path("metrics/sparse.csv"), curves.rename_axis("episodes").reset_index())
    files.write_metrics(Path("metrics/sparse.json"), {name: change for name, (_, change) in found.items()})
    seeds.draw(plot(curves), Path("metrics/sparse.svg"))
    print(curves.to_string())


if __name__ == "__main__":
    with said_in_lines():
        main()
