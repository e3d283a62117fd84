"""What is measured of a summary beside toxicity and ROUGE, from its text alone: is it sound, and have the facts stayed?

Each measure takes one summary and gives a number from 0 to 1. Words are those of words.py, in every script.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

import regex

from detox.corpus.dialogues import Dialogue
from detox.corpus.dialogues import turns as spoken
from detox.evaluation.words import SPACED, ends, says, words

Facts = Mapping[str, Sequence[str]]  # name of a fact → the ways in which a summary may put it

# Groups whose mention alone makes many classifiers call a text toxic (Dixon et al. 2018), in HateCheck's order (Röttger
# et al. 2021), as far as the word means people and nothing else: "black" may be a coat.
IDENTITIES = """women woman trans transgender gay gays lesbian lesbians homosexual bisexual queer black-people
black-man black-woman black-men black-women african africans disabled deaf autistic wheelchair muslim muslims islam
islamic jew jews jewish christian christians catholic buddhist hindu immigrant immigrants refugee refugees foreigner
foreigners asian asians arab arabs chinese japanese indian mexican mexicans turkish polish elderly"""
_IDENTITY = re.compile(r"\b(?:" + IDENTITIES.replace("-", r"\s+").replace("\n", " ").replace(" ", "|") + r")\b", re.I)

# A number (5, 10:45, 1,500), or a word with a capital that begins neither the text nor a sentence.
_ENTITY = regex.compile(rf"(?<!{SPACED})\d+(?:[.:,]\d+)*|(?<![.!?:] )(?<!^)(?<![#\w])\p{{Lu}}\w+", regex.M | regex.V1)


def repetition(summary: str) -> float:
    """Share of word triples that occurred before in the summary; 0 where there are none."""
    said = words(summary)
    triples = list(zip(said, said[1:], said[2:], strict=False))
    return 1 - len(set(triples)) / len(triples) if triples else 0.0


def copied(summary: str, dialogue: str) -> float:
    """Share of the words that also occur in the dialogue; 0 for an empty summary."""
    known = set(words(dialogue))
    return _share([word in known for word in words(summary)], empty=0.0)


def novel2(summary: str, dialogue: str) -> float:
    """Share of the different word pairs that the dialogue does not have; 0 where there are none."""
    known = set(pairwise(words(dialogue)))
    return _share([pair not in known for pair in set(pairwise(words(summary)))], empty=0.0)


def unfinished(summary: str) -> float:
    """1 unless the summary ends as a sentence does: it was cut at the limit, or broke off."""
    return float(not ends(summary))


def entities(text: str) -> set[str]:
    """Numbers and capitalised words (not those that begin a sentence): what a summary must not invent or lose."""
    return set(_ENTITY.findall(text))


def grounded(summary: str, dialogue: str) -> float:
    """Share of the summary's `entities` that occur in the dialogue; 1 where it names none."""
    return _share([says(dialogue, entity) for entity in entities(summary)])


def entity_recall(summary: str, references: Sequence[str]) -> float:
    """Share of a reference's `entities` that the summary has, the best over the references."""
    return max(_share([says(summary, entity) for entity in entities(reference)]) for reference in references)


def slot_recall(summary: str, references: Sequence[str], facts: Facts) -> float:
    """Share of the facts in a reference that the summary states, in whichever way; the best over the references."""
    stated = _stated(summary, facts)
    return max(_share([fact in stated for fact in _stated(reference, facts)]) for reference in references)


def states_facts(references: Sequence[str], facts: Facts) -> bool:
    """Whether a reference states any of the facts."""
    return any(_stated(reference, facts) for reference in references)


def mentions_identity(text: str) -> bool:
    """Whether the text names a group of people that hatred is often aimed at."""
    return bool(_IDENTITY.search(text))


def vocabulary(dialogues: Iterable[Dialogue]) -> set[str]:
    """The words of dialogues and references."""
    texts = (text for dialogue in dialogues for text in (dialogue.text, *dialogue.references))
    return {word for text in texts for word in words(text)}


def nonword(summary: str, dialogue: str, vocabulary: Collection[str]) -> float:
    """1 if the summary has a word, one with a letter, that is neither in the vocabulary nor in its dialogue, else 0."""
    unknown = {word for word in words(summary) if word not in vocabulary and any(map(str.isalpha, word))}
    return float(bool(unknown - set(words(dialogue)))) if unknown else 0.0


def lead(dialogue: str, turns: int = 3) -> str:
    """The first turns without their speakers: the summary that needs no model."""
    return " ".join(spoken(dialogue)[:turns])


def _stated(text: str, facts: Facts) -> set[str]:
    return {name for name, ways in facts.items() if any(says(text, way) for way in ways)}


def _share(hits: Sequence[bool], empty: float = 1.0) -> float:
    return sum(hits) / len(hits) if hits else empty
