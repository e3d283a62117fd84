"""What a tokenizer.json may do with a text: make it a little longer, in a time that is bounded.

Its steps are replacements, regular expressions and templates, of any number and kind: a text of a line could become one
of gigabytes, or be searched for years.
"""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from detox import parsing
from detox.errors import InputError, brief
from detox.model import library

Tree = dict[str, Any]

LONGEST = 2**26  # bytes of the file
STEPS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
PROCESSING = ("padding", "truncation")  # which the caller says for every text
GROWTH = 64  # times its length may a text become by all replacements together, and by one table of characters
PIECES = 64  # special tokens around a text; characters before it
PATTERN, REPEATS = 1000, 3  # characters of a regular expression, and repetitions in each of its alternatives
CHARACTERS = 1000  # of a word that WordPiece looks up, for which it takes the square of that


def read(path: Path, remedy: str) -> Tree:
    """The tokenizer in the file. Raises InputError, which ends in the remedy, if it is damaged or does more."""
    if (size := path.stat().st_size) > LONGEST:
        raise InputError(f"{path} has {size} bytes, more than the {LONGEST} of a tokenizer: {remedy}")
    tree = parsing.read_json(path, remedy)
    try:
        _check(tree)
    except (ValueError, TypeError, AttributeError, LookupError, StopIteration, RecursionError) as error:
        raise InputError(f"{path}: {library.first_sentence(error)}: use another tokenizer") from error
    return {key: value for key, value in tree.items() if key not in PROCESSING}


def _check(tree: Tree) -> None:
    growth = 1.0
    for step in (each for name in STEPS for each in _mappings(tree.get(name))):
        growth *= GROWS.get(str(step.get("type")), _same)(step)
        if growth > GROWTH:
            raise ValueError(f"its steps make a text more than {GROWTH} times as long")
        if "Regex" in step:
            _check_pattern(step["Regex"])
    if (most := (tree.get("model") or {}).get("max_input_chars_per_word", 0)) > CHARACTERS:
        raise ValueError(f"max_input_chars_per_word is {brief(most)}, more than {CHARACTERS}")


def _mappings(tree: Any) -> Iterator[Tree]:
    if isinstance(tree, dict):
        yield tree
    for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []:
        yield from _mappings(each)


def _same(step: Tree) -> float:
    return 1.0


def _replace(step: Tree) -> float:
    """A text is found once in its own length; an expression may find nothing at every place."""
    (kind, pattern), content = next(iter(step["pattern"].items())), len(step["content"])
    if kind == "String":
        return max(1.0, content / max(1, len(pattern)))
    return 1.0 if not content else 1.0 + content


def _prepend(step: Tree) -> float:
    if len(step["prepend"]) > PIECES:
        raise ValueError(f"it puts {len(step['prepend'])} characters before a text")
    return 1.0


def _template(step: Tree) -> float:
    """The text itself once, and special tokens."""
    tokens = sum(len(each["ids"]) for each in step["special_tokens"].values())
    for name, texts in (("single", 1), ("pair", 2)):
        pieces = step[name]
        if sum("Sequence" in piece for piece in pieces) > texts or max(len(pieces), tokens) > PIECES:
            raise ValueError(f"its template has {len(pieces)} pieces, and a text more than once or many tokens")
    return 1.0


def _precompiled(step: Tree) -> float:
    """A table of characters, as sentencepiece compiles it: a trie, its size before it, and texts that end in NUL."""
    table = base64.b64decode(step["precompiled_charsmap"] or "")
    texts = table[4 + int.from_bytes(table[:4], "little") :].split(b"\0")
    if (longest := max(map(len, texts))) > GROWTH:
        raise ValueError(f"it puts {longest} bytes in the place of a character")
    return 1.0


def _check_pattern(pattern: str) -> None:
    """Raises ValueError for one that may take more than a power of a text's length: a repetition within another, or a
    reference back.
    """
    plain = re.sub(r"\\[pP]\{\^?\w+\}", "p", pattern)  # \p{L}, a kind of letter
    plain = re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "c", plain)
    nested = re.search(r"\)\s*[*+?{]|\\[1-9kg]|\(\?[<P&R(]|[*+}][*+]", plain)
    repeats = max(len(re.findall(r"(?<!\\)[*+]|\{\d+,\d*\}", each)) for each in plain.split("|"))
    if len(pattern) > PATTERN or nested or repeats > REPEATS:
        raise ValueError(f"the expression {brief(pattern)} may take a text too long")


GROWS: dict[str, Callable[[Tree], float]] = {
    "Replace": _replace,
    "Prepend": _prepend,
    "TemplateProcessing": _template,
    "Precompiled": _precompiled,
}
