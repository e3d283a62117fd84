"""Fixtures of tiny models for the test files that say `pytest_plugins = ["models"]`: the others import no torch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import (
    DIALOGUES,
    HIDDEN,
    VOCABULARY,
    Prompts,
    classifier_params,
    detector_of,
    new_base,
    new_classifier,
    save_adapter,
    save_classifier,
    word_tokenizer,
)
from torch import nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from detox.model import prompts
from detox.model.classifier import Classifier
from detox.model.policy import Policy


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random T5 in FLAN's shape and its word-level tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    new_base(seed=0).save_pretrained(folder)
    word_tokenizer(VOCABULARY, "$A </s>", pad="<pad>", eos="</s>").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a LoRA adapter for the base that changes what the base says."""
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(folder, base, seed=1)
    return folder


@pytest.fixture(scope="session")
def tokenizer(base: Path) -> PreTrainedTokenizerBase:
    """The base's tokenizer."""
    return AutoTokenizer.from_pretrained(base)


@pytest.fixture(scope="session")
def encoded(tokenizer: PreTrainedTokenizerBase) -> Prompts:
    """The prompts of DIALOGUES, of different lengths."""
    return Prompts(*prompts.Prompt(tokenizer, 30).encode(DIALOGUES))


@pytest.fixture
def policy(base: Path, adapter: Path) -> Policy:
    """A policy of the test's own, to train or to spoil, whose value head is random instead of zero."""
    policy = Policy(base, adapter)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        for weight in policy.value_head_parameters():
            nn.init.normal_(weight, std=HIDDEN**-0.5)
    return policy


@pytest.fixture(scope="session")
def word_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classifier of margin −2 for a text with the word "rude" and +2 for any other."""
    folder = tmp_path_factory.mktemp("word_classifier")
    save_classifier(folder, detector_of("rude"))
    return folder


@pytest.fixture(scope="session")
def random_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classifier whose margin changes with every word, and reads 30 tokens at most."""
    folder = tmp_path_factory.mktemp("random_classifier")
    save_classifier(folder, new_classifier(seed=3, layers=2))
    return folder


@pytest.fixture(scope="session")
def reward(word_classifier: Path) -> Classifier:
    """The classifier of the word "rude", ready to use."""
    return Classifier(classifier_params(word_classifier))
