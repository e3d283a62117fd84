"""A sound project, what lies outside of it, and ways to have it ask for that; tests/support/traced.py loads it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from settings import COMPLETE
from tiny import (
    DIALOGUES,
    VOCABULARY,
    WORDS,
    detector_of,
    new_base,
    save_adapter,
    save_classifier,
    source_of,
    word_tokenizer,
)
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from detox.model import adapters, bases, pretrained, prompts
from detox.params import origins, profiles, reading
from detox.runtime import checkpoints
from detox.sources import local
from stages import prepare

OUT = "../../outside"  # as a path in a project's folder writes it
KEY = "AKIA-the-key-of-somebody"
PLAIN_ROBERTA = {"tokenizer_class": "RobertaTokenizer", "mask_token": "<s>"}
PLAIN_BERT = {"tokenizer_class": "BertTokenizer", "unk_token": "[UNK]", "pad_token": "[PAD]"}

Spoil = Callable[[], object]


class Trap:
    """Whoever unpickles it opens a file that is not the project's."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open, (f"{OUT}/credentials",)


def fill(root: Path) -> None:
    """What lies outside, whose paths hostile files name; and a sound project."""
    outside, home = root / "outside", root / "home"
    for folder in (outside, home / ".aws", home / ".cache/huggingface", root / "sound"):
        folder.mkdir(parents=True)
    for path in (outside / "credentials", home / ".aws/credentials", home / ".cache/huggingface/token"):
        path.write_text(f"[default]\n{KEY}\n")
    (outside / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + "\n".join(WORDS) + "\n")
    (outside / "merges.txt").write_text("a b\n")
    (outside / "evil.py").write_text("raise SystemExit('ran')\n")
    sound(root / "sound")
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copy(root / "sound/base" / name, outside / name)
    shutil.copy(outside / "tokenizer.json", outside / "tokenizer.4.0.0.json")
    for name in ("base", "adapter"):
        shutil.copytree(root / "sound" / name, outside / name)
    (outside / "train.jsonl").write_text(rows())


def sound(folder: Path) -> None:
    """A project in which nothing is wrong."""
    base = new_base(seed=0)
    base.save_pretrained(folder / "base")
    word_tokenizer(VOCABULARY, "$A </s>", pad="<pad>", eos="</s>").save_pretrained(folder / "base")
    save_adapter(folder / "adapter", folder / "base", seed=1)
    save_classifier(folder / "classifier", detector_of("rude"))
    (folder / "data").mkdir()
    (folder / "data/train.jsonl").write_text(rows())
    (folder / "profiles").mkdir()
    (folder / "profiles/mine.yaml").write_text("seed: 8\n")
    (folder / "params.yaml").write_text(COMPLETE)
    checkpoints.write(folder / "state/0123", checkpoints.State(1, {"rows": []}, {"weight": torch.ones(2)}))


def rows() -> str:
    """Dialogues, a row each."""
    texts = [text * 6 for text in DIALOGUES]
    return "".join(
        json.dumps({"id": f"d{place}", "dialogue": text, "summary": "tea"}) + "\n" for place, text in enumerate(texts)
    )


def said(path: str, **changes: Any) -> Spoil:
    """Sets keys of a JSON file, which need not be there."""

    def spoil() -> None:
        tree = json.loads(Path(path).read_text()) if Path(path).exists() else {}
        Path(path).write_text(json.dumps(tree | changes))

    return spoil


def holds(path: str, content: str) -> Spoil:
    """Another content of a file, in a folder that need not be there."""

    def spoil() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content)

    return spoil


def leads(path: str, goal: str) -> Spoil:
    """A link in the place of a file or a folder."""

    def spoil() -> None:
        if Path(path).is_dir():
            shutil.rmtree(path)
        Path(path).unlink(missing_ok=True)
        Path(path).symlink_to(goal)

    return spoil


def without(*paths: str) -> Spoil:
    """Takes files away."""

    def spoil() -> None:
        for path in paths:
            Path(path).unlink()

    return spoil


def all_of(*spoils: Spoil) -> Spoil:
    """One after the other."""
    return lambda: [spoil() for spoil in spoils]


def pickled(path: str) -> Spoil:
    """A file that torch saved, and that does something when it is read."""

    def spoil() -> None:
        with Path(path).open("wb") as file:
            torch.save({"weight": Trap()}, file)

    return spoil


def in_parts(name: str) -> Spoil:
    """An index that says where the weights are."""

    def spoil() -> None:
        names = list(load_file("base/model.safetensors"))
        Path("base/model.safetensors").unlink()
        Path("base/model.safetensors.index.json").write_text(json.dumps({"weight_map": dict.fromkeys(names, name)}))

    return spoil


def of_words(**stated: Any) -> Spoil:
    """A tokenizer of a vocabulary alone, which a configuration may name."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return all_of(
        without("classifier/tokenizer.json", "classifier/tokenizer_config.json"),
        holds("classifier/vocab.txt", "\n".join([*special, *WORDS[: len(WORDS) - 1]]) + "\n"),
        said("classifier/tokenizer_config.json", **PLAIN_BERT | stated),
    )


def of_pairs(**stated: Any) -> Spoil:
    """The same as RoBERTa has it: two files."""
    letters = {token: place for place, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *"abcdefghijkl"])}
    return all_of(
        without("classifier/tokenizer.json", "classifier/tokenizer_config.json"),
        holds("classifier/vocab.json", json.dumps(letters)),
        holds("classifier/merges.txt", "#version: 0.2\n"),
        said(
            "classifier/tokenizer_config.json", **{"tokenizer_class": "RobertaTokenizer", "mask_token": "<s>"} | stated
        ),
    )


def pinned() -> dict[str, origins.Source]:
    """The sources of the project in the working directory, with the pins that they have as they are now."""
    return {name: source_of(Path(name)) for name in ("base", "classifier", "adapter", "data")}


def load_base(sources: dict[str, origins.Source]) -> None:
    """The base and its tokenizer, as every stage takes them."""
    base = local.path(sources["base"])
    bases.load(base)
    prompts.tokenizer(base)


def load_classifier(sources: dict[str, origins.Source]) -> None:
    """A classifier and its tokenizer, as every stage takes them."""
    folder = local.path(sources["classifier"])
    pretrained.model(AutoModelForSequenceClassification, folder)
    pretrained.tokenizer(folder, "pad")


def load_adapter(sources: dict[str, origins.Source]) -> None:
    """An adapter, on its base."""
    base, folder = Path("base"), local.path(sources["adapter"])
    adapters.attached(bases.load(base), adapters.load(folder, base), "policy")
    adapters.copy(folder, Path("copy"))


def point_to_data(sources: dict[str, origins.Source]) -> None:
    """A params.yaml whose dialogues are those of the project."""
    text = COMPLETE.replace("{path: data/source}", json.dumps({"path": "data", "sha256": sources["data"].sha256}))
    Path("params.yaml").write_text(text)


def load_data(sources: dict[str, origins.Source]) -> None:
    """The stage that reads dialogues."""
    point_to_data(sources)
    prepare.main()


def load_params(sources: dict[str, origins.Source]) -> None:
    """All of params.yaml that is read whatever runs."""
    reading.seed()
    for source in origins.sources().values():
        local.path(source)


def load_profile(sources: dict[str, origins.Source]) -> None:
    """What `make profile` does."""
    profiles.apply("mine")


def load_state(sources: dict[str, origins.Source]) -> None:
    """What a stage does that goes on."""
    checkpoints.newest(Path("state/0123"), lambda state: True)


def load_as_it_is(sources: dict[str, origins.Source]) -> None:
    """What nothing here does: hands a folder to the library. It shows that what is opened is seen."""
    AutoTokenizer.from_pretrained(sources["classifier"].path, trust_remote_code=False)
