"""How far a dialogue is from what the summariser learnt: by its word pairs, against those of the training dialogues."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from detox import parsing
from detox.evaluation import words

TRAIN, TEST = Path("data/prepared/train.jsonl"), Path("data/prepared/test.jsonl")
OWN = 0.99  # share of the test dialogues that count as near


class Familiarity:
    """The word pairs of the training dialogues, and how many new ones a test dialogue has."""

    def __init__(self, train: Iterable[str], test: Iterable[str]):
        self.known = {pair for text in train for pair in pairs(text)}
        shares = sorted(map(self.new, test))
        self.limit = shares[int(OWN * (len(shares) - 1))] if shares else 1.0

    def new(self, text: str) -> float:
        """Share of its word pairs that no training dialogue has."""
        own = pairs(text)
        return sum(pair not in self.known for pair in own) / len(own) if own else 0.0

    def warning(self, text: str) -> str | None:
        """What is to be said of a dialogue that is farther away than nearly all test dialogues are."""
        if (share := self.new(text)) <= self.limit:
            return None
        return (
            f"{100 * share:.0f} % of its word pairs are in no training dialogue (of the test dialogues' hardly more "
            f"than {100 * self.limit:.0f} %): its summaries may be nonsense, and their toxicity says little"
        )


def pairs(text: str) -> list[tuple[str, str]]:
    """Neighbouring words, in small letters."""
    return list(pairwise(words.terms(text)))


def load() -> Familiarity:
    """From data/prepared. Raises InputError where that is missing."""
    return Familiarity(*((str(row["text"]) for row in parsing.read_jsonl(path)) for path in (TRAIN, TEST)))
