"""What the libraries raise and print where a file is damaged or hostile, as one line."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from detox.errors import InputError

AGAIN = "get it again from its source"
REASON = 240  # characters of what the library says


def first_sentence(error: Exception) -> str:
    """What a library says of an error, without its advice on how to program."""
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")[:REASON] or type(error).__name__


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Within the block the library is silent; what it raises is an InputError that names the path."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # whatever a damaged or hostile file makes of it
        raise InputError(f"{path} cannot be read ({first_sentence(error)}): {AGAIN}") from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def tokens(tokenizer: PreTrainedTokenizerBase, texts: list[str], **options: Any) -> list[list[int]]:
    """The numbers of the tokens of texts. Raises InputError, which names the tokenizer's folder, if it cannot read one.

    A file decides how it reads, and it may read all that it was tried on when it was loaded, and not this.
    """
    with one_line(Path(tokenizer.name_or_path)), no_panic():
        found: list[list[int]] = tokenizer(texts, verbose=False, **options)["input_ids"]
    return found


@contextmanager
def no_future() -> Iterator[None]:
    """Within the block a library does not say that it calls another one by a name which is going to go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@contextmanager
def no_panic() -> Iterator[None]:
    """Within the block a panic of tokenizers, which is in Rust, is a ValueError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # which no module exports
            raise ValueError(str(error)) from error
        raise


@contextmanager
def unheard() -> Iterator[None]:
    """Within the block nothing is printed, not even by code in Rust or C, which writes past Python's own streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.devnull, "wb") as nowhere:
        kept = [(stream, os.dup(stream)) for stream in (1, 2)]
        for stream, _ in kept:
            os.dup2(nowhere.fileno(), stream)
        try:
            yield
        finally:
            for stream, copy in kept:
                os.dup2(copy, stream)
                os.close(copy)
