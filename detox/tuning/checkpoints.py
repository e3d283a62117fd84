"""What the trainer of transformers has left of a run that was interrupted: the newest checkpoint that is whole."""

import json
import sys
from pathlib import Path

from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME

from detox import files
from detox.model import adapters

PARTS = (adapters.CONFIG, adapters.WEIGHTS, OPTIMIZER_NAME, SCHEDULER_NAME, "rng_state.pth")  # of a checkpoint


def newest(unfinished: Path) -> Path | None:
    """The newest checkpoint from which training goes on as if nothing had been; those after it are removed."""
    for path in sorted(unfinished.glob("checkpoint-*"), key=step, reverse=True):
        if _is_sound(path):
            return path
        files.remove(path)
    return None


def step(checkpoint: Path) -> int:
    """The number of its step."""
    number = checkpoint.name.partition("-")[2]
    return int(number) if number.isdecimal() else sys.maxsize  # of none that the trainer wrote


def _is_sound(checkpoint: Path) -> bool:
    """Whether the trainer wrote all of it, and went on; the best one that it will load lies beside it.

    From one without its last file the trainer would silently begin again, with its weights; from one at which it had
    stopped early it would train on.
    """
    try:
        state = json.loads((checkpoint / TRAINER_STATE_NAME).read_bytes())
        stopped = state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]
        reached, best = state["global_step"], state["best_model_checkpoint"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
    beside = best is None or Path(str(best)) in checkpoint.parent.glob("checkpoint-*")
    whole = all((checkpoint / name).is_file() and not (checkpoint / name).is_symlink() for name in PARTS)
    return reached == step(checkpoint) and not stopped and beside and whole
