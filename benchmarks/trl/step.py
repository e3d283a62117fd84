"""Time PPO steps of TRL 0.11.4; prints a line of JSON.

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
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerFast
from trl import AutoModelForSeq2SeqLMWithValueHead, PPOConfig, PPOTrainer

SAMPLING = {"do_sample": True, "top_k": 0, "top_p": 1.0}


def arguments(**defaults):
    """What a measurement of TRL's steps is told on its command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("base", "adapter", "texts"):
        parser.add_argument(name, type=Path)
    for name, default in ({"episodes": 16, "mini-batch": 4} | defaults).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser


def prepared(base, adapter, texts, episodes, mini_batch):
    """Trainer, and prompts as tensors."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(base / "tokenizer.json"), pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    config = PPOConfig(batch_size=episodes, mini_batch_size=mini_batch, ppo_epochs=1, seed=0)
    prompts = json.loads(texts.read_text(encoding="utf-8"))["prompts"]
    queries = [torch.tensor(ids) for ids in tokenizer(prompts)["input_ids"]]
    model = AutoModelForSeq2SeqLMWithValueHead.from_pretrained(adapted(base, adapter))
    return PPOTrainer(config, model, None, tokenizer), queries


def adapted(base, adapter):
    """The base with the adapter, trainable. This peft does not know all that a newer one writes into the config."""
    told = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    known = ("r", "lora_alpha", "lora_dropout", "target_modules", "task_type")
    model = get_peft_model(AutoModelForSeq2SeqLM.from_pretrained(base), LoraConfig(**{key: told[key] for key in known}))
    unmatched = set_peft_model_state_dict(model, load_file(adapter / "adapter_model.safetensors"))
    assert not unmatched.unexpected_keys  # noqa: S101
    return model


def report(seconds, tokens):
    """The line of JSON: seconds a step, peak of memory, mean tokens of a response."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "peak_gb": peak, "response_tokens": sum(tokens) / len(tokens)}))


def main():
    parser = arguments(steps=1, tokens=64, **{"min-tokens": 1, "generate-batch": 4, "warm-up": 0})
    a = parser.parse_args()
    trainer, queries = prepared(a.base, a.adapter, a.texts, a.episodes, a.mini_batch)
    generate = SAMPLING | {"min_new_tokens": a.min_tokens, "max_new_tokens": a.tokens, "batch_size": a.generate_batch}
    batches = [
        queries[first : first + a.episodes] for first in range(0, (a.warm_up + a.steps) * a.episodes, a.episodes)
    ]
    for batch in batches[: a.warm_up]:
        take_step(trainer, batch, generate)
    start = time.perf_counter()
    tokens = [length for batch in batches[a.warm_up :] for length in take_step(trainer, batch, generate)]
    report((time.perf_counter() - start) / a.steps, tokens)


def take_step(trainer, queries, generate):
    """Answers and learns; tokens of each response, of which the first one is the start token."""
    responses = trainer.generate(queries, return_prompt=False, **generate)
    trainer.step(queries, responses, list(torch.linspace(-1, 1, len(queries))))
    return [len(response) - 1 for response in responses]


if __name__ == "__main__":
    main()
