"""How tuning goes, while it goes: steps under a bar, and the losses at each look at the dev part."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from detox.runtime.progress import Progress

NAMES = {"loss": "loss", "eval_loss": "dev_loss"}  # what the trainer logs, and how it is called here

Row = dict[str, float]


class Curve(TrainerCallback):
    """Shows every step, and at each look hands over the curve so far: that of an interrupted run is its beginning."""

    def __init__(self, told: Callable[[list[Row]], None]):
        self.told = told
        self.progress: Progress | None = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """That another step is done."""
        if self.progress is None:
            self.progress = Progress("Tuning", "step", state.max_steps, state.global_step - 1)
        last = {name: f"{value:.3f}" for row in rows(state.log_history) for name, value in row.items()}
        last.pop("step", None)
        self.progress.show(state.global_step, **last)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """At a look there are two logs, of training and of the dev part."""
        self.told(rows(state.log_history))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leaves the terminal's line."""
        if self.progress is not None:
            self.progress.close()


def rows(history: Iterable[Mapping[str, float]]) -> list[Row]:
    """A row a look, from the trainer's log: step, loss since the look before, dev_loss; both in nats a token."""
    looks: dict[int, Row] = {}
    for entry in history:
        for logged, name in NAMES.items():
            if logged in entry:
                step = int(entry["step"])
                looks.setdefault(step, {"step": step})[name] = float(entry[logged])
    return list(looks.values())
