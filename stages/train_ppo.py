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
    from collections.abc import Callable, Iterator

    from transformers import PreTrainedTokenizerBase

    from detox.corpus.dialogues import Dialogue
    from detox.model.policy import Policy
    from detox.ppo.looks import Look
    from detox.ppo.state import TrainState
    from detox.ppo.stats import StepStats
    from detox.runtime.checkpoints import Run

WATCHED = 3  # dialogues that are summarised at each snapshot
TRAIN, RISK, ADAPTER = Path("data/prepared/train.jsonl"), Path("data/risk.jsonl"), Path("models/adapter")


def main() -> None:
    from detox.corpus import dialogues, risk
    from detox.model import prompts
    from detox.model.classifier import Classifier
    from detox.model.policy import Policy
    from detox.params import reading, sections, training
    from detox.ppo import looks, trainer
    from detox.ppo.rollouts import Models
    from detox.ppo.state import TrainState
    from detox.runtime import checkpoints, devices, memory, ranks, trackers, tracking
    from detox.sources import local

    p, model, seed = reading.load(training.Ppo), reading.load(sections.Model), reading.seed()
    judged, wanted = reading.load(sections.Classifier, section="reward"), trackers.wanted()
    device, base = devices.chosen(), local.path(model.source)
    policy = Policy(base, ADAPTER, model.dtype, device)
    models = Models(policy, Classifier(judged, device), prompts.load(base, model))
    train, risky, _ = risk.parted(RISK, dialogues.load(TRAIN))
    texts, state = [dialogue.text for dialogue in train], TrainState(policy, p)
    note_cut(cut := sum(models.prompt.too_long(texts)), len(texts), model.max_prompt_tokens)
    settings = [seed, model, judged, p, devices.name(device)]
    inputs = [TRAIN, RISK, ADAPTER, base, local.path(judged.source)]
    with checkpoints.resumable("train_ppo", settings, inputs, p.checkpoint_every, state.fits) as unfinished:
        look = partial(looks.look, models, to_watch(train, risky), p.max_new_tokens)
        recorded = partial(record, policy, state, p.batch_size, cut)
        begin(state, look, recorded, unfinished)
        steps = memory.sparing(lambda p: trainer.train(models, texts, risky, p, seed, state), p, state)
        run = wanted, f"ppo-{unfinished.area.name}", {"seed": seed, **asdict(p)}
        with tracking.tracked(*run) as told, reported(state, unfinished.area / "diverged", models.prompt.tokenizer):
            for row in shown(steps, p.steps, state.step):
                told(row.step, asdict(row))
                keep(state, look if row.step % p.snapshot_every == 0 else None, recorded, unfinished)
        if ranks.rank() == 0:
            publish(policy, state)


def begin(state: "TrainState", look: "Callable[[], Look]", recorded: "Callable[[], None]", unfinished: "Run") -> None:
    """From where an interrupted run stood, or with a first look."""
    if unfinished.state:
        state.restore(unfinished.state)
        recorded()
    else:
        state.looks["before"] = look()


def keep(
    state: "TrainState", look: "Callable[[], Look] | None", recorded: "Callable[[], None]", unfinished: "Run"
) -> None:
    """What a step leaves: a snapshot where there is to be a look, the curves, the state."""
    from detox.model import adapters
    from detox.model.policy import POLICY

    if look:
        state.snapshots[state.step] = adapters.weights(state.model, POLICY)
        state.looks[f"step_{state.step:04d}"] = look()
    recorded()
    unfinished.keep(state.freeze())


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


def record(policy: "Policy", state: "TrainState", batch_size: int, cut: int) -> None:
    """The curves so far, after every step: `dvc plots` and `dvc metrics` follow them while the stage runs."""
    import pandas

    from detox import files
    from detox.ppo import looks, stats
    from detox.runtime import ranks

    if ranks.rank() == 0:
        summary = policy.sizes() | stats.summary(state.rows, batch_size) | {"prompts_cut": cut}
        files.write_metrics(Path("metrics/train.json"), summary, exact=("kl_first", "ratio_error_first"))
        files.write_metrics(Path("metrics/samples.json"), looks.by_dialogue(state.looks))
        files.write_csv(Path("metrics/train.csv"), pandas.DataFrame(state.rows).drop(columns="ratio_error"))


def publish(policy: "Policy", state: "TrainState") -> None:
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
