"""What transformers saved, read from a folder of this machine: whole, and as it stands there, or not at all.

The library by itself would put random numbers in the place of missing weights, make up an empty vocabulary, run code
that lies beside a model, and open any file of the machine that a configuration names. So it is never given the folder:
a model is made of its cleaned configuration and its weights, a tokenizer of cleaned copies of its files.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from detox.errors import InputError
from detox.model import configurations, library, tokenizing, weights
from detox.model.library import AGAIN
from detox.sources.local import VOCABULARIES

CONFIG = "config.json"
MERGES = "merges.txt"
TOKENIZER = VOCABULARIES[0]
CLEANED = {
    "tokenizer_config.json": configurations.tokenizer,
    "special_tokens_map.json": configurations.special_tokens,
    "added_tokens.json": configurations.added_tokens,
}
# Texts that every tokenizer must read, with characters that are in hardly any vocabulary.
TRIALS = ("", "\n", "Ann said:\t'It is 5 €, is it not?'\n\n#Person2#: Ꙭ 你好 ☃ 🦆 e\u0301 \U000e0001", "hm " * 1000)
WHOLE = "get the whole model that its config.json describes"


def config(folder: Path) -> PreTrainedConfig:
    """What config.json says of the model. Raises InputError if it is missing, damaged, or says what is not allowed."""
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"{path} does not exist: check the source's path in params.yaml")
    with library.one_line(path):
        described = configurations.model(configurations.read(path, AGAIN), path)
        return AutoConfig.for_model(**described)


def skeleton(kind: Any, folder: Path) -> Any:
    """The model that config.json describes, without weights. Raises InputError if it is not of this Auto class, or far
    larger than the weights beside it.
    """
    with weights.opened(folder, AGAIN) as held:
        return _skeleton(kind, folder, config(folder), held)


def _skeleton(kind: Any, folder: Path, described: PreTrainedConfig, held: weights.Weights) -> Any:
    with library.one_line(folder / CONFIG), weights.bound(held), torch.device("meta"):
        return kind.from_config(described, trust_remote_code=False)


def model(kind: Any, folder: Path, dtype: str = "float32", **options: Any) -> Any:
    """A model of one of the library's Auto classes, its weights in this type of torch, without dropout.

    Raises InputError if it is of another kind, or if a weight is missing, has another shape or is not finite.
    """
    loaded, wrong = _loaded(kind, folder, dtype=getattr(torch, dtype), **options)
    wrong |= {name: "is not finite" for name, weight in loaded.named_parameters() if not weight.isfinite().all()}
    _refuse(folder, wrong)
    return loaded.eval()


def check(kind: Any, folder: Path) -> Any:
    """The model without its weights, of which names and shapes alone are read: a moment for any size.

    Raises InputError if it is of another kind, or if a weight is missing or has another shape.
    """
    loaded, wrong = _loaded(kind, folder, dtype=torch.float32, device_map="meta")
    _refuse(folder, wrong)
    return loaded


def _loaded(kind: Any, folder: Path, **options: Any) -> tuple[Any, dict[str, str]]:
    """The model, and what is wrong with which weight by what the library says."""
    described = options.pop("config", None) or config(folder)
    with library.one_line(folder), weights.opened(folder, AGAIN) as held:
        skeleton = _skeleton(kind, folder, described, held)
        _refuse(folder, weights.misshapen(held, skeleton))  # of two tied tables the library would say something else
        loaded, info = type(skeleton).from_pretrained(
            None,
            config=described,
            state_dict=held,
            ignore_mismatched_sizes=True,  # or the library would print a table; they are refused below
            output_loading_info=True,
            **options,
        )
    loaded.name_or_path = loaded.config.name_or_path = str(folder)
    wrong = dict.fromkeys(info["missing_keys"], "is absent")
    return loaded, wrong | {name: weights.other(found, wanted) for name, found, wanted in info["mismatched_keys"]}


def _refuse(folder: Path, wrong: dict[str, str]) -> None:
    """Raises InputError if something is wrong with a weight."""
    if wrong:
        name = min(wrong)
        raise InputError(f"{folder}: the weight {name} {wrong[name]}: {WHOLE}")


def tokenizer(folder: Path, *needed: str) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside a model; `needed` are special tokens: pad, eos.

    Raises InputError if there is none, if it lacks one of these, cannot read every text, or does not belong to the
    model.
    """
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise InputError(f"{folder} has no tokenizer (none of {', '.join(VOCABULARIES)}): put the model's own there")
    described = config(folder)
    with library.one_line(folder), _cleaned(folder) as copy, library.unheard(), library.no_panic():
        loaded = AutoTokenizer.from_pretrained(copy, config=described, trust_remote_code=False)
        _check_reads(loaded, copy)
    loaded.name_or_path = str(folder)
    _check_belongs(loaded, described, folder, needed)
    return loaded


@contextmanager
def _cleaned(folder: Path) -> Iterator[Path]:
    """Within the block a folder with a tokenizer's vocabulary, and of its configuration what is allowed."""
    with tempfile.TemporaryDirectory() as temporary:
        for name in (*VOCABULARIES, MERGES):
            if name != TOKENIZER and (folder / name).is_file():
                shutil.copyfile(folder / name, Path(temporary, name))
        if (folder / TOKENIZER).is_file():
            tree = tokenizing.read(folder / TOKENIZER, AGAIN)
            Path(temporary, TOKENIZER).write_text(json.dumps(tree), encoding="utf-8")
        for name, clean in CLEANED.items():
            if (path := folder / name).is_file():
                tree = clean(configurations.read(path, AGAIN), path)
                Path(temporary, name).write_text(json.dumps(tree), encoding="utf-8")
        try:
            yield Path(temporary)
        except Exception as error:  # whose text names the wrong folder
            raise ValueError(str(error).replace(temporary, str(folder))) from error


def _check_reads(loaded: Any, folder: Path) -> None:
    """Raises ValueError, or what the library raises, unless the tokenizer has a vocabulary and can read any text."""
    if not isinstance(loaded, TokenizersBackend):
        raise ValueError(f"a {type(loaded).__name__} has no tokenizer.json")
    wanted = {name for kind, name in type(loaded).vocab_files_names.items() if kind in ("vocab_file", "merges_file")}
    missing = sorted(name for name in wanted if not (folder / name).is_file())
    if missing and not (folder / TOKENIZER).is_file():
        raise ValueError(f"there is no {missing[0]}, the vocabulary of a {type(loaded).__name__}")
    for text in TRIALS:
        loaded.decode(loaded(text, verbose=False)["input_ids"])


def _check_belongs(loaded: Any, described: PreTrainedConfig, folder: Path, needed: Sequence[str]) -> None:
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
