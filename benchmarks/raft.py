"""RAFT beside PPO: tuning on the best of k samples, at the same number of episodes. `python -m benchmarks.raft RATE`.

Each step draws what PPO draws: the same dialogues, k samples of each, the same scores. RAFT (Dong et al. 2023, arXiv
2304.06767) keeps each dialogue's best sample and takes one step up its likelihood, with the learning rate RATE; PPO
learns from all of them. To be run after `make repro`, on the same parameters.

Reads  what train_ppo, summarize and evaluate read, and data/summaries/ppo.jsonl.
Writes benchmarks/raft.json: toxicity and quality of the test dialogues' summaries by both, and the change from RAFT to
       PPO with its interval.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from detox import files, parsing
from detox.corpus import dialogues, risk
from detox.corpus.dialogues import Dialogue
from detox.evaluation import comparison, metrics
from detox.generation import summaries
from detox.model import prompts
from detox.model.classifier import Classifier
from detox.model.policy import Policy
from detox.model.sampling import seed_of
from detox.params import reading, sections, training
from detox.ppo import trainer
from detox.ppo.batches import batches
from detox.ppo.rollouts import Models, Rollout, collect
from detox.sources import local
from stages import evaluate, said_in_lines, summarize, train_ppo

RESULT = Path("benchmarks/raft.json")


class Best(NamedTuple):
    """The best sample of each prompt, one to a row."""

    prompt_ids: torch.Tensor
    prompt_mask: torch.Tensor
    response_ids: torch.Tensor
    response_mask: torch.Tensor


def best(rollout: Rollout) -> Best:
    """The sample of the highest score of each prompt; of equal ones the first."""
    winners = rollout.scores.view(-1, rollout.k).argmax(1) + torch.arange(len(rollout.prompt_ids)) * rollout.k
    return Best(rollout.prompt_ids, rollout.prompt_mask, rollout.response_ids[winners], rollout.response_mask[winners])


def train(models: Models, train: list[Dialogue], risky: list[bool], p: training.Ppo, rate: float, seed: int) -> None:
    """Moves the policy's adapter."""
    policy, k = models.policy, p.samples_per_prompt
    weights = list(policy.adapter_parameters())
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    todo = batches(risky, p.batch_size // k, p.risky_share, seed)
    for step, batch in zip(tqdm(range(1, p.steps + 1), desc="RAFT"), todo, strict=False):
        seeds = [seed_of(seed, trainer.EPISODES, step, place) for place in range(p.batch_size)]
        texts, marks = [train[number].text for number in batch], [risky[number] for number in batch]
        chosen = best(collect(models, texts, marks, seeds, p))
        optimizer.zero_grad()
        for rows in torch.arange(len(texts)).split(p.micro_batch_size):
            part = Best(*(tensor[rows] for tensor in chosen))
            (-policy.evaluate(*part).logprobs[part.response_mask].sum() / chosen.response_mask.sum()).backward()
        torch.nn.utils.clip_grad_norm_(weights, p.max_grad_norm)
        optimizer.step()


def compared(models: Models, p: sections.Summarize, seed: int) -> dict[str, object]:
    """RAFT's summaries of the test dialogues against PPO's, which are on disk."""
    test = dialogues.load(summarize.TEST)
    writer = summaries.Writer(models.policy, models.prompt, p.batch_size, p.max_new_tokens)
    keys = [None, *summaries.keys(seed, summaries.SAMPLES, p.samples)]
    drawn = summaries.in_order(summaries.draw(writer, [dialogue.text for dialogue in test], keys, {}))
    rows = {
        "sft": summaries.rows(test, drawn, p.samples),  # what PPO is compared with
        "ppo": parsing.read_jsonl(evaluate.SUMMARIES / "ppo.jsonl"),
    }
    by = evaluate.instruments(test, dialogues.load(summarize.TRAIN))
    scores = {name: metrics.score_rows(test, each, by) for name, each in rows.items()}
    groups, settings = [dialogue.group for dialogue in test], reading.load(sections.Evaluate)
    result = comparison.compare_slice("all", np.ones(len(test), dtype=bool), groups, scores, settings, seed)
    return {"raft": result["sft"], "ppo": result["ppo"], "change": result["change"]}


def main(rate: float) -> None:
    p, model, seed = reading.load(training.Ppo), reading.load(sections.Model), reading.seed()
    base, judged = local.path(model.source), reading.load(sections.Classifier, section="reward")
    policy = Policy(base, train_ppo.ADAPTER, model.dtype)
    models = Models(policy, Classifier(judged), prompts.load(base, model))
    used, risky, _ = risk.parted(train_ppo.RISK, dialogues.load(train_ppo.TRAIN))
    train(models, used, risky, p, rate, seed)
    result = compared(models, reading.load(sections.Summarize), seed)
    files.write_metrics(RESULT, {"learning_rate": rate, "episodes": p.steps * p.batch_size, **result})


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m benchmarks.raft", description=__doc__)
    parser.add_argument("rate", type=float, help="learning rate of RAFT, to be chosen on another part than the test")
    with said_in_lines():
        main(parser.parse_args().rate)
