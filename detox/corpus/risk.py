"""How toxic the turns of a dialogue are: whether there is something that a summary could repeat."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from detox import parsing
from detox.corpus.dialogues import Dialogue, evenly, turns
from detox.errors import InputError

RISKY = 0.5  # P(toxic) from which a scorer rather calls a turn toxic

Scorer = Callable[[list[str]], Iterable[float]]  # texts → P(toxic) of each


def toxicity(dialogues: Sequence[Dialogue], scorer: Scorer) -> list[float]:
    """P(toxic) of each dialogue's most toxic turn; equal turns are scored once."""
    rows = [turns(dialogue.text) for dialogue in dialogues]
    texts = sorted({turn for row in rows for turn in row})
    scores = dict(zip(texts, map(float, scorer(texts)), strict=True))
    return [max(scores[turn] for turn in row) for row in rows]


def risky(toxicity: Iterable[float]) -> int:
    """How many of the dialogues have something that a summary could repeat."""
    return sum(each >= RISKY for each in toxicity)


class Risk(NamedTuple):
    """What the ranking says of a dialogue."""

    toxicity: float
    held_out: bool  # kept from PPO, for the evaluation

    @property
    def risky(self) -> bool:
        """Whether there is something that a summary could repeat."""
        return self.toxicity >= RISKY


CALM = Risk(0.0, False)


def ranked(
    dialogues: Sequence[Dialogue], toxicity: Sequence[float], hold_out: float | None
) -> list[dict[str, str | float | bool]]:
    """`id`, `toxicity` (six decimals) and `held_out` a row, the most toxic first, ties by id.

    hold_out: the share of the risky ones that is held out, evenly spaced in this order; None: nothing.
    """
    rows = sorted(zip(toxicity, dialogues, strict=True), key=lambda pair: (-pair[0], pair[1].id))
    risky = [dialogue for value, dialogue in rows if value >= RISKY]
    kept = {dialogue.id for dialogue in evenly(risky, round((hold_out or 0.0) * len(risky)))}
    return [{"id": each.id, "toxicity": round(value, 6), "held_out": each.id in kept} for value, each in rows]


def read(path: Path, dialogues: Sequence[Dialogue]) -> list[Risk]:
    """What the ranking says of each dialogue; one that was not ranked counts as calm.

    Raises InputError if the file is not of these dialogues.
    """
    found: dict[Any, tuple[Any, Any]] = {
        row.get("id"): (row.get("toxicity"), row.get("held_out")) for row in parsing.read_jsonl(path)
    }
    if not found.keys() <= {each.id for each in dialogues} or not all(
        isinstance(value, float) and isinstance(held_out, bool) for value, held_out in found.values()
    ):
        raise InputError(f"{path} is not of these dialogues: run 'dvc repro rank_dialogues'")
    return [Risk(*found[dialogue.id]) if dialogue.id in found else CALM for dialogue in dialogues]


def parted(path: Path, dialogues: Sequence[Dialogue]) -> tuple[list[Dialogue], list[bool], list[Dialogue]]:
    """The dialogues that PPO trains on, which of them are risky, and those that are held out from it; as `read`."""
    told = list(zip(dialogues, read(path, dialogues), strict=True))
    used = [(dialogue, each.risky) for dialogue, each in told if not each.held_out]
    held_out = [dialogue for dialogue, each in told if each.held_out]
    return [dialogue for dialogue, _ in used], [risky for _, risky in used], held_out
