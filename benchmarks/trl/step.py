"""Time PPO steps of TRL 0.11.4 on the models of `benchmarks.shapes`; prints a line of JSON.

Runs in an environment of its own (requirements.lock beside it), where nothing of this project is installed.
"""

# It would be checked against the newer TRL of this project's own environment:
# mypy: ignore-errors

import argparse
import json
import resource
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerFast
from trl import AutoModelForSeq2SeqLMWithValueHead, PPOConfig, PPOTrainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, default in (("episodes", 16), ("mini-batch", 4), ("tokens", 64), ("steps", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    file = a.folder / "base" / "tokenizer.json"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(file), pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    base = AutoModelForSeq2SeqLM.from_pretrained(a.folder / "base")
    lora = LoraConfig(r=32, lora_alpha=32, lora_dropout=0.0, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM")
    model = AutoModelForSeq2SeqLMWithValueHead.from_pretrained(get_peft_model(base, lora))
    config = PPOConfig(batch_size=a.episodes, mini_batch_size=a.mini_batch, ppo_epochs=1, seed=0)
    trainer = PPOTrainer(config, model, None, tokenizer)
    texts = json.loads((a.folder / "texts.json").read_text(encoding="utf-8"))
    queries = [torch.tensor(ids) for ids in tokenizer(texts["prompts"])["input_ids"]]
    generate = {"do_sample": True, "top_k": 0, "top_p": 1.0, "min_new_tokens": a.tokens, "max_new_tokens": a.tokens}
    start = time.perf_counter()
    for step in range(a.steps):
        batch = queries[step * a.episodes : (step + 1) * a.episodes]
        responses = trainer.generate(batch, batch_size=a.episodes, return_prompt=False, **generate)
        trainer.step(batch, responses, list(torch.linspace(-1, 1, a.episodes)))
    seconds = (time.perf_counter() - start) / a.steps
    print(json.dumps({"seconds": seconds, "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


if __name__ == "__main__":
    main()
