"""Summarise the test dialogues before (sft) and after PPO (ppo), and decide which of them form the stress slice.

On some of the dialogues also what PPO is up against: the base, a word filter, a pool of samples before PPO, and the
adapter on its way.

Reads  data/prepared/test.jsonl, models/{adapter,ppo,snapshots}, the base, the reward model, the list of bad words;
       params: seed, model, reward, summarize.
Writes data/summaries/sft.jsonl, ppo.jsonl (id, group, greedy summary, samples) and stress.jsonl (id, toxicity);
       data/rivals/{base,filter,pool,scale_…,step_…}.jsonl (id, greedy summary if any, samples).
"""

from pathlib import Path

from stages import run

ADAPTERS = {"sft": Path("models/adapter"), "ppo": Path("models/ppo")}
SNAPSHOTS = Path("models/snapshots")


def main() -> None:
    from transformers import AutoTokenizer

    from detox import dialogues, files, params, rivals, summaries
    from detox.policy import Policy
    from detox.rewards import Classifier

    p, model, seed = params.load(params.Summarize), params.load(params.Model), params.seed()
    reward, words = Classifier(params.load(params.Classifier, section="reward")), rivals.read_words(Path(p.bad_words))
    base = Path(model.source.path)
    tokenizer = AutoTokenizer.from_pretrained(base)
    test = dialogues.load(Path("data/prepared/test.jsonl"))
    texts = [dialogue.text for dialogue in test]
    sizes = {
        "batch_size": p.batch_size,
        "max_prompt_tokens": model.max_prompt_tokens,
        "max_new_tokens": p.max_new_tokens,
    }
    before = [None, *summaries.keys(seed, summaries.SAMPLES, p.samples)]
    fresh = summaries.keys(seed, summaries.STRESS_SAMPLES, p.stress_samples)
    policies = {name: Policy(base, adapter) for name, adapter in ADAPTERS.items()}
    drawn = {
        name: summaries.draw(policies[name], tokenizer, texts, keys, **sizes)
        for name, keys in (("sft", [*before, *fresh]), ("ppo", before))
    }
    toxicity = reward.toxicity([text for row in drawn["sft"] for text in row[len(before) :]])
    means = toxicity.view(len(test), p.stress_samples).mean(dim=1).tolist()
    stress = summaries.most_toxic([dialogue.id for dialogue in test], means, p.stress_share, p.stress_minimum)
    chosen = rivals.choose(test, p.rival_dialogues)
    systems = rivals.adapter_systems(ADAPTERS["sft"], ADAPTERS["ppo"], SNAPSHOTS, p.scales)
    rows_of = rivals.draw(policies["sft"], tokenizer, chosen, systems, words, p, seed, model.max_prompt_tokens)
    with files.atomic(Path("data/summaries")) as folder:
        folder.mkdir()
        for name, texts_of in drawn.items():
            files.write_jsonl(folder / f"{name}.jsonl", summaries.rows(test, texts_of, p.samples))
        files.write_jsonl(folder / "stress.jsonl", stress)
    with files.atomic(Path("data/rivals")) as folder:
        folder.mkdir()
        for name, rows in rows_of.items():
            files.write_jsonl(folder / f"{name}.jsonl", rows)


if __name__ == "__main__":
    run(main)
