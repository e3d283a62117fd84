"""Train the adapter with PPO against the toxicity reward.

Reads  data/prepared/train.jsonl, models/adapter, the base and the reward model; params: seed, model, reward, ppo.
Writes models/ppo, models/snapshots, metrics/train.json, metrics/train.csv.
"""

from pathlib import Path

from stages import run


def main() -> None:
    import pandas
    from tqdm import tqdm
    from transformers import AutoTokenizer

    from detox import dialogues, files, params, sources, train_stats, trainer
    from detox.policy import Policy
    from detox.rewards import Classifier

    p, model = params.load(params.Ppo), params.load(params.Model)
    base = sources.local(model.source)
    policy = Policy(base, Path("models/adapter"))
    reward = Classifier(params.load(params.Classifier, section="reward"))
    texts = [dialogue.text for dialogue in dialogues.load(Path("data/prepared/train.jsonl"))]
    steps = trainer.train(
        policy, reward, AutoTokenizer.from_pretrained(base), texts, model.max_prompt_tokens, p, params.seed()
    )
    rows = []
    with files.atomic(Path("models/snapshots")) as snapshots:
        snapshots.mkdir()
        for row in (progress := tqdm(steps, total=p.steps, desc="PPO", mininterval=1)):
            rows.append(row)
            progress.set_postfix(reward=f"{row.reward:.2f}", kl=f"{row.kl:.2f}")
            if row.step % p.snapshot_every == 0:
                policy.save_adapter(snapshots / f"step_{row.step:04d}")
    # First, because a run that diverged has numbers which are refused: then the earlier adapter stays.
    summary = policy.sizes() | train_stats.summary(rows, p.batch_size)
    files.write_metrics(Path("metrics/train.json"), summary, exact=("kl_first", "ratio_error_first"))
    files.write_csv(Path("metrics/train.csv"), pandas.DataFrame(rows).drop(columns="ratio_error"))
    policy.interpolate(p.scale)
    with files.atomic(Path("models/ppo")) as folder:
        policy.save(folder)


if __name__ == "__main__":
    run(main)
