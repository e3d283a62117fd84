"""Build the miniature from its hand-written content: the corpus and four small models.

Writes data/miniature/{train.jsonl,test.jsonl,facts.jsonl,insults.txt} and
models/miniature/{base,adapter,toxicity,judge}, on one machine always the same bytes. Needs no network
and no other data. The models' card with their measured figures: miniature/measure.py.
"""

import argparse
import json
import re
from pathlib import Path
from random import Random

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from detox import files
from detox.model import adapters
from miniature import classifiers, corpus, language_models
from miniature.grammar import insults
from miniature.pretraining import SEEN

DATA, MODELS = Path("data/miniature"), Path("models/miniature")
FOLDERS = {"reward": "toxicity", "judge": "judge"}
SEED, ADAPTER_SEED = 2026, 0
BASE_STEPS, ADAPTER_STEPS, CLASSIFIER_STEPS = 5500, 9000, 500
CLASSIFIER_TEXTS = 8000


def build_corpus() -> None:
    """Writes the corpus."""
    with files.atomic(DATA) as folder:
        files.write_jsonl(folder / "train.jsonl", corpus.train_rows(Random(1)))
        files.write_jsonl(folder / "test.jsonl", corpus.test_rows(Random(2)))
        files.write_jsonl(folder / "facts.jsonl", corpus.fact_rows(Random(2)))
        (folder / "insults.txt").write_text("\n".join(insults()) + "\n", encoding="utf-8")


def vocabulary_texts() -> list[str]:
    """What the vocabulary is made from: the language without its values, which are to be copied piece by piece."""
    turns = [phrasing for scenario in SEEN for turn in scenario["turns"] for phrasing in turn["train"]]
    turns = [re.sub(r"[\[\]|]", " ", phrasing) for phrasing in turns]
    return turns + [template for scenario in SEEN for template in scenario["summaries"] + scenario["notes"]]


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    """A model and its tokenizer in one folder."""
    with files.atomic(MODELS / name) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def save_adapter(model: PeftModel) -> None:
    """The adapter, naming its base by the path that params.yaml uses, and its layers in the order of the alphabet."""
    config = model.peft_config["default"]
    config.base_model_name_or_path = (MODELS / "base").as_posix()
    with files.atomic(MODELS / "adapter") as folder:
        model.save_pretrained(str(folder))
        saved = json.loads((folder / adapters.CONFIG).read_text(encoding="utf-8"))
        saved["target_modules"].sort()  # peft keeps them in a set, whose order changes from run to run
        (folder / adapters.CONFIG).write_text(json.dumps(saved, indent=2, sort_keys=True), encoding="utf-8")
        for path in folder.iterdir():
            if path.name not in (adapters.CONFIG, adapters.WEIGHTS):
                path.unlink()


def classifier_texts(kind: str) -> list[classifiers.Labelled]:
    """The training texts of the reward or the judge."""
    rng = Random(SEED + 10 + classifiers.KINDS.index(kind))
    return [classifiers.text(kind, rng) for _ in range(CLASSIFIER_TEXTS)]


def main() -> None:
    torch.set_num_threads(1)  # the number of threads decides the order of sums, and so the last bits
    build_corpus()
    for kind, folder in FOLDERS.items():
        model, tokenizer = classifiers.train(kind, classifier_texts(kind), CLASSIFIER_STEPS, SEED)
        save(model, tokenizer, folder)
    tokenizer = language_models.train_tokenizer(vocabulary_texts())
    base = language_models.pretrain(tokenizer, BASE_STEPS, SEED)
    save(base, tokenizer, "base")
    save_adapter(language_models.tune(base, tokenizer, ADAPTER_STEPS, ADAPTER_SEED))


if __name__ == "__main__":
    argparse.ArgumentParser("python -m miniature.build", description=__doc__).parse_args()
    main()
