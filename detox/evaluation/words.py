"""Words in every script: the one way to divide a summary, for ROUGE, length, overlap, repetition and its end.

A word is what stands between blanks, without outer punctuation. Where a script puts no blanks between words, every
character counts as one, with the marks on it.
"""

import string
import unicodedata
from collections.abc import Iterable
from functools import cache

import regex

_SCRIPTS = r"\p{Han}\p{Hiragana}\p{Katakana}ーｰ\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
UNSPACED = rf"[[{_SCRIPTS}]&&[\p{{L}}\p{{M}}\p{{N}}]]"  # a character of a script without blanks between words
SPACED = rf"[\w--{UNSPACED}]"  # a character of a word that ends at a blank

_UNSPACED, _SPACED = (regex.compile(each, regex.V1) for each in (UNSPACED, SPACED))

_CHUNK = regex.compile(rf"\p{{P}}*{UNSPACED}\p{{M}}*\p{{P}}*|[^\s{UNSPACED}]+", regex.V1)
_OUTER = regex.compile(r"^[\p{P}$+<=>^`|~]+|[\p{P}$+<=>^`|~]+$")
_TERM = regex.compile(rf"{UNSPACED}\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--{UNSPACED}]+", regex.V1)
_ASCII_TERM = regex.compile(r"[a-z0-9]+")
# A mark that ends a sentence, perhaps closing quotes and brackets behind it. Thai and Lao have no such mark.
_END = regex.compile(r"(?:\p{STerm}[\"'\p{Pe}\p{Pf}\p{Pi}]*|[\p{Thai}\p{Lao}]\p{M}*)\s*$")

_ENGLISH = {"the", "and", "to", "of", "is"}
_ENOUGH, _SHARE = 50, 0.05


def chunks(text: str) -> list[str]:
    """What stands between blanks, in lower case; of scripts without blanks each character, with the marks at it."""
    # Most texts are ASCII, and of these this is the same, and six times as fast.
    return text.lower().split() if text.isascii() else _CHUNK.findall(text.lower())


def words(text: str) -> list[str]:
    """The `chunks` without outer punctuation; of a dash between blanks nothing is left, but it counts."""
    return [chunk.strip(string.punctuation) if chunk.isascii() else _OUTER.sub("", chunk) for chunk in chunks(text)]


def terms(text: str) -> list[str]:
    """Runs of letters, marks and digits in lower case; of scripts without blanks each character.

    Of a–z and 0–9 these are rouge_score's own. The same letters have the same bytes (Unicode's form C).
    """
    if text.isascii():  # the same, in a third of the time
        return _ASCII_TERM.findall(text.lower())
    return _TERM.findall(unicodedata.normalize("NFC", text.lower()))


def says(text: str, phrase: str) -> bool:
    """Whether a text has a phrase, in whichever case, that no letter or digit of the same word continues."""
    text, phrase = text.casefold(), phrase.casefold()
    start = text.find(phrase)
    while start >= 0:
        end = start + len(phrase)
        if not (_goes_on(phrase[:1], text[start - 1 : start]) or _goes_on(phrase[-1:], text[end : end + 1])):
            return True
        start = text.find(phrase, start + 1)
    return False


@cache
def _goes_on(edge: str, beside: str) -> bool:
    return not _UNSPACED.match(edge) and bool(_SPACED.match(beside))


def ends(text: str) -> bool:
    """Whether a text ends as a sentence does, in Thai and Lao: with a letter."""
    return bool(_END.search(text))


def english(texts: Iterable[str]) -> bool:
    """Whether the texts may be English: of 50 words or more, one in twenty is `the`, `and`, `to`, `of` or `is`.

    In English one in seven is, in other languages hardly one in fifty. Fewer words than that decide nothing.
    """
    found = [term for text in texts for term in terms(text)]
    return len(found) < _ENOUGH or sum(term in _ENGLISH for term in found) >= _SHARE * len(found)
