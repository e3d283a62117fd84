"""Summarise some of the test dialogues by what PPO is up against.

These are the base, a word filter, a pool of samples before PPO, and the adapter on its way.

Reads  data/prepared/test.jsonl, models/{adapter,ppo,snapshots}, the base, the list of bad words;
       params: seed, model, rivals, summarize.
Writes data/rivals/{base,filter,pool,scale_…,step_…}.jsonl (id, greedy summary if any, samples).
"""

from pathlib import Path

from stages import run_in_ranks

TEST = Path("data/prepared/test.jsonl")
ADAPTER, PPO, SNAPSHOTS = Path("models/adapter"), Path("models/ppo"), Path("models/snapshots")


def main() -> None:
    from detox import files
    from detox.corpus import dialogues
    from detox.generation import rivals
    from detox.generation.summaries import Writer
    from detox.model import prompts
    from detox.model.policy import Policy
    from detox.params import reading, sections
    from detox.runtime import devices, fingerprints, ranks
    from detox.sources import local

    p, model = reading.load(sections.Rivals), reading.load(sections.Model)
    summarize, seed = reading.load(sections.Summarize), reading.seed()
    base = local.path(model.source)
    fingerprints.check_alike([p, model, summarize, seed], [TEST, ADAPTER, PPO, SNAPSHOTS, base, Path(p.bad_words)])
    chosen = dialogues.evenly(dialogues.load(TEST), p.dialogues)
    systems = rivals.adapter_systems(ADAPTER, PPO, SNAPSHOTS, p.scales)
    writer = Writer(
        Policy(base, ADAPTER, model.dtype, devices.chosen()),
        prompts.load(base, model),
        summarize.batch_size,
        summarize.max_new_tokens,
    )
    rows_of = rivals.draw(writer, chosen, systems, p, summarize.samples, seed)
    if ranks.rank() == 0:
        with files.atomic(Path("data/rivals")) as folder:
            folder.mkdir()
            for name, rows in rows_of.items():
                files.write_jsonl(folder / f"{name}.jsonl", rows)


if __name__ == "__main__":
    run_in_ranks(main)
