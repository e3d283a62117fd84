"""Models so small that a test takes no time: a random T5, a random LoRA adapter for it, classifiers of its words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import (
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

from detox.model.policy import Policy
from detox.params import origins, sections
from detox.sources import local

TEXT = """Summarize the following conversation. Summary: #Person1#: #Person2#: Ann Bob asks tells says that he she is
was late early kind rude calm angry cat dog tea cake today again"""
WORDS = TEXT.split()
VOCABULARY = ["<pad>", "</s>", "<unk>", *WORDS]
RUDE = VOCABULARY.index("rude")
DIALOGUES = [
    "#Person1#: Ann is late again #Person2#: Bob tells that Ann was rude",
    "#Person1#: tea today #Person2#: she says cake",
    "#Person1#: the dog was calm #Person2#: he asks that cat",
    "#Person1#: Bob is rude #Person2#: rude",
    "#Person1#: early #Person2#: late",
    "#Person1#: kind kind kind #Person2#: the cat is angry again today",
]
RISKY = [True, False, False, True, False, False]  # by a reward that minds the word rude
HIDDEN = 32  # width of the T5; its attention is as wide
RANK = 4
PPO: dict[str, Any] = {
    "steps": 2,
    "batch_size": 8,
    "mini_batch_size": 4,
    "micro_batch_size": 2,
    "decode_batch_size": 8,
    "samples_per_prompt": 1,
    "prefix_every": 3,
    "epochs": 2,
    "learning_rate": 0.01,
    "value_learning_rate": 0.02,
    "gamma": 1.0,
    "lam": 0.95,
    "clip_range": 0.2,
    "value_clip_range": 0.2,
    "kl_coef": 0.1,
    "risky_share": None,
    "calm_kl": 1.0,
    "kl_limit": 100.0,
    "score_clip": 5.0,
    "missing_eos_penalty": 1.0,
    "max_grad_norm": 1.0,
    "max_new_tokens": 10,
    "snapshot_every": 1,
    "checkpoint_every": 1,
}


@torch.no_grad()
def shift(policy: Policy) -> None:
    """Moves the policy away from its reference."""
    policy.adapter_parameters()[-1].mul_(1.2)


class Prompts(NamedTuple):
    """Encoded prompts, padded on the right."""

    ids: Tensor
    mask: Tensor


def classifier_params(folder: Path, batch_size: int = 4) -> sections.Classifier:
    """The params section of a classifier in this folder."""
    return sections.Classifier(source=source_of(folder), toxic_label="hate", batch_size=batch_size)


def source_of(path: Path) -> origins.Source:
    """The source of one's own files, pinned to what they are now."""
    return origins.Source(path=str(path), sha256=local.digest(path) if path.exists() else "0" * 64)


def word_tokenizer(vocabulary: list[str], template: str, pad: str, eos: str) -> PreTrainedTokenizerFast:
    """One token a word; the template puts the special tokens around a text."""
    ids = {word: place for place, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [(token, ids[token]) for token in template.split() if token in ids]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, eos_token=eos, unk_token="<unk>", model_max_length=30
    )


def t5_config(hidden: int = HIDDEN, **options: Any) -> T5Config:
    """A T5 of two layers a side, of the first version unless the options say more."""
    return T5Config(  # type: ignore[call-arg]
        vocab_size=len(VOCABULARY),
        d_model=hidden,
        d_kv=8,
        num_heads=4,
        d_ff=64,
        num_layers=2,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        **options,
    )


def new_base(seed: int, hidden: int = HIDDEN) -> T5ForConditionalGeneration:
    """A random T5: its next-token distributions are neither flat nor certain, and it likes to be rude and to end."""
    # Dropout, so that a module left in training mode is noticed.
    config = t5_config(hidden, feed_forward_proj="gated-gelu", tie_word_embeddings=False, dropout_rate=0.1)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(config)
        # transformers ties a new model's head to its embeddings; FLAN-T5's checkpoints have a head of their own.
        model.lm_head.weight = nn.Parameter(torch.randn(len(VOCABULARY), hidden) * 1.5 * hidden**-0.5)
        model.lm_head.weight[[VOCABULARY.index("</s>"), RUDE]] *= 2
    return model


def save_adapter(folder: Path, base: Path, seed: int, rank: int = RANK) -> None:
    """A random LoRA adapter; unlike a fresh one it has no zeros, so that switching it off changes the model."""
    config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.05, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = get_peft_model(AutoModelForSeq2SeqLM.from_pretrained(base), config)
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.3)
    model.peft_config["default"].base_model_name_or_path = "nobody/nothing"  # on a hub, where nobody looks
    model.save_pretrained(str(folder), save_embedding_layers=False)


def save_classifier(folder: Path, model: RobertaForSequenceClassification) -> None:
    """The classifier, and a tokenizer with RoBERTa's special tokens."""
    model.save_pretrained(folder)
    save_tokenizer(folder)


def save_tokenizer(folder: Path, model_max_length: int = 30) -> None:
    """A tokenizer with RoBERTa's special tokens."""
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *WORDS]
    tokenizer = word_tokenizer(vocabulary, "<s> $A </s>", pad="<pad>", eos="</s>")
    tokenizer.model_max_length = model_max_length
    tokenizer.save_pretrained(folder)


def new_classifier(
    seed: int, layers: int, labels: Sequence[str] = ("nothate", "hate")
) -> RobertaForSequenceClassification:
    """A random RoBERTa."""
    config = RobertaConfig(
        vocab_size=4 + len(WORDS),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        type_vocab_size=1,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RobertaForSequenceClassification(config)


def detector_of(word: str) -> RobertaForSequenceClassification:
    """A classifier of known weights: attention averages over the text, and only the word's embedding is not zero.

    Layer normalisation makes the average's first coordinate √8 wherever the word occurs and 0 elsewhere, and
    tanh(10·√8) is 1: the logits (nothate, hate) are (−1, 1) with the word and (1, −1) without it.
    """
    model = new_classifier(seed=0, layers=1)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            weight.fill_(1.0 if "LayerNorm.weight" in name else 0.0)
        weights["roberta.embeddings.word_embeddings.weight"][4 + WORDS.index(word), :2] = torch.tensor([1.0, -1.0])
        nn.init.eye_(weights["roberta.encoder.layer.0.attention.self.value.weight"])
        nn.init.eye_(weights["roberta.encoder.layer.0.attention.output.dense.weight"])
        weights["classifier.dense.weight"][0, 0] = 10.0
        weights["classifier.out_proj.weight"][:, 0] = torch.tensor([-2.0, 2.0])
        weights["classifier.out_proj.bias"].copy_(torch.tensor([1.0, -1.0]))
    return model
