"""The trained summariser as one plain transformers model, for serving it elsewhere."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from detox import files
from detox.corpus import dialogues
from detox.errors import InputError
from detox.generation import rivals
from detox.model import adapters, pretrained, prompts
from detox.params.sections import Model
from detox.serving.api import ADAPTERS, AFTER, adapted, base_model, greedy, made, max_new_tokens

CHECKED = 8  # dialogues whose summaries the merged model must give again
TEST = Path("data/prepared/test.jsonl")
CARD = """A summariser of dialogues, its toxicity lowered by PPO; the adapter is merged into the base. Its prompt:

```
{prompt}
```
"""


def merge(folder: Path, scale: float = 1.0) -> int:
    """Writes a new folder with the summariser as a plain transformers model, which needs neither peft nor this project.

    The adapter is added into the base at a share of the way that PPO has led it: 0 is before PPO, 1 models/ppo, as in
    metrics/tradeoff.csv. Returns of how many test dialogues the model as it was saved has been found to give the
    adapter's own summaries. Raises InputError, having written nothing, if it does not, or if the folder exists.
    """
    if not math.isfinite(scale):
        raise InputError(f"the scale is {scale}: give a number such as 1.0")
    if folder.exists():
        raise InputError(f"{folder} exists already: remove it or choose another name")
    base, p = base_model()
    texts = [dialogue.text for dialogue in dialogues.evenly(dialogues.load(TEST), CHECKED)]
    before, after = made(ADAPTERS).values()
    with tempfile.TemporaryDirectory() as scratch, files.atomic(folder) as new:
        scaled = Path(scratch, "adapter")
        with adapters.still(before), adapters.still(after):
            for each in (before, after):
                adapters.check(each, base)
            rivals.save_scaled(before, after, scale, scaled)
        plain, prompt, length = pretrained.model(AutoModelForSeq2SeqLM, base), prompts.load(base, p), max_new_tokens()
        model = adapted(plain, base, {AFTER: scaled})
        wanted = greedy(model, prompt, texts, length)
        _save(model.merge_and_unload(safe_merge=True), prompt, length, new)
        check(new, p, texts, wanted, scale, length)
    return len(texts)


def check(folder: Path, p: Model, texts: Sequence[str], wanted: Sequence[str], scale: float, length: int) -> None:
    """Raises InputError unless the model in the folder, read back, gives these summaries of so many tokens."""
    model, prompt = pretrained.model(AutoModelForSeq2SeqLM, folder), prompts.load(folder, p)
    if greedy(model, prompt, texts, length) != wanted:
        raise InputError(f"merged at {scale:g} the model says something else than its adapter: try another scale")


def _save(model: PreTrainedModel, prompt: prompts.Prompt, length: int, folder: Path) -> None:
    model.generation_config.max_new_tokens = length  # else `generate` would cut every summary short
    model.save_pretrained(folder)
    prompt.tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(CARD.format(prompt=prompt.text), encoding="utf-8", newline="\n")
