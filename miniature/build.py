"""Build the miniature from its hand-written content: the corpus and four small models.

Writes data/miniature/{train.jsonl,test.jsonl,facts.jsonl,insults.txt,words.txt} and
models/miniature/{base,adapter,toxicity,judge}, on one machine always the same bytes; and models/miniature/build.json:
how long it took. Needs no network and no other data. Goes on where it stopped. The models' card with their measured
figures: miniature/measure.py.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from detox import files
from detox.model import adapters
from miniature import architecture, classifiers, corpus, language_models, vocabulary
from miniature.pretraining import SEEN, retold
from miniature.quarrels import insults
from miniature.scenes import render, styles, summarize, tones
from miniature.training import Plan

DATA, MODELS, STATES = Path("data/miniature"), Path("models/miniature"), Path(".resume/miniature")
FOLDERS = {"reward": "toxicity", "judge": "judge"}
SEED = 2026
BASE = Plan(steps=7000, batch=32, learning_rate=2e-2, seed=2026)
WORDS = Plan(steps=1500, batch=32, learning_rate=1e-2, seed=2027)
ADAPTER = Plan(steps=2000, batch=16, learning_rate=4e-3, seed=0)
FINISH = Plan(steps=3000, batch=16, learning_rate=1e-2, seed=1)
SHARPER = 1.4  # how many times the logits in the end are those that were trained
CLASSIFIER = Plan(steps=900, batch=48, learning_rate=2e-3, seed=2026)
CLASSIFIER_TEXTS = 12000
VOCABULARY_SCENES = 4000


def build_corpus() -> None:
    """Writes the corpus."""
    train, test = corpus.train_rows(Random(1)), corpus.test_rows(Random(2))
    with files.atomic(DATA) as folder:
        files.write_jsonl(folder / "train.jsonl", train)
        files.write_jsonl(folder / "test.jsonl", test)
        files.write_jsonl(folder / "facts.jsonl", corpus.fact_rows(Random(2)))
        files.write_lines(folder / "insults.txt", (f"{word}\n" for word in insults()))
        files.write_lines(folder / "words.txt", (f"{word}\n" for word in corpus.words(train + test)))


def vocabulary_texts() -> Iterator[str]:
    """What the vocabulary is made from: training dialogues, their retelling and their summaries."""
    rng = Random(SEED)
    for number in range(VOCABULARY_SCENES):
        scene = render(SEEN[number % len(SEEN)], "train", rng)
        yield scene.text
        yield from (summarize(scene, style, tone) for style in styles(scene) for tone in tones(scene))
        yield from (retold(scene, turn, style, rng) for turn in range(len(scene.turns)) for style in (0, 1))


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    """A model and its tokenizer in one folder; of how the tokenizer was called last, nothing stays."""
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
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


def build_classifiers() -> None:
    """Trains the reward and the judge."""
    for kind, folder in FOLDERS.items():
        model, tokenizer = classifiers.train(kind, classifier_texts(kind), CLASSIFIER, STATES / f"{kind}.safetensors")
        save(model, tokenizer, folder)


def build_language_models(device: torch.device) -> None:
    """Trains the base and its adapter. Their states are those of their vocabulary."""
    first = vocabulary.tokenizer_of(vocabulary.pieces(list(vocabulary_texts())))
    tokenizer = vocabulary.with_words(first)
    early, late = states(first), states(tokenizer)  # before they are used: a tokenizer keeps how it was called last
    words = vocabulary.practice(first, tokenizer)
    base, seconds = language_models.pretrain(first, BASE, early / "base.safetensors", device)
    base = architecture.with_vectors(base, first, tokenizer)
    base, more = language_models.learn_words(base, tokenizer, words, WORDS, late / "base.safetensors")
    adapter, rest = language_models.tune(base, tokenizer, words, ADAPTER, late / "adapter.safetensors")
    wider = vocabulary.with_capitals(tokenizer)
    architecture.with_vectors(adapter.get_base_model(), tokenizer, wider)
    last = language_models.finish(adapter, wider, words, FINISH, states(wider) / "adapter.safetensors")
    save_adapter(adapter.cpu())
    save(architecture.sharpened(adapter.unload(), SHARPER).half(), wider, "base")
    minutes = round((seconds + more + rest + last) / 60)
    made = {"sharper": SHARPER, "device": device.type, "torch": torch.__version__.split("+")[0], "minutes": minutes}
    plans = {"base": BASE, "words": WORDS, "adapter": ADAPTER, "finish": FINISH}
    files.write_metrics(MODELS / "build.json", made | {name: plan._asdict() for name, plan in plans.items()})


def states(tokenizer: PreTrainedTokenizerFast) -> Path:
    """Where the states of models with this vocabulary are."""
    return STATES / hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:8]


def main(device: str) -> None:
    torch.set_num_threads(1)  # the number of threads decides the order of sums, and so the last bits
    build_corpus()
    build_classifiers()
    build_language_models(torch.device(device))


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m miniature.build", description=__doc__)
    parser.add_argument("--device", default="cpu", help="where the language models are trained, such as cuda")
    main(parser.parse_args().device)
