"""The repositories of the real run, small: their own configurations and file names, random weights of small shapes.

tests/layouts has the facts. What is read here was written by others where that is possible: vocabularies by the
tokenizers library in the formats of 2019, weights as checkpoints of those years have them.
"""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from hub import Hub
from imports import ROOT
from safetensors.torch import save_file
from tokenizers import (
    BertWordPieceTokenizer,
    ByteLevelBPETokenizer,
    SentencePieceUnigramTokenizer,
    Tokenizer,
    processors,
)
from torch import Tensor
from transformers import (
    AutoConfig,
    BertForSequenceClassification,
    PreTrainedConfig,
    RobertaForSequenceClassification,
    T5ForConditionalGeneration,
)

LAYOUTS = ROOT / "tests" / "layouts"
SHARED = ROOT / "../shared/data"
REPOSITORIES: dict[str, dict[str, Any]] = json.loads((LAYOUTS / "repositories.json").read_text())
ROWS = {"train": 24, "validation": 8, "test": 10}
WIDTH = 32
T5 = {"d_model": WIDTH, "d_kv": 8, "num_heads": 4, "d_ff": 64, "num_layers": 2, "num_decoder_layers": 2}
BERT = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


def fill(hub: Hub, folder: Path) -> None:
    """Gives the hub the five repositories, each at its commit, with every file that it has."""
    folder.mkdir()
    save = {"model": save_base, "prepare": save_dialogues, "reward": save_reward, "judge": save_judge}
    for section in ("model", "prepare", "adapter", "reward", "judge"):
        if section == "adapter":
            save_adapter(folder / "adapter", folder / "model")
        else:
            save[section](folder / section)
        repository = REPOSITORIES[section]
        for name in repository["files"]:
            if not (folder / section / name).exists():
                (folder / section / name).write_bytes(b"nothing that the pipeline may read\n")
        assert {path.name for path in (folder / section).iterdir()} == set(repository["files"])
        hub.add(repository["origin"].removeprefix("hf://"), folder / section, repository["revision"])


def texts() -> list[str]:
    """What the small vocabularies are made from."""
    return [dialogue for dialogue, _ in dialogues("train")]


def config(section: str, **smaller: float) -> PreTrainedConfig:
    """The repository's own configuration, at other sizes."""
    stated = json.loads((LAYOUTS / section / "config.json").read_text())
    return AutoConfig.for_model(stated.pop("model_type"), **stated | smaller)


def copy_configurations(section: str, folder: Path, **smaller: float) -> None:
    """The repository's JSON files as they stand there, config.json with other sizes."""
    shutil.copytree(LAYOUTS / section, folder, dirs_exist_ok=True)
    if smaller:
        stated = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(stated | smaller, indent=2))


def save_base(folder: Path) -> None:
    """FLAN-T5: gated GELU, a head of its own, task_specific_params, a tokenizer_config with a path of somebody's."""
    folder.mkdir()
    save_t5_tokenizer(folder / "tokenizer.json")
    # FLAN-T5 has 28 embeddings more than its tokenizer has tokens.
    size = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size() + 28
    copy_configurations("base", folder, vocab_size=size, **T5)
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(config("base", vocab_size=size, **T5))  # type: ignore[arg-type]
    weights = {name: weight for name, weight in model.state_dict().items() if "embed_tokens" not in name}
    save(weights | {"lm_head.weight": torch.randn(size, WIDTH) * 0.2}, folder)


def save_t5_tokenizer(path: Path) -> None:
    """FLAN-T5's own where it lies beside the project; else one of its kind."""
    if (real := SHARED / "flan_t5_tokenizer").is_dir():
        shutil.copyfile(real / "tokenizer.json", path)
        return
    extra = [f"<extra_id_{number}>" for number in range(100)]
    tokenizer = SentencePieceUnigramTokenizer()
    tokenizer.train_from_iterator(texts(), 400, special_tokens=["<pad>", "</s>", "<unk>", *extra], unk_token="<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(path))


def save_adapter(folder: Path, base: Path) -> None:
    """The course adapter's configuration; weights in a pickle, by the names that peft 0.3 gave them in 2023."""
    folder.mkdir()
    copy_configurations("adapter", folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(base / name, folder / name)
    rank = json.loads((folder / "adapter_config.json").read_text())["r"]
    torch.manual_seed(3)
    torch.save(dict(lora_weights(rank)), folder / "adapter_model.bin")


def lora_weights(rank: int) -> Iterator[tuple[str, Tensor]]:
    """A and B for q and v of each attention: one in a layer of the encoder, two in one of the decoder."""
    attentions = [f"encoder.block.{layer}.layer.0.SelfAttention" for layer in range(T5["num_layers"])]
    for layer in range(T5["num_decoder_layers"]):
        attentions += [f"decoder.block.{layer}.layer.0.SelfAttention", f"decoder.block.{layer}.layer.1.EncDecAttention"]
    for attention in attentions:
        for name in "qv":
            yield f"base_model.model.{attention}.{name}.lora_A.weight", torch.randn(rank, WIDTH) * 0.1
            yield f"base_model.model.{attention}.{name}.lora_B.weight", torch.randn(WIDTH, rank) * 0.1


def save_reward(folder: Path) -> None:
    """Meta's RoBERTa: id2label alone, vocab.json and merges.txt, AddedToken objects, the old buffer of positions."""
    folder.mkdir()
    tokenizer = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(texts(), 400, show_progress=False, special_tokens=special)
    tokenizer.save_model(str(folder))
    sizes = {"vocab_size": tokenizer.get_vocab_size(), **BERT}
    copy_configurations("reward", folder, **sizes)
    torch.manual_seed(1)
    weights = RobertaForSequenceClassification(config("reward", initializer_range=0.5, **sizes)).state_dict()  # type: ignore[arg-type]
    save(weights | {"roberta.embeddings.position_ids": torch.arange(514).unsqueeze(0)}, folder)


def save_judge(folder: Path) -> None:
    """toxic-bert: six sigmoid labels, vocab.txt alone, a configuration that names no class of tokenizer."""
    folder.mkdir()
    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(texts(), 400, show_progress=False)
    tokenizer.save_model(str(folder))
    sizes = {"vocab_size": tokenizer.get_vocab_size(), **BERT}
    copy_configurations("judge", folder, **sizes)
    torch.manual_seed(2)
    weights = BertForSequenceClassification(config("judge", initializer_range=0.5, **sizes)).state_dict()  # type: ignore[arg-type]
    save(weights | {"bert.embeddings.position_ids": torch.arange(512).unsqueeze(0)}, folder)


def save(weights: dict[str, Tensor], folder: Path) -> None:
    """model.safetensors."""
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


def save_dialogues(folder: Path) -> None:
    """DialogSum as the hub has it: a row for each summary, so three for a test dialogue, and one more table."""
    folder.mkdir()
    for part in ROWS:
        text = io.StringIO()
        csv.writer(text).writerows(rows(part))
        (folder / f"{part}.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    (folder / "holdout.csv").write_text("id,dialogue\nholdout_0,#Person1#: Hello.\n", encoding="utf-8")


def rows(part: str) -> Iterator[list[str]]:
    """id, dialogue, summary, topic."""
    yield ["id", "dialogue", "summary", "topic"]
    for number, (dialogue, summaries) in enumerate(dialogues(part)):
        for place, summary in enumerate(summaries):
            suffix = f"_{place + 1}" if len(summaries) > 1 else ""
            yield [f"{part}_{number}{suffix}", dialogue, summary, "topic"]


def dialogues(part: str) -> list[tuple[str, list[str]]]:
    """Some dialogues that pass the filter, DialogSum's own where it lies beside the project; one or three summaries."""
    path = SHARED / "dialogsum" / f"{'dev' if part == 'validation' else part}.jsonl"
    found = list(real_dialogues(path) if path.is_file() else made_up_dialogues(part))
    return found[: ROWS[part]]


def real_dialogues(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Those of 200 to 1,000 characters, whose summaries differ."""
    with path.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            summaries = [row[name] for name in sorted(row) if name.startswith("summary")]
            if 200 < len(row["dialogue"]) <= 1000 and len(set(summaries)) == len(summaries):
                yield row["dialogue"], summaries


def made_up_dialogues(part: str) -> Iterator[tuple[str, list[str]]]:
    """Dialogues of a few words."""
    for number in range(ROWS[part]):
        text = " ".join([f"{part} #Person1#: Ann is late again #Person2#: Bob was rude today"] * 4) + " cat" * number
        yield text, ["Ann was late", "Bob was rude", f"she is late {number}"][: 3 if part == "test" else 1]
