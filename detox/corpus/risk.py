"""How toxic the turns of a dialogue are: whether there is something that a summary could repeat."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from detox import parsing
from detox.corpus.dialogues import Dialogue, turns
from detox.errors import InputError

RISKY = 0.5  # P(toxic) from which a scorer rather calls a turn toxic

Scorer = Callable[[list[str]], Iterable[float]]  # texts → P(toxic) of each


def toxicity(dialogues: Sequence[Dialogue], scorer: Scorer) -> list[float]:
    """P(toxic) of each dialogue's most toxic turn; equal turns are scored once."""
    rows = [turns(dialogue.text) for dialogue in dialogues]
    texts = sorted({turn for row in rows for turn in row})
    scores = dict(zip(texts, map(float, scorer(texts)), strict=True))
    return [max(scores[turn] for turn in row) for row in rows]


def ranked(dialogues: Sequence[Dialogue], toxicity: Sequence[float]) -> list[dict[str, str | float]]:
    """`id` and `toxicity` a row, six decimals, the most toxic first, ties by id."""
    rows = sorted(zip(toxicity, dialogues, strict=True), key=lambda pair: (-pair[0], pair[1].id))
    return [{"id": dialogue.id, "toxicity": round(value, 6)} for value, dialogue in rows]


def read(path: Path, dialogues: Sequence[Dialogue]) -> list[bool]:
    """Which of the dialogues are risky, as far as they were ranked; the others count as calm.

    Raises InputError if the file is not of these dialogues.
    """
    found: dict[Any, Any] = {row.get("id"): row.get("toxicity") for row in parsing.read_jsonl(path)}
    if not found.keys() <= {each.id for each in dialogues} or not all(
        isinstance(each, float) for each in found.values()
    ):
        raise InputError(f"{path} is not of these dialogues: run 'dvc repro rank_dialogues'")
    return [found.get(dialogue.id, 0.0) >= RISKY for dialogue in dialogues]
