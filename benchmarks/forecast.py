"""What a run of params.yaml will take on this machine: from the nearest run that was measured, by work and by rate.

The runs that were measured are the flan-t5-base profile at full size (benchmarks/full_size.json) and the miniature
(benchmarks/miniature.json). Of a model of another size all is in proportion to its weights, on another machine time is
in proportion to how fast that multiplies.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import cost

HERE = Path(__file__).parent
MEASURED = (HERE / "full_size.json", HERE / "miniature.json")
PROMPT = 220  # tokens of DialogSum's dialogues as prompts, about
SECONDS = 10.0  # of a stage that computes nothing
GIB = 2**30
GENERATING, SCORING = ("train_ppo", "summarize", "summarize_rivals"), ("rank_dialogues", "evaluate")

Tree = Mapping[str, Any]


class Run(NamedTuple):
    """What a run's cost follows from."""

    parameters: Tree  # of params.yaml
    rows: Mapping[str, int]  # dialogues by part
    base: float  # bytes of the base's weights
    classifiers: float  # bytes of both classifiers


def measured() -> list[Tree]:
    """The runs that were measured."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in MEASURED]


def sizes(figures: Tree) -> tuple[float, float]:
    """Bytes of the base of a measured run, and of its classifiers. The share of what is trained says how many weights
    base and adapter have."""
    trained = figures["train"]["trainable_parameters"]
    base = 4 * (100 * trained / figures["train"]["trainable_percent"] - trained)
    return base, figures["model_bytes"] - base


def adapter(run: Run, figures: Tree) -> float:
    """Bytes of an adapter like the measured one, in proportion to the base."""
    return 4 * figures["train"]["trainable_parameters"] * ratio("train_ppo", run, figures)


def nearest(runs: Iterable[Tree], base: float) -> Tree:
    """The run whose base is nearest in size."""
    return min(runs, key=lambda figures: abs(math.log(sizes(figures)[0] / base)))


def unit(parameters: Tree) -> dict[str, float]:
    """How much a unit of a stage's work is, beside the same stage under other parameters.

    Tokens of summaries and of prompts, each counted once for every pass over it.
    """
    ppo, summarize = parameters["ppo"], parameters["summarize"]
    tokens = ppo["max_new_tokens"] + PROMPT / ppo["samples_per_prompt"]
    drawn = 2 * (1 + summarize["samples"]) + summarize["stress_samples"]
    return {
        "train_ppo": ppo["batch_size"] * tokens * (2 + 2 * ppo["epochs"]),  # rollout, reference; forward, backward
        "summarize": drawn * summarize["max_new_tokens"],
        "summarize_rivals": summarize["max_new_tokens"],
    }


def ratio(stage: str, run: Run, figures: Tree) -> float:
    """Weights of the models that the stage runs, beside those that were measured."""
    base, classifiers = sizes(figures)
    if stage in SCORING:
        return run.classifiers / classifiers
    return run.base / base if stage in (*GENERATING, "fetch_adapter") else 1.0


def seconds(run: Run, figures: Tree, gflops: float) -> dict[str, float | None]:
    """Of each stage, on a machine that multiplies so fast; None where nothing like it was measured."""
    found = cost.stages({**figures, "rows": run.rows}, run.parameters)
    here, there = unit(run.parameters), unit(figures["parameters"])
    result: dict[str, float | None] = {
        name: stage.whole_seconds
        * ratio(name, run, figures)
        * here.get(name, 1)
        / there.get(name, 1)
        * figures["gflops"]
        / gflops
        for name, stage in found.items()
    }
    # A summary as the rivals write them.
    summary = (result["summarize_rivals"] or 0) / found["summarize_rivals"].whole
    return result | {"fetch_adapter": _adapter(run, summary)}


def _adapter(run: Run, summary: float) -> float | None:
    """An adapter that is fetched is there at once; of a new one the base's ROUGE on the dev part is computed."""
    origin = run.parameters["adapter"]["source"]["origin"]
    return None if origin == "train" else SECONDS + (run.rows["dev"] * summary if origin == "new" else 0)


def memory(stages: Iterable[str], run: Run, figures: Tree) -> tuple[float, str]:
    """Bytes at the peak, about, and the stage that has it: as measured, in proportion to the weights, by process."""
    processes = run.parameters["compute"]["processes"]
    peaks = {
        name: GIB * figures["stages"][name]["peak_gb"] * max(1.0, ratio(name, run, figures))
        for name in stages
        if name in figures["stages"]
    }
    for name in peaks.keys() & {*GENERATING, *SCORING}:
        peaks[name] *= processes
    if "fetch_adapter" in peaks and run.parameters["adapter"]["source"]["origin"] != "train":
        del peaks["fetch_adapter"]
    return max(((size, name) for name, size in peaks.items()), default=(0.0, ""))
