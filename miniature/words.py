"""Words to copy: of the lexicon, of the content, made up."""

import re
from collections.abc import Iterator
from random import Random
from typing import Any

from miniature.grammar import HERE, content, scenarios, viewed

CONSONANTS = "b br c ch cr d dr f fl g gr h j k l m n p pl qu r s sh st t th tr v w y z".split()
VOWELS = "a e i o u ai ea ee oo ou".split()
CODAS = ["", "", "n", "r", "s", "l", "th", "ck", "nd", "ster", "ly", "ing", "y", "e", "x", "m", "ft", "ton", "ford"]
CHANGED, MADE_UP = 0.3, 0.3  # shares: words of a span that are exchanged; of these, made up
LEXICON = (HERE / "lexicon.txt").read_text(encoding="utf-8").split()


def made_up_word(word: str, rng: Random) -> str:
    """A pronounceable nonsense word, capital where the given one is; digits become other digits."""
    if any(letter.isdigit() for letter in word):
        return "".join(rng.choice("123456789") if letter.isdigit() else letter for letter in word)
    new = "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 3))) + rng.choice(CODAS)
    return new.capitalize() if word[0].isupper() else new


def other_word(word: str, rng: Random, words: list[str]) -> str:
    """Any one of the words, or a made-up one."""
    return made_up_word(word, rng) if rng.random() < MADE_UP else rng.choice(words)


def changed(span: str, rng: Random, words: list[str]) -> str:
    """The span with some of its longer words exchanged."""
    share = rng.choice([0, CHANGED, 2 * CHANGED])
    return re.sub(
        r"(?<![<\w~])[a-z]{4,}(?![\w>~])",
        lambda word: other_word(word[0], rng, words) if rng.random() < share else word[0],
        span,
    )


def texts(node: Any) -> Iterator[str]:
    """Every text in a content file."""
    if isinstance(node, str):
        yield node
    else:
        for child in node.values() if isinstance(node, dict) else node:
            yield from texts(child)


def viewed_spans() -> Iterator[str]:
    """Every span of every scenario, in the mouths of both speakers and of a third person."""
    for scenario in scenarios():
        for span in texts(scenario["spans"]):
            yield from (viewed(span, 0, speaker) for speaker in (0, 1, None))


def first_words() -> list[str]:
    """Every word with which a span begins."""
    return sorted({span.split()[0] for span in viewed_spans() if re.match(r"[a-z]{2,}\b", span)})


def content_words() -> list[str]:
    """Every word that a turn or a summary may have, training's or the test's, but for names."""
    found = [text for name in ("acts.yaml", "heat.yaml", "genres.yaml") for text in texts(content(name))]
    found += viewed_spans()
    return sorted(set(re.findall(r"(?<![{\w])[a-z]{2,}(?![\w}(])", " ".join(found))))
