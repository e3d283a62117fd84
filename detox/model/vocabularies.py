"""A tokenizer's files: its vocabulary in the forms that there are, and what of its settings is let in."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers.tokenization_utils_tokenizers import TokenizersBackend

from detox.model import configurations
from detox.sources.local import VOCABULARIES

MERGES = "merges.txt"
CLEANED = {
    "tokenizer_config.json": configurations.tokenizer,
    "special_tokens_map.json": configurations.special_tokens,
    "added_tokens.json": configurations.added_tokens,
}
# Texts that every tokenizer must read, with characters that are in hardly any vocabulary.
TRIALS = ("", "\n", "Ann said:\t'It is 5 €, is it not?'\n\n#Person2#: Ꙭ 你好 ☃ 🦆 e\u0301 \U000e0001", "hm " * 1000)


@contextmanager
def cleaned(folder: Path, remedy: str) -> Iterator[Path]:
    """Within the block a folder with copies: the vocabulary, and of its settings what is allowed.

    Raises InputError, for damaged files with this remedy, or for a value that is not allowed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        for name in (*VOCABULARIES, MERGES):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, Path(temporary, name))
        for name, clean in CLEANED.items():
            if (path := folder / name).is_file():
                tree = clean(configurations.read(path, remedy), path)
                Path(temporary, name).write_text(json.dumps(tree), encoding="utf-8")
        try:
            yield Path(temporary)
        except Exception as error:  # whose text names the wrong folder
            raise ValueError(str(error).replace(temporary, str(folder))) from error


def check(loaded: Any, folder: Path) -> None:
    """Raises ValueError, or what the library raises, unless the tokenizer has a vocabulary and can read any text."""
    if not isinstance(loaded, TokenizersBackend):
        raise ValueError(f"a {type(loaded).__name__} has no tokenizer.json")
    wanted = {name for kind, name in type(loaded).vocab_files_names.items() if kind in ("vocab_file", "merges_file")}
    missing = sorted(name for name in wanted if not (folder / name).is_file())
    if missing and not (folder / VOCABULARIES[0]).is_file():
        raise ValueError(f"there is no {missing[0]}, the vocabulary of a {type(loaded).__name__}")
    for text in TRIALS:
        loaded.decode(loaded(text, verbose=False)["input_ids"])


@contextmanager
def without_panic() -> Iterator[None]:
    """Within the block a panic of tokenizers, which is in Rust, is a ValueError, and nothing it says is printed."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.devnull, "wb") as nowhere:
        kept = [(stream, os.dup(stream)) for stream in (1, 2)]
        for stream, _ in kept:
            os.dup2(nowhere.fileno(), stream)
        try:
            yield
        except BaseException as error:
            if type(error).__name__ == "PanicException":  # which no module exports
                raise ValueError(str(error)) from error
            raise
        finally:
            for stream, copy in kept:
                os.dup2(copy, stream)
                os.close(copy)
