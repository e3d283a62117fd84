"""Train the adapter with PPO against the toxicity reward; an interrupted run is taken up again.

Reads  data/prepared/train.jsonl, models/adapter, the base and the reward model; params: seed, model, reward, ppo.
Writes models/ppo, models/snapshots, metrics/train.json, metrics/train.csv; until then its state, to .resume/train_ppo.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from stages import note_cut, run_in_ranks

if TYPE_CHECKING:
    from detox.model.policy import Policy
    from detox.params import sections
    from detox.ppo.state import TrainState

TRAIN, ADAPTER = Path("data/prepared/train.jsonl"), Path("models/adapter")


def main() -> None:
    from tqdm import tqdm

    from detox.corpus import dialogues
    from detox.model import adapters, prompts
    from detox.model.classifier import Classifier
    from detox.model.policy import POLICY, Policy
    from detox.params import reading, sections
    from detox.ppo import divergence, trainer
    from detox.ppo.rollouts import Models
    from detox.ppo.state import TrainState
    from detox.runtime import checkpoints, devices, memory, ranks
    from detox.sources import local

    p, model, seed, device = reading.load(sections.Ppo), reading.load(sections.Model), reading.seed(), devices.chosen()
    model.check_micro_batch(p)
    base, judged = local.path(model.source), reading.load(sections.Classifier, section="reward")
    policy, reward = Policy(base, ADAPTER, model.dtype, device), Classifier(judged, device)
    prompt, texts = prompts.load(base, model), [dialogue.text for dialogue in dialogues.load(TRAIN)]
    note_cut(cut := sum(prompt.too_long(texts)), len(texts), model.max_prompt_tokens)
    models = Models(policy, reward, prompt)
    state, inputs = TrainState(policy, p), [TRAIN, ADAPTER, base, local.path(judged.source)]
    with checkpoints.resumable(
        "train_ppo", [seed, model, judged, p, devices.name(device)], inputs, p.checkpoint_every
    ) as unfinished:
        if unfinished.state:
            state.restore(unfinished.state)
        steps = memory.sparing(lambda p: trainer.train(models, texts, p, seed, state), p, state)
        progress = tqdm(steps, total=p.steps, initial=state.step, desc="PPO", mininterval=1)
        try:
            for row in progress:
                progress.set_postfix(reward=f"{row.reward:.2f}", kl=f"{row.kl:z.2f}")
                if row.step % p.snapshot_every == 0:
                    state.snapshots[row.step] = adapters.weights(policy.language_model, POLICY)
                unfinished.keep(state.freeze())
        except divergence.Diverged as error:
            raise divergence.report(error, state.step + 1, unfinished.area / "diverged", prompt.tokenizer) from error
        if ranks.rank() == 0:
            publish(policy, state, p, cut)


def publish(policy: "Policy", state: "TrainState", p: "sections.Ppo", cut: int) -> None:
    """All that the stage writes."""
    import pandas

    from detox import files
    from detox.model import adapters
    from detox.ppo import stats

    # First, because a run that diverged has numbers which are refused: then the earlier adapter stays.
    summary = policy.sizes() | stats.summary(state.rows, p.batch_size) | {"prompts_cut": cut}
    files.write_metrics(Path("metrics/train.json"), summary, exact=("kl_first", "ratio_error_first"))
    files.write_csv(Path("metrics/train.csv"), pandas.DataFrame(state.rows).drop(columns="ratio_error"))
    with files.atomic(Path("models/snapshots")) as folder:
        folder.mkdir()
        for step, weights in state.snapshots.items():
            adapters.write(weights, ADAPTER, folder / f"step_{step:04d}")
    policy.interpolate(p.scale)
    with files.atomic(Path("models/ppo")) as folder:
        policy.save(folder)


if __name__ == "__main__":
    run_in_ranks(main)
