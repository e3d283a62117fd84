"""The pipeline made small, in a clone of its own: few dialogues and short training."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from imports import ROOT
from ruamel.yaml import YAML

SMALL: dict[str, dict[str, Any]] = {
    "ppo": {
        "steps": 4,
        "batch_size": 16,
        "mini_batch_size": 16,
        "micro_batch_size": 8,
        "decode_batch_size": 8,
        "snapshot_every": 2,
        "checkpoint_every": 1,
        "max_new_tokens": 24,
    },
    "summarize": {"batch_size": 40, "stress_minimum": 10, "checkpoint_every": 1, "max_new_tokens": 24},
    "rivals": {"dialogues": 8, "best_of": [2, 4], "scales": [0.5]},
    "evaluate": {"resamples": 199},
}
TUNED: dict[str, dict[str, Any]] = {
    "adapter": {
        "source": {"path": "data/prepared", "origin": "train", "revision": None, "sha256": None},
        "tuning": {
            "rank": 4,
            "alpha": 4,
            "dropout": 0.05,
            "targets": ["q", "v"],
            "learning_rate": 0.001,
            "batch_size": 32,
            "epochs": 2,
            "patience": 1,
            "max_summary_tokens": 24,
        },
    },
}
ROWS = {"train": 128, "test": 40}


def small_clone(clone: Path) -> Path:
    """Makes a clone of the current commit with these dialogues and settings."""
    git(ROOT, "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(clone))
    for part, count in ROWS.items():
        path = clone / "data" / "miniature" / f"{part}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:: len(lines) // count]), encoding="utf-8")
    change_params(clone, SMALL)
    subprocess.run([sys.executable, "-m", "detox.sources.pins"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
    author = ("-c", "user.name=soak", "-c", "user.email=soak@example.org")
    git(clone, *author, "commit", "--quiet", "--all", "--message", "A small pipeline")
    return clone


def change_params(project: Path, sections: dict[str, dict[str, Any]]) -> None:
    """Changes values in the project's params.yaml."""
    yaml = YAML()
    params = yaml.load(project / "params.yaml")
    for section, values in sections.items():
        params[section].update(values)
    yaml.dump(params, project / "params.yaml")


def git(folder: Path, *arguments: str) -> None:
    """Run git, which must succeed."""
    subprocess.run(["git", *arguments], cwd=folder, check=True)
