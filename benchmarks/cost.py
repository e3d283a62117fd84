"""benchmarks/full_size.json → what a run of the flan-t5-base profile will cost, for the README.

A stage's time grows with a count: of examples, steps, dialogues, summaries or texts. From that of a few follows the
whole stage on the same processor, a little too long, since loading counts as work; other machines by their rates.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tables import markdown
from detox.params import reading

FIGURES = Path("benchmarks/full_size.json")
PROFILE = Path("profiles/flan-t5-base.yaml")
CORES = 8  # of the machine that the profile is written for
USUAL = 164  # GFLOP/s in float32 of the two cores on which most figures of this project were measured
COPIES = 3  # of what is downloaded: huggingface_hub's, downloads/ and DVC's cache
GPU, GPU_RATE, GPU_SHARE = "A100", 312e12, 0.05  # FLOP a second in bfloat16, as its data sheet has it; what is used
UNITS = {
    "rank_dialogues": "dialogues",
    "train_ppo": "steps",
    "summarize": "dialogues",
    "summarize_rivals": "summaries",
    "evaluate": "texts",
}

PAGE = """{table}

Measured on {date}: {processor}, {cores} cores, which then multiplied {rate:.0f} GFLOP/s. Models of the real shapes
with random weights, FLAN-T5's own tokenizer, DialogSum itself. Times are processor time / {cores}, since other programs
ran beside it, and follow for the whole profile, with its {test} test dialogues, from the units of work. They are
probably too long: random weights never end a summary, so that each has all of its {tokens} tokens, and loading counts
as work. Waiting between cores may add a tenth.

- **Time**: {whole} in all on these {cores} cores; {usual} on cores that multiply {usually} GFLOP/s. {more} cores of
  their kind take {faster} if they multiply {times:g} times as fast. That is the best case: decoding waits for memory,
  too.
- **An adapter of your own**: tuning one here took 15.9 h more on {cores} cores of {usually} GFLOP/s, and 12 GiB
  (2026-11-24).
- **On a GPU**: about {gpu} by calculation, nobody has measured it: what {cores} cores can multiply in that time, done
  at {share:.0f} % of the {teraflop:.0f} TFLOP/s that an {name} has in bfloat16. `compute.device: cuda` asks for one.
- **Memory**: {ppo:.1f} GiB for PPO, {peak:.1f} GiB at the peak of all stages.
- **Disk**: the models are {models:.1f} GB, and huggingface_hub, `downloads/` and DVC's cache have them each:
  {copies:.1f} GB in all. What the stages write is little beside it: an adapter has {adapter:.0f} MB.

PPO trains {trainable:,} weights of LoRA, {percent:.2f} % of base and adapter, and {head} of the value head.
"""

Tree = Mapping[str, Any]


class Stage(NamedTuple):
    """What was run of a stage, and what the whole profile has: units of work and seconds, of all cores together."""

    done: float
    seconds: float
    whole: float
    whole_seconds: float


def work(parameters: Tree, rows: Mapping[str, int]) -> dict[str, float]:
    """Units of work of each stage that has more of it with more data: 1 of those whose data is whole.

    The adapter is fetched: nothing is tuned.
    """
    ppo, rivals = parameters["ppo"], parameters["rivals"]
    samples, chosen = parameters["summarize"]["samples"], min(rivals["dialogues"], rows["test"])
    summarised = rows["test"] + min(parameters["summarize"]["provoked"], rows["test"])
    systems = 2 + len(rivals["scales"]) + ppo["steps"] // ppo["snapshot_every"]  # filter, base; scales; snapshots
    return {
        "prepare": 1,
        "fetch_adapter": 1,
        "rank_dialogues": min(parameters["rank"]["dialogues"] or rows["train"], rows["train"]),
        "train_ppo": ppo["steps"],
        "summarize": summarised,
        "summarize_rivals": chosen * (max(rivals["best_of"]) + systems * (1 + samples)),
        # Before and after PPO; then the pool, the samples of the other rivals, and LEAD-3.
        "evaluate": 2 * (samples + 1) * summarised + chosen * (max(rivals["best_of"]) + systems * samples + 1),
        "report": 1,
    }


def stages(figures: Tree, profile: Tree) -> dict[str, Stage]:
    """Of each stage what was measured, and what follows: seconds · whole / done.

    Seconds are processor time / cores: what other programs take does not count, nor do cores that wait for one another.
    """
    done, whole = work(figures["parameters"], figures["cut"]), work(profile, figures["rows"])
    found = {}
    for name in (name for name in done if name in figures["stages"]):
        seconds = figures["stages"][name]["cpu_seconds"] / figures["noted"]["cores"]
        found[name] = Stage(done[name], seconds, whole[name], seconds * whole[name] / done[name])
    return found


def on_gpu(seconds: float, rate: float) -> float:
    """Seconds on the GPU of what takes `seconds` at `rate` FLOP a second elsewhere, were it nothing but products."""
    return seconds * rate / (GPU_RATE * GPU_SHARE)


def duration(seconds: float) -> str:
    """To two digits or so, in the unit that a person would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def profile() -> Any:
    """The flan-t5-base profile."""
    return reading.read(PROFILE)


def page(figures: Tree, profile: Tree) -> str:
    """What stands in the README."""
    noted, found, memory = figures["noted"], stages(figures, profile), figures["stages"]
    rate, seconds = figures["gflops"], sum(stage.whole_seconds for stage in found.values())
    faster, models = CORES / noted["cores"], figures["model_bytes"]
    return PAGE.format(
        table=table(figures, found),
        date=noted["date"],
        processor=noted["processor"],
        cores=noted["cores"],
        rate=rate,
        tokens=profile["ppo"]["max_new_tokens"],
        test=figures["rows"]["test"],
        whole=duration(seconds),
        usual=duration(seconds * rate / USUAL),
        usually=USUAL,
        more=CORES,
        faster=duration(seconds / faster),
        times=faster,
        gpu=duration(on_gpu(seconds, rate * 1e9)),
        share=100 * GPU_SHARE,
        teraflop=GPU_RATE / 1e12,
        name=GPU,
        peak=max(stage["peak_gb"] for stage in memory.values()),
        ppo=memory["train_ppo"]["peak_gb"],
        models=models / 1e9,
        copies=COPIES * models / 1e9,
        adapter=4 * figures["train"]["trainable_parameters"] / 1e6,
        trainable=figures["train"]["trainable_parameters"],
        percent=figures["train"]["trainable_percent"],
        head=figures["train"]["value_head_parameters"],
    )


def table(figures: Tree, found: Mapping[str, Stage]) -> str:
    """A row for each stage."""
    cores = figures["noted"]["cores"]
    head = ["stage", "measured", "took", "peak GiB", "whole profile", f"{cores} cores", f"{CORES} cores, at best"]
    rows = []
    for name, stage in found.items():
        unit, peak = UNITS.get(name, ""), f"{figures['stages'][name]['peak_gb']:.1f}"
        done, whole = (f"{count:,.0f} {unit}" if unit else "all" for count in (stage.done, stage.whole))
        rows.append([f"`{name}`", done, duration(stage.seconds), peak, whole, *times(stage.whole_seconds, cores)])
    took, seconds = (sum(getattr(stage, key) for stage in found.values()) for key in ("seconds", "whole_seconds"))
    return markdown(head, [*rows, ["in all", "", duration(took), "", "", *times(seconds, cores)]])


def times(seconds: float, cores: int) -> list[str]:
    """On the cores of the measurement, and on those of the profile's machine."""
    return [duration(seconds), duration(seconds * cores / CORES)]


def read() -> str:
    """The page of the figures that have been stored."""
    return page(json.loads(FIGURES.read_text(encoding="utf-8")), profile())
