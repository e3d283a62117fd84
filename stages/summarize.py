"""Summarise the test dialogues before (sft) and after PPO (ppo), and decide which of them form the stress slice.

Reads  data/prepared/test.jsonl, models/adapter, models/ppo, the base and the reward model;
       params: seed, model, reward, summarize.
Writes data/summaries/sft.jsonl, ppo.jsonl (id, group, greedy summary, samples) and stress.jsonl (id, toxicity).
"""

from pathlib import Path

from stages import run

ADAPTERS = {"sft": Path("models/adapter"), "ppo": Path("models/ppo")}


def main() -> None:
    import torch
    from transformers import AutoTokenizer

    from detox import dialogues, files, params, summaries
    from detox.policy import Policy
    from detox.rewards import Classifier

    p, model, seed = params.load(params.Summarize), params.load(params.Model), params.seed()
    base = Path(model.source.path)
    tokenizer = AutoTokenizer.from_pretrained(base)
    test = dialogues.load(Path("data/prepared/test.jsonl"))
    texts = [dialogue.text for dialogue in test]
    sizes = {
        "batch_size": p.batch_size,
        "max_prompt_tokens": model.max_prompt_tokens,
        "max_new_tokens": p.max_new_tokens,
    }
    with files.atomic(Path("data/summaries")) as folder:
        folder.mkdir()
        for name, adapter in ADAPTERS.items():
            policy = Policy(base, adapter)
            greedy = summaries.greedy(policy, tokenizer, texts, **sizes)
            drawn = summaries.draw(policy, tokenizer, texts, p.samples, (seed, summaries.SAMPLES), **sizes)
            rows = [
                {"id": dialogue.id, "group": dialogue.group, "summary": summary, "samples": samples}
                for dialogue, summary, samples in zip(test, greedy, drawn, strict=True)
            ]
            files.write_jsonl(folder / f"{name}.jsonl", rows)
        reward = Classifier(params.load(params.Classifier, section="reward"))
        sft = Policy(base, ADAPTERS["sft"])
        fresh = summaries.draw(sft, tokenizer, texts, p.stress_samples, (seed, summaries.STRESS_SAMPLES), **sizes)
        toxicity = torch.stack([reward.toxicity(samples).mean() for samples in fresh]).tolist()
        stress = summaries.most_toxic([dialogue.id for dialogue in test], toxicity, p.stress_share, p.stress_minimum)
        files.write_jsonl(folder / "stress.jsonl", stress)


if __name__ == "__main__":
    run(main)
