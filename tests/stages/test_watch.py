"""While a stage runs under DVC, another terminal sees its curves grow; what is interrupted says how it goes on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small import change_params, small_clone

from detox import parsing

pytestmark = pytest.mark.slow

STEPS = 45


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = small_clone(tmp_path_factory.mktemp("watched") / "clone")
    change_params(folder, {"compute": {"processes": 1}, "ppo": {"steps": STEPS}})
    return folder


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A shell's background jobs ignore SIGINT, and so would all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def dvc(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache")}
    call = [sys.executable, "-m", "dvc", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(call, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def answer(folder: Path, *arguments: str) -> Any:
    """What a second terminal is told, as JSON; None where there is nothing yet."""
    out, _ = dvc(folder, *arguments, "--json").communicate(timeout=120)
    return json.loads(out or "null")


def steps_shown(folder: Path) -> tuple[int, int]:
    """How many steps `dvc metrics show` and `dvc plots show` know of."""
    metrics = answer(folder, "metrics", "show", "metrics/train.json") or {}
    found = metrics.get("", {}).get("data", {}).get("metrics/train.json", {}).get("data", {})
    plots = answer(folder, "plots", "show", "metrics/train.csv") or {}
    rows = [
        row for plot in plots.get("data", {}).get("metrics/train.csv", []) for row in plot["content"]["data"]["values"]
    ]
    return int(found.get("steps", 0)), len(rows)


def test_two_commands_follow_the_training_and_an_interrupt_says_where_it_goes_on(clone: Path) -> None:
    run = dvc(clone, "repro", "train_ppo")
    seen: list[tuple[int, int]] = []
    try:
        while run.poll() is None and len(seen) < 3:
            shown = steps_shown(clone)
            if all(shown) and all(new > old for new, old in zip(shown, seen[-1] if seen else (0, 0), strict=True)):
                seen.append(shown)
    finally:
        os.killpg(run.pid, signal.SIGINT)  # as Ctrl-C in a terminal
        out, err = run.communicate(timeout=120)
    assert len(seen) == 3, f"{seen}\n{out[-2000:]}\n{err[-2000:]}"
    assert "PPO: step 1 of " in err
    assert "train_ppo: saved at step " in err

    change_params(clone, {"rivals": {"dialogues": 4}})  # nothing that training reads
    again = dvc(clone, "repro", "train_ppo")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err[-2000:]
    assert "train_ppo: going on from step " in err
    assert (
        "train_ppo: wrote models/ppo, models/snapshots, metrics/train.json, metrics/samples.json, metrics/train.csv in "
        in out
    )
    assert parsing.read_metrics(clone / "metrics/train.json")["steps"] == STEPS
