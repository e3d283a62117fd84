"""Dialogues → summaries: the most probable one, and draws at temperature 1; and which dialogues are hard."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from transformers import LogitsProcessor

from detox.corpus.dialogues import Dialogue
from detox.model import prompts
from detox.model.policy import Policy
from detox.model.sampling import seed_of
from detox.runtime import memory, progress, ranks

SAMPLES, STRESS_SAMPLES = 3, 4  # what a seed is for: beside trainer.py's kinds


class Writer(NamedTuple):
    """Who writes summaries, how many at once, and how much is read and written for one."""

    policy: Policy
    prompt: prompts.Prompt
    batch_size: int
    max_new_tokens: int


def draw(
    writer: Writer,
    dialogues: Sequence[str],
    keys: Sequence[tuple[int, ...] | None],
    done: Mapping[int, list[str]],
    constraint: LogitsProcessor | None = None,
) -> Iterator[dict[int, list[str]]]:
    """One summary of each dialogue for each key: of dialogue i a sample that depends on (key, i) alone.

    For None it is the most probable summary, token by token. All summaries of a dialogue share its encoding. Yields
    batches, summaries by the dialogue's number, without those that are in `done` already. Ranks share each batch, so
    that a run which goes on in more or fewer of them has the same batches. Where memory runs out it goes on with fewer
    dialogues at once; raises InputError if a single one does not fit.
    """

    def summarised(rows: list[int]) -> dict[int, list[str]]:
        seeds = [None if key is None else seed_of(*key, row) for row in rows for key in keys]
        encoded = writer.prompt.encode([dialogues[row] for row in rows], writer.policy.device)
        sample = writer.policy.sample(*encoded, seeds, writer.max_new_tokens, constraint)
        decoded = prompts.decode(writer.prompt.tokenizer, sample.ids, sample.mask)
        return {row: decoded[place * len(keys) : (place + 1) * len(keys)] for place, row in enumerate(rows)}

    batches = by_length(dialogues, max(1, writer.batch_size // len(keys)), f"Summaries, {len(keys)} a dialogue")
    shares = (ranks.dealt(rows) for rows in batches if not done.keys() >= set(rows))
    each = f"{len(keys)} summaries of one dialogue: lower summarize.max_new_tokens or model.max_prompt_tokens"
    for drawn in memory.in_parts(summarised, shares, each):
        yield united(drawn)


def are_drawn(found: object, dialogues: int, texts: int) -> bool:
    """Whether this, read from a file, is a list of pairs: a dialogue's number, and so many texts of it."""
    return isinstance(found, list) and all(
        isinstance(row, list)
        and len(row) == 2
        and type(row[0]) is int
        and 0 <= row[0] < dialogues
        and isinstance(row[1], list)
        and len(row[1]) == texts
        and all(isinstance(text, str) for text in row[1])
        for row in found
    )


def united(drawn: dict[int, list[str]]) -> dict[int, list[str]]:
    """What all ranks have drawn, the same in each."""
    parts = ranks.gathered(json.dumps(list(drawn.items())).encode())
    return {row: texts for part in parts for row, texts in json.loads(part)}


def in_order(batches: Iterable[Mapping[int, list[str]]]) -> list[list[str]]:
    """The summaries of each dialogue, in the order of the dialogues."""
    texts = {row: drawn for batch in batches for row, drawn in batch.items()}
    return [texts[row] for row in sorted(texts)]


def keys(seed: int, kind: int, count: int) -> list[tuple[int, ...]]:
    """Of `count` draws of one kind."""
    return [(seed, kind, number) for number in range(count)]


def rows(
    dialogues: Sequence[Dialogue], drawn: Sequence[Sequence[str]], samples: int
) -> list[dict[str, str | list[str]]]:
    """Lines of data/summaries/<policy>.jsonl: of each dialogue the most probable summary, then its samples."""
    return [
        {"id": dialogue.id, "group": dialogue.group, "summary": texts[0], "samples": list(texts[1 : 1 + samples])}
        for dialogue, texts in zip(dialogues, drawn, strict=True)
    ]


def by_length(texts: Sequence[str], batch_size: int, title: str) -> Iterator[list[int]]:
    """Batches of row numbers, texts of similar length together so that little is padding, under a progress bar."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    for start in progress.followed(range(0, len(order), batch_size), title, "batch"):
        yield order[start : start + batch_size]


def most_toxic(
    ids: Sequence[str], toxicity: Sequence[float], share: float, minimum: int
) -> list[dict[str, str | float]]:
    """The stress slice, `id` and `toxicity` a row: the max(minimum, share) most toxic dialogues, ties by id."""
    count = min(len(ids), max(minimum, round(share * len(ids))))
    ranked = sorted(zip(toxicity, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))
    return [{"id": dialogue_id, "toxicity": round(value, 6)} for value, dialogue_id in ranked[:count]]
