"""What is measured: a T5 of base size with random weights, its LoRA adapter, and prompts of given lengths.

Random weights take as long as trained ones, and almost never end a response by themselves, so all have full length.
"""

import json
from pathlib import Path
from random import Random

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from detox.prompts import prompt

VOCABULARY = 32_128
SPECIAL = ["<pad>", "</s>", "<unk>"]
PROMPT_TOKENS = 80, 260  # shortest and longest


def make(folder: Path, width: int = 768, layers: int = 12) -> None:
    """Writes base, adapter and texts.json into a new folder: dialogues, a word a token, and the prompts around them."""
    torch.manual_seed(0)
    config = T5Config(  # type: ignore[call-arg]
        vocab_size=VOCABULARY,
        d_model=width,
        d_kv=64,
        num_heads=width // 64,
        d_ff=width * 8 // 3,
        num_layers=layers,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config)
    # transformers ties a new model's head to its embeddings; FLAN-T5's checkpoints have a head of their own.
    model.lm_head.weight = nn.Parameter(torch.randn(VOCABULARY, width) * width**-0.5)
    model.save_pretrained(folder / "base")
    tokenizer().save_pretrained(folder / "base")
    lora = LoraConfig(r=32, lora_alpha=32, lora_dropout=0.0, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM")
    get_peft_model(model, lora).save_pretrained(str(folder / "adapter"), save_embedding_layers=False)
    spoken = dialogues(256, Random(0))
    texts = {"dialogues": spoken, "prompts": [prompt(dialogue) for dialogue in spoken]}
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")


def tokenizer() -> PreTrainedTokenizerFast:
    """Every word is a token: w3 … w32127."""
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *(f"w{i}" for i in range(3, VOCABULARY))])}
    fast = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def dialogues(count: int, rng: Random) -> list[str]:
    """Random words, as many as the prompt around them leaves."""
    return [
        " ".join(f"w{rng.randrange(3, VOCABULARY)}" for _ in range(rng.randint(*PROMPT_TOKENS) - 6))
        for _ in range(count)
    ]
