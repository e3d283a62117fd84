"""What is measured: models of base size with random weights, a LoRA adapter, and texts of given lengths.

Random weights take as long as trained ones, and almost never end a response by themselves, so all have full length.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

from detox.model.prompts import fill
from detox.params.kinds import PROMPT

VOCABULARY = 32_128
TYPES = "float32", "bfloat16"  # of numbers: `model.dtype`
SPECIAL = ["<pad>", "</s>", "<unk>"]
AROUND = 6  # tokens of a prompt that are not its dialogue's
PROMPT_TOKENS = 80, 260  # shortest and longest


def t5(folder: Path, width: int, layers: int) -> None:
    """Writes base and adapter into a new folder: FLAN-T5's architecture, rank 32 on q and v."""
    model = new_t5(width, layers)
    model.save_pretrained(folder / "base")
    tokenizer().save_pretrained(folder / "base")
    new_adapter(model).save_pretrained(str(folder / "adapter"), save_embedding_layers=False)


def new_adapter(model: T5ForConditionalGeneration) -> PeftModel:
    """The course adapter's shape on this base: rank 32 on q and v."""
    lora = LoraConfig(r=32, lora_alpha=32, lora_dropout=0.0, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM")
    return cast(PeftModel, get_peft_model(model, lora))


def new_t5(width: int, layers: int) -> T5ForConditionalGeneration:
    """FLAN-T5's architecture with random weights; of base size it is 768 wide, with 12 layers a side."""
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
    return model


def roberta(folder: Path, width: int, layers: int) -> None:
    """Writes a classifier with RoBERTa's architecture and the labels nothate and hate into a new folder."""
    new_roberta(width, layers, VOCABULARY).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def new_roberta(width: int, layers: int, vocabulary: int) -> RobertaForSequenceClassification:
    """RoBERTa's architecture with random weights and the labels nothate and hate."""
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=4 * width,
        num_attention_heads=width // 64,
        num_hidden_layers=layers,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=0,
        id2label={0: "nothate", 1: "hate"},
        label2id={"nothate": 0, "hate": 1},
    )
    return RobertaForSequenceClassification(config)


def tokenizer() -> PreTrainedTokenizerFast:
    """Every word is a token: w3 … w32127."""
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *(f"w{i}" for i in range(3, VOCABULARY))])}
    fast = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=fast, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def spread(count: int, shortest: int, longest: int) -> list[int]:
    """The middles of `count` equal parts of the span: however many there are, their mean is the span's middle."""
    return [round(shortest + (longest - shortest) * (2 * i + 1) / (2 * count)) for i in range(count)]


def texts(tokens: Iterable[int], rng: Random) -> list[str]:
    """Random words, as many as the tokens of each text."""
    return [" ".join(f"w{rng.randrange(3, VOCABULARY)}" for _ in range(count)) for count in tokens]


def write_prompts(path: Path, lengths: Sequence[int]) -> Path:
    """Dialogues whose prompts have these lengths in tokens, in random order, and the prompts."""
    rng = Random(0)
    return write_dialogues(path, texts((length - AROUND for length in rng.sample(lengths, len(lengths))), rng))


def write_dialogues(path: Path, dialogues: list[str]) -> Path:
    """Dialogues, and the prompts around them for programs that cannot make these, as JSON."""
    both = {"dialogues": dialogues, "prompts": [fill(PROMPT, dialogue) for dialogue in dialogues]}
    path.write_text(json.dumps(both), encoding="utf-8")
    return path


def main() -> None:
    """Writes the models, in a process of its own, or the measuring one would begin with their memory as its peak."""
    parser = argparse.ArgumentParser("python -m benchmarks.shapes", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--cut-layers", type=int, required=True)
    arguments = parser.parse_args()
    t5(arguments.folder / "t5", arguments.width, arguments.layers)
    t5(arguments.folder / "cut", arguments.width, arguments.cut_layers)
    roberta(arguments.folder / "roberta", arguments.width, arguments.layers)


if __name__ == "__main__":
    main()
