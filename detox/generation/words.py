"""Lists of words: those that the word filter forbids while decoding."""

from pathlib import Path

from detox.errors import InputError


def read(path: Path) -> list[str]:
    """The words of a list, one a line. Raises InputError if there are none."""
    try:
        words = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no readable list of words: correct rivals.bad_words") from error
    words = [word.strip() for word in words if word.strip()]
    if not words:
        raise InputError(f"{path} has no words, one a line: correct rivals.bad_words")
    return words
