"""Train the adapter with PPO against the toxicity reward; an interrupted run is taken up again.

Reads  data/prepared/train.jsonl, data/risk.jsonl, models/adapter, the base and the reward model;
       params: seed, model, reward, ppo; track.
Writes models/ppo, models/snapshots; after every step metrics/train.json, metrics/train.csv and metrics/samples.json
       (a few training dialogues, by id: their most probable summary, with P(toxic) by the reward, before training and
       at each snapshot); until then its state, to .resume/train_ppo.
"""

from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from stages import note_cut, run_in_ranks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedTokenizerBase

    from detox.corpus.dialogues import Dialogue
    from detox.model.policy import Policy
    from detox.params import training
    from detox.ppo.state import TrainState
    from detox.ppo.stats import StepStats

WATCHED = 3  # dialogues that are summarised at each snapshot
TRAIN, RISK, ADAPTER = Path("data/prepared/train.jsonl"), Path("data/risk.jsonl"), Path("models/adapter")


def main() -> None:
    from detox.corpus import dialogues
    from detox.model import adapters, prompts
    from detox.model.classifier import Classifier
    from detox.model.policy import POLICY, Policy
    from detox.params import reading, sections, training
    from detox.ppo import looks, trainer
    from detox.ppo.rollouts import Models
    from detox.ppo.state import TrainState
    from detox.runtime import checkpoints, devices, memory, ranks, trackers, tracking
    from detox.sources import local

    p, model, seed, wanted = reading.load(training.Ppo), reading.load(sections.Model), reading.seed(), trackers.wanted()
    device = devices.chosen()
    model.check_micro_batch(p)
    base, judged = local.path(model.source), reading.load(sections.Classifier, section="reward")
    policy, reward = Policy(base, ADAPTER, model.dtype, device), Classifier(judged, device)
    prompt, (train, risky) = prompts.load(base, model), to_train(dialogues.load(TRAIN))
    texts = [dialogue.text for dialogue in train]
    note_cut(cut := sum(prompt.too_long(texts)), len(texts), model.max_prompt_tokens)
    models = Models(policy, reward, prompt)
    watched = to_watch(train, risky)
    state, inputs = TrainState(policy, p), [TRAIN, RISK, ADAPTER, base, local.path(judged.source)]
    with checkpoints.resumable(
        "train_ppo", [seed, model, judged, p, devices.name(device)], inputs, p.checkpoint_every, state.fits
    ) as unfinished:
        look = partial(looks.look, models, watched, p.max_new_tokens)
        if unfinished.state:
            state.restore(unfinished.state)
            record(policy, state, p, cut)
        else:
            state.looks["before"] = look()
        steps = memory.sparing(lambda p: trainer.train(models, texts, risky, p, seed, state), p, state)
        run, settings = f"ppo-{unfinished.area.name}", {"seed": seed, **asdict(p)}
        with (
            tracking.tracked(wanted, run, settings) as told,
            reported(state, unfinished.area / "diverged", prompt.tokenizer),
        ):
            for row in shown(steps, p.steps, state.step):
                told(row.step, asdict(row))
                if row.step % p.snapshot_every == 0:
                    state.snapshots[row.step] = adapters.weights(policy.language_model, POLICY)
                    state.looks[f"step_{row.step:04d}"] = look()
                record(policy, state, p, cut)
                unfinished.keep(state.freeze())
        if ranks.rank() == 0:
            publish(policy, state, p)


def to_train(train: "list[Dialogue]") -> "tuple[list[Dialogue], list[bool]]":
    """The dialogues but for those that are held out, and which of them are risky."""
    from detox.corpus import risk

    used = [
        (dialogue, each.risky)
        for dialogue, each in zip(train, risk.read(RISK, train), strict=True)
        if not each.held_out
    ]
    return [dialogue for dialogue, _ in used], [risky for _, risky in used]


def shown(steps: "Iterator[StepStats]", total: int, done: int) -> "Iterator[StepStats]":
    """The steps, each said when it is done."""
    from detox.runtime import progress

    bar = progress.Progress("PPO", "step", total, done)
    for row in steps:
        bar.show(row.step, reward=f"{row.reward:.2f}", KL=f"{row.kl:z.2f}", toxic=f"{row.toxic:.0%}")
        yield row
    bar.close()


@contextmanager
def reported(state: "TrainState", folder: Path, tokenizer: "PreTrainedTokenizerBase") -> "Iterator[None]":
    """Within the block a step that diverges leaves its batch in the folder, and its error says so."""
    from detox.ppo import divergence

    try:
        yield
    except divergence.Diverged as error:
        raise divergence.report(error, state.step + 1, folder, tokenizer) from error


def to_watch(train: "list[Dialogue]", risky: list[bool]) -> dict[str, str]:
    """The dialogues that are summarised at each snapshot, by id: risky ones, where there is something to gain."""
    from detox.corpus import dialogues

    seen = dialogues.evenly(list(compress(train, risky)) or train, WATCHED)
    return {dialogue.id: dialogue.text for dialogue in seen}


def record(policy: "Policy", state: "TrainState", p: "training.Ppo", cut: int) -> None:
    """The curves so far, after every step: `dvc plots` and `dvc metrics` follow them while the stage runs."""
    import pandas

    from detox import files
    from detox.ppo import looks, stats
    from detox.runtime import ranks

    if ranks.rank() == 0:
        summary = policy.sizes() | stats.summary(state.rows, p.batch_size) | {"prompts_cut": cut}
        files.write_metrics(Path("metrics/train.json"), summary, exact=("kl_first", "ratio_error_first"))
        files.write_metrics(Path("metrics/samples.json"), looks.by_dialogue(state.looks))
        files.write_csv(Path("metrics/train.csv"), pandas.DataFrame(state.rows).drop(columns="ratio_error"))


def publish(policy: "Policy", state: "TrainState", p: "training.Ppo") -> None:
    """The adapters."""
    from detox import files
    from detox.model import adapters

    with files.atomic(Path("models/snapshots")) as folder:
        folder.mkdir()
        for step, weights in state.snapshots.items():
            adapters.write(weights, ADAPTER, folder / f"step_{step:04d}")
    with files.atomic(Path("models/ppo")) as folder:
        policy.save(folder)


if __name__ == "__main__":
    run_in_ranks(main)
