"""What PPO is up against: summaries of the systems that a critic would ask for, on some of the test dialogues.

The adapter at shares of the way from before to after PPO, and at each snapshot; the base without an adapter; the
adapter before PPO with a list of words forbidden while decoding; a pool of its samples, from which the best can be
picked. All draw with the same seeds, so that a difference is the system's and not the draw's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from peft import set_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor
from transformers import LogitsProcessor, NoBadWordsLogitsProcessor, PreTrainedTokenizerBase

from detox import parsing
from detox.corpus.dialogues import Dialogue
from detox.generation import summaries
from detox.generation.summaries import Writer
from detox.model import adapters
from detox.model.policy import POLICY, Policy
from detox.params import sections

SAMPLES = 5  # what a seed is for: beside trainer.py's and summaries.py's kinds

Weights = Mapping[str, Tensor]


def draw(
    writer: Writer,
    dialogues: Sequence[Dialogue],
    systems: Iterable[tuple[str, Weights]],
    p: sections.Rivals,
    samples: int,
    seed: int,
) -> dict[str, list[dict[str, object]]]:
    """Lines of data/rivals/<system>.jsonl by system, so many samples of each but the pool.

    The writer's policy comes with the adapter before PPO, and loses it.
    """
    texts = [dialogue.text for dialogue in dialogues]
    clean = word_filter(writer.prompt.tokenizer, parsing.entries(Path(p.bad_words), "rivals.bad_words"))
    pool = summaries.keys(seed, SAMPLES, p.pool)
    usual = [None, *pool[:samples]]

    def summarised(
        keys: Sequence[tuple[int, ...] | None], constraint: LogitsProcessor | None = None
    ) -> list[list[str]]:
        return summaries.in_order(summaries.draw(writer, texts, keys, {}, constraint))

    drawn = {
        "pool": rows(dialogues, summarised(pool), greedy=False),
        "filter": rows(dialogues, summarised(usual, clean), greedy=True),
    }
    for name, weights in systems:
        put(writer.policy, weights)
        drawn[name] = rows(dialogues, summarised(usual), greedy=True)
    return drawn


def adapter_systems(start: Path, end: Path, snapshots: Path, scales: Sequence[float]) -> Iterator[tuple[str, Weights]]:
    """Name and adapter weights of the systems that differ in these alone: base, scale_<share>, step_<number>."""
    before, after = adapters.tensors(start), adapters.tensors(end)
    yield "base", {name: torch.zeros_like(weight) for name, weight in before.items()}
    for scale in scales:
        yield f"scale_{scale:g}", between(before, after, scale)
    for folder in sorted(snapshots.iterdir()):
        yield folder.name, adapters.tensors(folder)


def between(before: Weights, after: Weights, scale: float) -> dict[str, Tensor]:
    """before + scale · (after − before), weight by weight."""
    return {name: torch.lerp(weight.float(), after[name].float(), scale) for name, weight in before.items()}


def save_scaled(start: Path, end: Path, scale: float, folder: Path) -> None:
    """The adapter that lies at a share of the way from `start` to `end`, as PeftModel.from_pretrained reads it."""
    adapters.copy(end, folder)
    weights = between(adapters.tensors(start), adapters.tensors(end), scale)
    save_file(weights, folder / adapters.WEIGHTS)


def put(policy: Policy, weights: Weights) -> None:
    """Gives the policy these adapter weights; its reference stays as it was."""
    set_peft_model_state_dict(policy.language_model, dict(weights), adapter_name=POLICY)


def word_filter(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> NoBadWordsLogitsProcessor:
    """Leaves no probability to the token that would complete a word: transformers' own `bad_words_ids`."""
    forbidden = tokenizer(list(words), add_special_tokens=False)["input_ids"]
    return NoBadWordsLogitsProcessor(forbidden, tokenizer.eos_token_id)


def rows(dialogues: Sequence[Dialogue], drawn: Sequence[Sequence[str]], greedy: bool) -> list[dict[str, object]]:
    """Lines of data/rivals/<system>.jsonl: samples, and the most probable summary where `greedy`: the first text."""
    return [
        {"id": dialogue.id, **({"summary": texts[0]} if greedy else {}), "samples": list(texts[greedy:])}
        for dialogue, texts in zip(dialogues, drawn, strict=True)
    ]
