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


BASE: dict[str, tuple[Spoil, str]] = {
    "no configuration": (
        without("base/config.json"),
        "base/config.json does not exist: check the source's path in params.yaml",
    ),
    "a configuration that is no JSON": (
        content("base/config.json", "{"),
        "base/config.json cannot be read (It looks like the config file at 'base/config.json' is not a valid JSON "
        f"file): {AGAIN}",
    ),
    "a configuration that is a list": (
        content("base/config.json", "[]"),
        f"base/config.json cannot be read (Unrecognized model in base): {AGAIN}",
    ),
    "a configuration nested 100,000 times": (
        content("base/config.json", "[" * 100_000),
        "base/config.json cannot be read (maximum recursion depth exceeded while decoding a JSON array from a unicode "
        f"string): {AGAIN}",
    ),
    "a model of code that would come from elsewhere": (
        said("base/config.json", model_type="other", auto_map={"AutoConfig": "x.X", "AutoModelForSeq2SeqLM": "x.X"}),
        "base/config.json cannot be read (The repository base contains custom code which must be executed to correctly "
        f"load the model): {AGAIN}",
    ),
    "a model that only continues texts": (
        said("base/config.json", model_type="gpt2"),
        "base/config.json cannot be read (Unrecognized configuration class <class 'transformers.models.gpt2."
        "configuration_gpt2.GPT2Config'> for this kind of AutoModel: AutoModelForSeq2SeqLM): " + AGAIN,
    ),
    "a width in words": (
        said("base/config.json", d_model="wide"),
        "base/config.json cannot be read (Validation error for field 'd_model': TypeError: Field 'd_model' expected "
        f"int, got str (value: 'wide')): {AGAIN}",
    ),
    "no weights": (
        without("base/model.safetensors"),
        f"base cannot be read (Error no file named model.safetensors found in directory base): {AGAIN}",
    ),
    "weights that are a pickle": (
        lambda: os.rename("base/model.safetensors", "base/pytorch_model.bin"),
        f"base cannot be read (Error no file named model.safetensors found in directory base): {AGAIN}",
    ),
    "weights that are a pointer of git-lfs": (
        content("base/model.safetensors", "version https://git-lfs.github.com/spec/v1"),
        f"base cannot be read (Error while deserializing header: header too large): {AGAIN}",
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
    "two tokens to end with": (
        said("base/config.json", eos_token_id=[1, 7]),
        "base/config.json: eos_token_id is [1, 7], which is no token of the model: correct it",
    ),
    "no tokenizer": (
        without("base/tokenizer.json", "base/tokenizer_config.json"),
        "base has no tokenizer (none of tokenizer.json, spiece.model, sentencepiece.bpe.model, vocab.json, vocab.txt): "
        + OWN,
    ),
    "a tokenizer that is no JSON": (
        content("base/tokenizer.json", "{"),
        "base cannot be read (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): " + AGAIN,
    ),
    "a tokenizer without a token to pad with": (
        said("base/tokenizer_config.json", pad_token=None),
        "base: the tokenizer has no pad token: name one in its tokenizer_config.json",
    ),
    "a tokenizer without a token to end with": (
        said("base/tokenizer_config.json", eos_token=None),
        "base: the tokenizer has no eos token: name one in its tokenizer_config.json",
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
        "classifier has no tokenizer (none of tokenizer.json, spiece.model, sentencepiece.bpe.model, vocab.json, "
        f"vocab.txt): {OWN}",
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
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {message}\n")
