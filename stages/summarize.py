"""Summarise the test dialogues before (sft) and after PPO (ppo), and decide which of them form the stress slice.

Reads  data/prepared/test.jsonl, models/adapter, models/ppo, the base and the reward model;
       params: seed, model, reward, summarize.
Writes data/summaries/sft.jsonl, ppo.jsonl (id, group, greedy summary, samples) and stress.jsonl (id, toxicity).
"""

from pathlib import Path

from stages import run

ADAPTERS = {"sft": Path("models/adapter"), "ppo": Path("models/ppo")}


def main() -> None:
    from transformers import AutoTokenizer

    from detox import dialogues, files, params, sources, summaries
    from detox.policy import Policy
    from detox.rewards import Classifier

    p, model, seed = params.load(params.Summarize), params.load(params.Model), params.seed()
    base = sources.local(model.source)
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
    drawn = {
        name: summaries.draw(Policy(base, adapter), tokenizer, texts, keys, **sizes)
        for (name, adapter), keys in zip(ADAPTERS.items(), ([*before, *fresh], before), strict=True)
    }
    reward = Classifier(params.load(params.Classifier, section="reward"))
    toxicity = reward.toxicity([text for row in drawn["sft"] for text in row[len(before) :]])
    means = toxicity.view(len(test), p.stress_samples).mean(dim=1).tolist()
    stress = summaries.most_toxic([dialogue.id for dialogue in test], means, p.stress_share, p.stress_minimum)
    with files.atomic(Path("data/summaries")) as folder:
        folder.mkdir()
        for name, texts_of in drawn.items():
            files.write_jsonl(folder / f"{name}.jsonl", summaries.rows(test, texts_of, p.samples))
        files.write_jsonl(folder / "stress.jsonl", stress)


if __name__ == "__main__":
    run(main)
