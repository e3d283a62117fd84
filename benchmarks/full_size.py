"""Run the flan-t5-base profile at full size, few counts of everything, and measure time, memory and disk of its stages.

Models have the real shapes and random weights; tokenizer and dialogues are the real ones, from folders that you name:
after `make profile P=flan-t5-base && make pin && dvc repro fetch_sources` they lie where the defaults say. Random
weights never end a summary, so each has all of max_new_tokens: trained ones take less time.
Writes benchmarks/full_size.json, from which `make readme` writes what a run will cost into the README.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from benchmarks import rounds, usage
from benchmarks.rounds import Figures
from detox import files, parsing
from detox.errors import InputError
from detox.params import reading
from stages import yield_while_waiting

HERE = Path(__file__).parent
STAGES = "prepare fetch_adapter rank_dialogues train_ppo summarize summarize_rivals evaluate report".split()
RATED = 5.0  # seconds for which products are timed: what is measured here is carried over to other machines by them
PREPARED = Path("data/prepared")


class Counts(NamedTuple):
    """How much of the profile is run."""

    ranked: int = 50  # training dialogues
    steps: int = 1  # of PPO
    summarised: int = 10  # test dialogues
    rivals: int = 3  # of them, for the rivals


class Sizes(NamedTuple):
    """Of the models."""

    width: int = 768
    layers: int = 12


def overlay(dialogues: Path, counts: Counts) -> dict[str, Any]:
    """What differs from the profile: files of one's own for what it downloads, and counts."""
    places = {name: f"models/{name}" for name in ("adapter", "reward", "judge")}
    places |= {"model": "models/base", "prepare": str(dialogues)}
    own = {name: {"source": {"path": path, "origin": None, "revision": None}} for name, path in places.items()}
    return own | {
        "rank": {"dialogues": counts.ranked},
        "ppo": {"steps": counts.steps, "snapshot_every": counts.steps, "risky_share": None},  # random weights find none
        "rivals": {"dialogues": counts.rivals, "scales": [0.5]},
    }


def make_project(project: Path, tokenizer: Path, dialogues: Path, counts: Counts, sizes: Sizes) -> None:
    """A folder with parameters and models, in which the stages of this project can run."""
    project.mkdir()
    for name in ("params.yaml", "profiles/flan-t5-base.yaml", "data/miniature/insults.txt", "data/provocations.txt"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(usage.ROOT / name, project / name)
    (project / "profiles" / "full-size.yaml").write_text(json.dumps(overlay(dialogues, counts)), encoding="utf-8")
    told = [f"--tokenizer={tokenizer}", f"--width={sizes.width}", f"--layers={sizes.layers}"]
    rounds.printed([sys.executable, "-m", "benchmarks.full_size_models", str(project / "models"), *told])
    for module in (
        ["detox.params.profiles", "flan-t5-base"],
        ["detox.params.profiles", "full-size"],
        ["detox.sources.pins"],
    ):
        usage.run([sys.executable, "-m", *module], project)


def cut(project: Path, counts: Counts) -> dict[str, int]:
    """Leaves some test dialogues of what `prepare` has made; how many there were of each part."""
    parts = {part: parsing.read_jsonl(project / PREPARED / f"{part}.jsonl") for part in ("train", "dev", "test")}
    files.write_jsonl(project / PREPARED / "test.jsonl", spaced(parts["test"], counts.summarised))
    return {part: len(rows) for part, rows in parts.items()}


def spaced(rows: list[Any], count: int) -> list[Any]:
    """`count` of the rows, evenly spaced."""
    return [rows[place * len(rows) // count] for place in range(count)]


def measure(project: Path, tokenizer: Path, dialogues: Path, counts: Counts, sizes: Sizes) -> Figures:
    """What benchmarks/full_size.json holds, but for the machine."""
    make_project(project, tokenizer, dialogues, counts, sizes)
    models = size(project / "models")
    stages, rows = {}, {}
    for stage in tqdm(STAGES):
        stages[stage] = usage.run([sys.executable, "-m", f"stages.{stage}"], project)
        if stage == "prepare":
            rows = cut(project, counts)
    return {
        "parameters": settings(project),
        "rows": rows,
        "cut": {**rows, "test": counts.summarised},
        "stages": stages,
        "model_bytes": models,
        "train": parsing.read_metrics(project / "metrics" / "train.json"),
    }


def settings(project: Path) -> dict[str, Any]:
    """The sections of params.yaml on which the counts of a run depend, as they were run."""
    tree = reading.read(project / "params.yaml")
    return {name: dict(tree[name]) for name in ("adapter", "rank", "ppo", "summarize", "rivals")}


def size(folder: Path) -> int:
    """Bytes of the files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.full_size", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    downloads = "default: %(default)s"
    parser.add_argument(
        "--tokenizer", type=Path, default="downloads/model", help=f"a folder with FLAN-T5's tokenizer ({downloads})"
    )
    parser.add_argument(
        "--dialogues", type=Path, default="downloads/prepare", help=f"a folder with DialogSum ({downloads})"
    )
    arguments = parser.parse_args()
    for folder in (arguments.tokenizer, arguments.dialogues):
        if not folder.is_dir():
            parser.error(f"there is no folder {folder}: see above, or name another one")
    yield_while_waiting()  # the programs inherit it
    try:
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder, "project")
            figures = measure(project, arguments.tokenizer.resolve(), arguments.dialogues.resolve(), Counts(), Sizes())
    except InputError as error:
        sys.exit(f"error: {error}")
    # Only now, because they import torch.
    from benchmarks import cost, device, gemm

    figures = device.noted(figures) | {"gflops": gemm.fastest(RATED, gemm.busy)}
    rounds.store(HERE / "full_size.json", figures)
    print(cost.page(figures, cost.profile()))


if __name__ == "__main__":
    main()
