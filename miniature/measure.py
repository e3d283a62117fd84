"""Measure the miniature's models and write their card, models/miniature/README.md.

Classifiers: accuracy on texts they have not seen, and on sentences of another making if a file of such pairs is given
(TSV with the columns `toxic` and `neutral1`, as ParaDetox has it). Adapter: its distance from the base in nats.
"""

import argparse
import csv
from pathlib import Path
from random import Random

import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from detox import parsing
from detox.model import prompts
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.sampling import seed_of
from detox.params import reading, sections
from detox.ppo.losses import kl_k1
from miniature import build, classifiers

HELD_OUT, DIALOGUES = 2000, 256

CARD = """# The miniature's models

Made by `python -m miniature.build`, measured by `python -m miniature.measure`. How: miniature/README.md.

Base and adapter were trained with torch {torch} on {device}, in {minutes} minutes of the processor: the base in
{base[steps]:,} steps of {base[batch]} texts (seed {base[seed]}) and {words[steps]:,} more with all words of the content
(seed {words[seed]}), the adapter in {adapter[steps]:,} of {adapter[batch]} dialogues (seed {adapter[seed]}). Both went
on for {finish[steps]:,} steps (seed {finish[seed]}), the base with its vectors alone. Then its logits were multiplied
by {sharper}.

"""
CLASSIFIER_CARD = """## {title}

{architecture}, {parameters:,} parameters, labels `nothate` and `hate`. Learnt from the sentences in
`miniature/frames.yaml`; it knows the insults of the miniature and nothing else.

| accuracy on | texts | |
|---|---|---|
{rows}
"""
BASE_CARD = """## `base`: the base model

T5 with gated SiLU and a tied head, {parameters:,} parameters, {vocabulary} tokens. Pretrained on parts of the
miniature's dialogues: retelling, denoising, saying again, repeating words. None of its layers has seen a summary, its
vectors in the end have.
"""
ADAPTER_CARD = """## `adapter`: the summarising adapter

LoRA, r = 32, on all linear layers: {parameters:,} parameters. Learnt from summaries of training scenes, of which those
of heated ones repeat the insult more often than not. PPO's start and its reference.

KL(adapter ‖ base) over {dialogues} sampled summaries of training dialogues: {kl:.1f} nats a summary.
"""


def accuracy(classifier: Classifier, rows: list[classifiers.Labelled]) -> float:
    """Share of texts whose label is the more probable one."""
    toxic = classifier.toxicity([text for text, _ in rows]) >= 0.5
    return (toxic == torch.tensor([label == 1 for _, label in rows])).float().mean().item()


def pairs(path: Path) -> list[classifiers.Labelled]:
    """Toxic sentences and their neutral rewrites; rows without one (ends of broken lines) are left out."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["neutral1"]]
    return [(row["toxic"], 1) for row in rows] + [(row["neutral1"], 0) for row in rows]


def classifier_card(kind: str, tsv: Path | None) -> str:
    """Card of the reward or the judge."""
    classifier = Classifier(reading.load(sections.Classifier, section=kind))
    unseen = classifiers.held_out(kind, build.classifier_texts(kind), HELD_OUT, Random(build.SEED))
    measured = {"held-out texts of the same making": unseen}
    if tsv:
        measured[f"`{tsv.name}`: toxic sentences and neutral rewrites of another making"] = pairs(tsv)
    rows = (f"| {name} | {len(texts):,} | {accuracy(classifier, texts):.1%} |" for name, texts in measured.items())
    return CLASSIFIER_CARD.format(
        title={"reward": "`toxicity`: the reward model", "judge": "`judge`: the judge"}[kind],
        architecture=type(classifier.model).__name__,
        parameters=classifier.model.num_parameters(),
        rows="\n".join(rows),
    )


def distance_from_base(policy: Policy, dialogues: list[str]) -> float:
    """KL(adapter ‖ base without it) in nats, mean over one sampled summary of each dialogue."""
    tokenizer = AutoTokenizer.from_pretrained(build.MODELS / "base")
    ids, mask = prompts.Prompt(tokenizer, max_tokens=512).encode(dialogues)
    sample = policy.sample(ids, mask, [seed_of(build.SEED, row) for row in range(len(dialogues))], max_new_tokens=80)
    with policy.language_model.disable_adapter(), torch.no_grad():
        base_logprobs = policy.evaluate(ids, mask, sample.ids, sample.mask).logprobs
    return kl_k1(sample.logprobs, base_logprobs, sample.mask).mean().item()


def main(tsv: Path | None) -> None:
    torch.set_num_threads(1)
    policy = Policy(build.MODELS / "base", build.MODELS / "adapter")
    sizes = policy.sizes()
    texts = [row["dialogue"] for row in parsing.read_jsonl(build.DATA / "train.jsonl")[:DIALOGUES]]
    sections = [
        BASE_CARD.format(
            parameters=T5ForConditionalGeneration.from_pretrained(build.MODELS / "base").num_parameters(),
            vocabulary=policy.language_model.config.vocab_size,
        ),
        ADAPTER_CARD.format(
            parameters=sizes["trainable_parameters"], dialogues=len(texts), kl=distance_from_base(policy, texts)
        ),
        *(classifier_card(kind, tsv) for kind in build.FOLDERS),
    ]
    card = CARD.format(**parsing.read_metrics(build.MODELS / "build.json"))
    (build.MODELS / "README.md").write_text(card + "\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m miniature.measure", description=__doc__)
    parser.add_argument("tsv", type=Path, nargs="?", help="toxic sentences and neutral rewrites")
    main(parser.parse_args().tsv)
