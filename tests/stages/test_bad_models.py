"""Whatever is wrong with a base, a classifier or a prepared row is one line, and train_ppo writes nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_inputs import Refused
from imports import ROOT
from projects import pinned
from safetensors.torch import load_file, save_file
from tiny import DIALOGUES, PPO
from torch import Tensor

from detox import files
from stages import train_ppo

pytest_plugins = ["models", "bad_inputs"]

QUERY = "encoder.block.0.layer.0.SelfAttention.q.weight"
AGAIN, WHOLE = "get it again from its source", "get the whole model that its config.json describes"
OWN = "put the model's own there"
NOT_THERE = "which is not allowed there: correct or remove it"
LARGER = f"base/config.json cannot be read (it describes a far larger model than the weights beside it are of): {AGAIN}"
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
}
ADDED = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized", "special"], False) | {"id": 32, "content": "x"}
HEADER = "Error while deserializing header"
VOCABULARIES = (
    "tokenizer.json, spiece.model, sentencepiece.bpe.model, sentencepiece.model, spm.model, tokenizer.model, "
    "vocab.json, vocab.txt"
)

Spoil = Callable[[], object]


@pytest.fixture(autouse=True)
def project(refused: Refused, base: Path, adapter: Path, word_classifier: Path) -> None:
    """Sound models, to spoil, and prepared dialogues."""
    for source, folder in ((base, "base"), (adapter, "models/adapter"), (word_classifier, "classifier")):
        shutil.copytree(source, folder)
    rows = [{"id": text, "text": text, "references": ["tea"], "group": text} for text in DIALOGUES]
    files.write_jsonl(Path("data/prepared/train.jsonl"), rows)


def write_params() -> None:
    """params.yaml, with the pins of the models as they are now."""
    sections = {
        "seed": 1,
        "compute": {"device": "cpu", "processes": 1, "machines": 1},
        "track": [],
        "model": {"source": pinned(Path("base")), "max_prompt_tokens": 30, "dtype": "float32"},
        "reward": {"source": pinned(Path("classifier")), "toxic_label": "hate", "batch_size": 4},
        "ppo": PPO,
    }
    Path("params.yaml").write_text(json.dumps(sections))


def said(path: str, **changes: Any) -> Spoil:
    """Changes keys of a JSON file; None takes one away."""

    def spoil() -> None:
        tree = json.loads(Path(path).read_text()) | changes
        Path(path).write_text(json.dumps({key: value for key, value in tree.items() if value is not None}))

    return spoil


def weights(folder: str, change: Callable[[dict[str, Tensor]], object]) -> Spoil:
    """Changes a model's weights."""

    def spoil() -> None:
        tensors = load_file(f"{folder}/model.safetensors")
        change(tensors)
        save_file(tensors, f"{folder}/model.safetensors", metadata={"format": "pt"})

    return spoil


def content(path: str, text: str) -> Spoil:
    """Another content of a file."""
    return lambda: Path(path).write_text(text)


def without(*paths: str) -> Spoil:
    """Takes files away."""

    def spoil() -> None:
        for path in paths:
            Path(path).unlink()

    return spoil


def in_parts(name: str) -> Spoil:
    """Has a model's weights stand in a file of another name, which an index says."""

    def spoil() -> None:
        Path("base/model.safetensors").rename(Path("base", name))
        index = {"metadata": {}, "weight_map": dict.fromkeys(load_file(Path("base", name)), name)}
        Path("base/model.safetensors.index.json").write_text(json.dumps(index))

    return spoil


def of_words(vocabulary: str, kind: str = "BertTokenizer") -> Spoil:
    """A tokenizer that is a list of words."""

    def spoil() -> None:
        Path("classifier/tokenizer.json").unlink()
        Path("classifier/vocab.txt").write_text(vocabulary.replace(" ", "\n"))
        Path("classifier/tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))

    return spoil


BASE: dict[str, tuple[Spoil, str]] = {
    "no configuration": (
        without("base/config.json"),
        "base/config.json does not exist: check the source's path in params.yaml",
    ),
    "a configuration that is no JSON": (
        content("base/config.json", "{"),
        f"base/config.json, line 1: not JSON (Expecting property name enclosed in double quotes): {AGAIN}",
    ),
    "a configuration that is a list": (
        content("base/config.json", "[]"),
        f"base/config.json: not a JSON object: {AGAIN}",
    ),
    "a configuration nested 100,000 times": (
        content("base/config.json", "[" * 100_000),
        f"base/config.json: not JSON (nested too deeply): {AGAIN}",
    ),
    "a model of code that would come from elsewhere": (
        said("base/config.json", model_type="other", auto_map={"AutoConfig": "x.X", "AutoModelForSeq2SeqLM": "x.X"}),
        "base/config.json: model_type is 'other', none of the library's models that summarise or classify texts: "
        "choose another model",
    ),
    "a model that only continues texts": (
        said("base/config.json", model_type="gpt2"),
        "base/config.json: model_type is gpt2, but a base has to be one of t5, mt5, longt5 (T5, FLAN-T5, T5 v1.1 and "
        "mT5 are): choose another one",
    ),
    "a width in words": (
        said("base/config.json", d_model="wide"),
        "base/config.json cannot be read (Validation error for field 'd_model': TypeError: Field 'd_model' expected "
        f"int, got str (value: 'wide')): {AGAIN}",
    ),
    "no weights": (
        without("base/model.safetensors"),
        f"base has no weights (model.safetensors, model.safetensors.index.json or pytorch_model.bin): {AGAIN}",
    ),
    "weights of another kind under torch's name": (
        lambda: os.rename("base/model.safetensors", "base/pytorch_model.bin"),
        "base/pytorch_model.bin holds more than tensors or is damaged (Weights only load failed): get safetensors",
    ),
    "weights that are a pointer of git-lfs": (
        content("base/model.safetensors", "version https://git-lfs.github.com/spec/v1"),
        f"base/model.safetensors is not a safetensors file ({HEADER}: header too large): {AGAIN}",
    ),
    "weights in a file elsewhere": (
        in_parts("../weights.safetensors"),
        f"base/model.safetensors.index.json: weight_map does not name files beside it: {AGAIN}",
    ),
    "a weight is missing": (
        weights("base", lambda tensors: tensors.pop(QUERY)),
        f"base: the weight {QUERY} is absent: {WHOLE}",
    ),
    "a weight of another shape": (
        weights("base", lambda tensors: tensors.update({QUERY: torch.zeros(3, 5)})),
        f"base: the weight {QUERY} is 3 x 5, not 32 x 32: {WHOLE}",
    ),
    "a weight that is NaN": (
        weights("base", lambda tensors: tensors[QUERY][1, 2].fill_(float("nan"))),
        f"base: the weight {QUERY} is not finite: {WHOLE}",
    ),
    "no token to begin with": (
        said("base/config.json", decoder_start_token_id=None),
        "base/config.json: decoder_start_token_id is None, which is no token of the model: correct it",
    ),
    "a token to begin with that the model has not": (
        said("base/config.json", decoder_start_token_id=10_000),
        "base/config.json: decoder_start_token_id is 10000, which is no token of the model: correct it",
    ),
    "a million layers": (said("base/config.json", num_layers=1_000_000), LARGER),
    "two hundred layers": (said("base/config.json", num_layers=200), LARGER),
    "a million widths": (said("base/config.json", d_model=1_000_000), LARGER),
    "sixteen million tokens": (said("base/config.json", vocab_size=16_000_000), LARGER),
    "more tokens than a machine has": (
        said("base/config.json", vocab_size=10**30),
        f"base/config.json: vocab_size is 1000000000000000000000000000000, {NOT_THERE}",
    ),
    "a few more tokens than the weights": (
        said("base/config.json", vocab_size=40),
        f"base: the weight shared.weight is 32 x 32, not 40 x 32: {WHOLE}",
    ),
    "no heads": (
        said("base/config.json", num_heads=0),
        "base: the weight decoder.block.0.layer.0.SelfAttention.k.weight is 32 x 32, not 0 x 32: get the whole model "
        "that its config.json describes",
    ),
    "a width below 0": (
        said("base/config.json", d_model=-8),
        f"base/config.json cannot be read (Trying to create tensor with negative dimension -8: [32, -8]): {AGAIN}",
    ),
    "a configuration of 20 MB": (
        content("base/config.json", '{"a": "' + "b" * 20_000_000),
        f"base/config.json has 20000007 bytes, more than the 16777216 of a configuration: {AGAIN}",
    ),
    "weights in a hidden file, which no pin covers": (
        in_parts(".model.safetensors"),
        f"base/model.safetensors.index.json: weight_map does not name files beside it: {AGAIN}",
    ),
    "two tokens to end with": (
        said("base/config.json", eos_token_id=[1, 7]),
        "base/config.json: eos_token_id is [1, 7], which is no token of the model: correct it",
    ),
    "no tokenizer": (
        without("base/tokenizer.json", "base/tokenizer_config.json"),
        f"base has no tokenizer (none of {VOCABULARIES}): {OWN}",
    ),
    "a tokenizer that is no JSON": (
        content("base/tokenizer.json", "{"),
        "base/tokenizer.json, line 1: not JSON (Expecting property name enclosed in double quotes): " + AGAIN,
    ),
    "a tokenizer without a token to pad with": (
        said("base/tokenizer_config.json", pad_token=None),
        "base: the tokenizer has no pad token: name one in its tokenizer_config.json",
    ),
    "a tokenizer without a token to end with": (
        said("base/tokenizer_config.json", eos_token=None),
        "base: the tokenizer has no eos token: name one in its tokenizer_config.json",
    ),
    "a tokenizer that panics when it is read": (
        said("base/tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        f'base cannot be read (Precompiled: Error("Cannot parse precompiled_charsmap", line: 0, column: 0)): {AGAIN}',
    ),
    "a tokenizer that panics when it reads a text": (
        said("base/tokenizer.json", pre_tokenizer={"type": "FixedLength", "length": 0}),
        f"base cannot be read (chunk size must be non-zero): {AGAIN}",
    ),
    "a tokenizer whose template names a token that it has not": (
        said("base/tokenizer.json", post_processor={**TEMPLATE, "special_tokens": {}}),
        f"base cannot be read (no entry found for key): {AGAIN}",
    ),
    "a trait of a token that tokenizers would print": (
        said("base/tokenizer.json", added_tokens=[ADDED | {"\x1b[2J": True}]),
        f"base: the tokenizer has a token 32, the model only 32: {OWN}",
    ),
    "words without their own unknown one": (
        lambda: said("base/tokenizer.json", model={**tokens("base"), "unk_token": "[UNK]"})(),
        f"base cannot be read (WordLevel error: Missing [UNK] token from the vocabulary): {AGAIN}",
    ),
    "pieces without an unknown one": (
        said("base/tokenizer.json", model={"type": "Unigram", "unk_id": None, "vocab": [["a", -1.0], ["b", -2.0]]}),
        f"base cannot be read (Encountered an unknown token but `unk_id` is missing): {AGAIN}",
    ),
    "an unknown token that is none of the vocabulary": (
        said("base/tokenizer_config.json", unk_token="[UNK]"),
        f"base: the tokenizer has a token 32, the model only 32: {OWN}",
    ),
    "a class of tokenizers that the library has not": (
        said("base/tokenizer_config.json", tokenizer_class="Pretokenizer"),
        "base/tokenizer_config.json: tokenizer_class is 'Pretokenizer', " + NOT_THERE,
    ),
    "a token that is a number": (
        said("base/tokenizer_config.json", pad_token=3),
        "base/tokenizer_config.json: pad_token is 3, " + NOT_THERE,
    ),
    "a million tokens beside the vocabulary": (
        said("base/tokenizer_config.json", extra_ids=1_000_000),
        "base/tokenizer_config.json: extra_ids is 1000000, " + NOT_THERE,
    ),
    "a tokenizer of a larger model": (
        lambda: said(
            "base/tokenizer.json", model={**tokens("base"), "vocab": {**tokens("base")["vocab"], "Ann": 99}}
        )(),
        f"base: the tokenizer has a token 99, the model only 32: {OWN}",
    ),
    "a tokenizer that ends texts in another way": (
        said("base/config.json", eos_token_id=7),
        f"base: the tokenizer ends a text with token 1, the model with 7: {OWN}",
    ),
}


def tokens(folder: str) -> dict[str, Any]:
    """The tokenizer's own model: its vocabulary."""
    model: dict[str, Any] = json.loads(Path(folder, "tokenizer.json").read_text())["model"]
    return model


CLASSIFIER: dict[str, tuple[Spoil, str]] = {
    "no configuration": (
        without("classifier/config.json"),
        "classifier/config.json does not exist: check the source's path in params.yaml",
    ),
    "a model without a classifier's head": (
        weights("classifier", lambda tensors: [tensors.pop(name) for name in list(tensors) if "classifier" in name]),
        f"classifier: the weight classifier.dense.bias is absent: {WHOLE}",
    ),
    "a head for three labels": (
        weights("classifier", lambda tensors: tensors.update({"classifier.out_proj.weight": torch.zeros(3, 16)})),
        f"classifier: the weight classifier.out_proj.weight is 3 x 16, not 2 x 16: {WHOLE}",
    ),
    "a weight that is infinite": (
        weights("classifier", lambda tensors: tensors["classifier.out_proj.bias"].fill_(float("inf"))),
        f"classifier: the weight classifier.out_proj.bias is not finite: {WHOLE}",
    ),
    "a head for five thousand labels": (
        said("classifier/config.json", id2label={str(each): f"label {each}" for each in range(5000)}, label2id=None),
        f"classifier: the weight classifier.out_proj.bias is 2, not 5000: {WHOLE}",
    ),
    "a billion labels": (
        said("classifier/config.json", id2label=None, label2id=None, num_labels=10**9),
        f"classifier/config.json: num_labels is 1000000000, {NOT_THERE}",
    ),
    "ten million labels": (
        said("classifier/config.json", id2label=None, label2id=None, num_labels=10**7),
        LARGER.replace("base", "classifier", 1),
    ),
    "a vocabulary without its own unknown token": (
        of_words("[PAD] [CLS] [SEP] [MASK] a b c"),
        f"classifier cannot be read (WordPiece error: Missing [UNK] token from the vocabulary): {AGAIN}",
    ),
    "a vocabulary of another kind than its class reads": (
        of_words("[PAD] [UNK] [CLS] [SEP] [MASK] a b c", "RobertaTokenizer"),
        f"classifier cannot be read (there is no merges.txt, the vocabulary of a RobertaTokenizer): {AGAIN}",
    ),
    "a regression": (
        said("classifier/config.json", problem_type="regression"),
        "classifier has the problem_type regression and 2 label(s): choose a classifier with "
        "single_label_classification and two labels or more, or with multi_label_classification",
    ),
    "labels without names": (
        said(
            "classifier/config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1}
        ),
        "classifier has no label 'hate', it has LABEL_0, LABEL_1: set toxic_label to one of these",
    ),
    "a label twice": (
        said("classifier/config.json", id2label={"0": "hate", "1": "hate"}, label2id={"hate": 1}),
        "classifier has the label 'hate' twice, in hate, hate: give each its own name in id2label",
    ),
    "labels that are said in two ways": (
        said("classifier/config.json", label2id={"nothate": 1, "hate": 0}),
        "classifier/config.json: id2label has 0 nothate, 1 hate, but label2id has 0 hate, 1 nothate: correct one",
    ),
    "a label beyond the head": (
        said("classifier/config.json", label2id={"nothate": 0, "hate": 7}),
        "classifier/config.json: id2label has 0 nothate, 1 hate, but label2id has 0 nothate, 7 hate: correct one",
    ),
    "no tokenizer": (
        without("classifier/tokenizer.json", "classifier/tokenizer_config.json"),
        f"classifier has no tokenizer (none of {VOCABULARIES}): {OWN}",
    ),
    "a tokenizer without a token to pad with": (
        said("classifier/tokenizer_config.json", pad_token=None),
        "classifier: the tokenizer has no pad token: name one in its tokenizer_config.json",
    ),
}
ROW = "not a dialogue with id, text, references and group: run `dvc repro prepare`"


def each(table: dict[str, tuple[Spoil, str]]) -> pytest.MarkDecorator:
    """Has a test run for every case of the table."""
    return pytest.mark.parametrize(("spoil", "message"), [pytest.param(*case, id=name) for name, case in table.items()])


@each(BASE)
def test_a_bad_base_or_tokenizer_is_one_line(refused: Refused, spoil: Spoil, message: str) -> None:
    spoil()
    write_params()
    assert refused(train_ppo) == message


@each(CLASSIFIER)
def test_a_bad_classifier_is_one_line(refused: Refused, spoil: Spoil, message: str) -> None:
    spoil()
    write_params()
    assert refused(train_ppo) == message


@pytest.mark.parametrize(
    "row",
    [
        {"id": "d", "text": "Hi.", "group": "g"},
        {"id": "d", "text": "Hi.", "references": "s", "group": "g"},
        {"id": "d", "text": "Hi.", "references": [1], "group": "g"},
        {"id": 1, "text": "Hi.", "references": ["s"], "group": "g"},
        {"id": "d", "text": None, "references": ["s"], "group": "g"},
    ],
    ids=str,
)
def test_a_prepared_row_that_is_none_is_one_line(refused: Refused, row: dict[str, Any]) -> None:
    files.write_jsonl(Path("data/prepared/train.jsonl"), [row])
    write_params()
    assert refused(train_ppo) == f"data/prepared/train.jsonl, line 1: {ROW}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        BASE["a model of code that would come from elsewhere"],
        CLASSIFIER["a model without a classifier's head"],
    ],
)
def test_the_command_line_says_that_line_and_nothing_else(spoil: Spoil, message: str) -> None:
    spoil()
    write_params()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages.train_ppo"]
    done = subprocess.run(command, env=environment, input="y\n", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "device: cpu\n", f"error: {message}\n")
