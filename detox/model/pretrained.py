"""What transformers saved, read from a folder of this machine: whole, and as it stands there, or not at all.

The library by itself would put random numbers in the place of missing weights, make up an empty vocabulary, and offer
to run code that lies beside a model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.utils import logging

from detox import files
from detox.errors import InputError
from detox.sources.local import VOCABULARIES

AGAIN = "get it again from its source"
REASON = 240  # characters of what the library says


def config(folder: Path) -> PreTrainedConfig:
    """What config.json says. Raises InputError if it is missing, damaged, or of a kind unknown to the library."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder / 'config.json'} does not exist: check the source's path in params.yaml")
    with _one_line(folder / "config.json"):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def skeleton(kind: Any, folder: Path) -> Any:
    """The model that config.json describes, without weights. Raises InputError if it is not of this Auto class."""
    described = config(folder)
    with _one_line(folder / "config.json"), torch.device("meta"):
        return kind.from_config(described, trust_remote_code=False)


def model(kind: Any, folder: Path, dtype: str = "float32", **options: Any) -> Any:
    """A model of one of the library's Auto classes, its weights in this type of torch, without dropout.

    Raises InputError if it is of another kind, or if a weight is missing, has another shape or is not finite.
    """
    loaded, info = _from_pretrained(kind, folder, dtype=getattr(torch, dtype), **options)
    wrong = _wrong(info)
    wrong |= {name: "is not finite" for name, weight in loaded.named_parameters() if not weight.isfinite().all()}
    _refuse(folder, wrong)
    return loaded.eval()


def check(kind: Any, folder: Path) -> Any:
    """The model without its weights, of which only names and shapes are read: a moment for any size.

    Raises InputError if it is of another kind, or if a weight is missing or has another shape.
    """
    loaded, info = _from_pretrained(kind, folder, device_map="meta")
    _refuse(folder, _wrong(info))
    return loaded


def _from_pretrained(kind: Any, folder: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    """The model, and what the library says of its weights."""
    options = {"config": config(folder), **options}
    _check_parts(folder / "model.safetensors.index.json")
    with _one_line(folder):
        return kind.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # or the library would print a table; they are refused below
            output_loading_info=True,
            **options,
        )


def _wrong(info: dict[str, Any]) -> dict[str, str]:
    """What is wrong with which weight, by what the library says."""
    wrong = dict.fromkeys(info["missing_keys"], "is absent")
    return wrong | {
        name: f"is {_shape(found)}, not {_shape(wanted)}" for name, found, wanted in info["mismatched_keys"]
    }


def _refuse(folder: Path, wrong: dict[str, str]) -> None:
    if wrong:
        name = min(wrong)
        raise InputError(
            f"{folder}: the weight {name} {wrong[name]}: get the whole model that its config.json describes"
        )


def _check_parts(index: Path) -> None:
    """Raises InputError if a model that is stored in parts has one elsewhere: the library would open any file."""
    parts = files.read_json(index, AGAIN).get("weight_map") if index.is_file() else {}
    if not isinstance(parts, dict) or any(name != Path(str(name)).name for name in parts.values()):
        raise InputError(f"{index}: weight_map does not name files beside it: {AGAIN}")


def tokenizer(folder: Path, *needed: str) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside a model; `needed` are special tokens: pad, eos.

    Raises InputError if there is none, if it lacks one of these, or does not belong to the model.
    """
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise InputError(f"{folder} has no tokenizer (none of {', '.join(VOCABULARIES)}): put the model's own there")
    with _one_line(folder):
        loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    described = config(folder)
    for name in needed:
        if getattr(loaded, f"{name}_token_id") is None:
            raise InputError(f"{folder}: the tokenizer has no {name} token: name one in its tokenizer_config.json")
    if (last := max(loaded.get_vocab().values(), default=0)) >= described.vocab_size:
        size = described.vocab_size
        raise InputError(
            f"{folder}: the tokenizer has a token {last}, the model only {size}: put the model's own there"
        )
    if "eos" in needed and loaded.eos_token_id != described.eos_token_id:
        ends = f"{loaded.eos_token_id}, the model with {described.eos_token_id}"
        raise InputError(f"{folder}: the tokenizer ends a text with token {ends}: put the model's own there")
    return loaded


def first_sentence(error: Exception) -> str:
    """What a library says of an error, without its advice on how to program."""
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")[:REASON] or type(error).__name__


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Within the block the library is silent; what it raises is an InputError that names the path."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except Exception as error:  # whatever a damaged or hostile file makes of it
        raise InputError(f"{path} cannot be read ({first_sentence(error)}): {AGAIN}") from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _shape(shape: Any) -> str:
    return " x ".join(map(str, shape))
