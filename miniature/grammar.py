"""What the corpus is written in: content files, spans and values, and how a template becomes a sentence.

Everything random is drawn from the `random.Random` that is passed in. `part` is "train" or "test". Spans and values of
the two never meet; of the test's phrasings and insults a share is the test's own, and the others are training's, as
people go on to talk as they did. The format of the content files is described in miniature/README.md.
"""

import re
from pathlib import Path
from random import Random
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
MONTHS = ["January", "March", "April", "May", "June", "July", "August", "October", "November"]
SPEAKERS = ("#Person1#", "#Person2#")
# Persons in a span: as its owner says them, as the other speaker does, and as a summary does.
PERSONS = {
    "I am": ("I am", "you are", "{a} is"),
    "I have": ("I have", "you have", "{a} has"),
    "I was": ("I was", "you were", "{a} was"),
    "I": ("I", "you", "{a}"),
    "me": ("me", "you", "{a}"),
    "myself": ("myself", "yourself", "{a}"),
    "my": ("my", "your", "{a}'s"),
    "we": ("we", "we", "they"),
    "us": ("us", "us", "them"),
    "our": ("our", "our", "their"),
    "you": ("you", "me", "{b}"),
    "your": ("your", "my", "{b}'s"),
}


def content(name: str) -> Any:
    """The parsed content file `name`, relative to this folder."""
    return YAML(typ="safe").load(HERE / name)


VALUES = content("values.yaml")
NEW = 0.05  # share of the test's phrasings and insults that training never had


def spans(line: str) -> dict[str, list[str]]:
    """The spans of a line `a; b || c; d`: training's, after the bars the test's; without bars all are the test's."""
    parts = [[span.strip() for span in part.split(";")] for part in line.split("||")]
    return {"train": parts[0] if parts[1:] else [], "test": parts[-1]}


def scenarios() -> list[dict[str, Any]]:
    """All scenarios, ordered by file and place: name, genre, split (`seen` or `unseen`) and spans."""
    found = []
    for path in sorted((HERE / "scenarios").glob("*.yaml")):
        for split, rows in content(str(path)).items():
            for row in rows:
                lines = {key: spans(line) for key, line in row.items() if key != "name"}
                found.append({"name": row["name"], "genre": path.stem, "split": split, "spans": lines})
    return found


def viewed(span: str, owner: int, speaker: int | None) -> str:
    """The span of speaker `owner` (0 or 1) in the mouth of `speaker`; None: of a third person."""
    view = 2 if speaker is None else int(owner != speaker)
    names = {"a": SPEAKERS[owner], "b": SPEAKERS[1 - owner]}
    span = re.sub(r"(\w+)~", lambda match: third_person(match[1]) if view == 2 else match[1], span)
    return re.sub(r"<([\w ]+)>", lambda match: PERSONS[match[1]][view].format(**names), span)


def third_person(verb: str) -> str:
    """The verb after he or she: walk, go, carry → walks, goes, carries."""
    if verb.endswith(("s", "sh", "ch", "x", "o")):
        return f"{verb}es"
    return re.sub(r"(?<![aeiou])y$", "ie", verb) + "s"


def with_article(words: str) -> str:
    """The words after a or an."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def fill(template: str, slots: dict[str, str]) -> str:
    """The template with its {slots} replaced; the first letter and those after a full stop are made capital."""
    text = re.sub(r"\{(\w+)\}", lambda match: slots[match[1]], template)
    text = re.sub(r"\s+([.,!?:])", r"\1", " ".join(text.split()))
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def vary(phrasings: list[str], rng: Random) -> str:
    """One of the phrasings, and one alternative of each of its [brackets|with alternatives|]."""
    return re.sub(r"\[([^]]*)\]", lambda match: rng.choice(match[1].split("|")), rng.choice(phrasings))


def known(part: str, rng: Random) -> str:
    """Whose phrasing or insult the part takes this time."""
    return "test" if part == "test" and rng.random() < NEW else "train"


def numbers(part: str, start: int, stop: int) -> list[int]:
    """The integers of the range that belong to the part: every seventh one is kept for the test."""
    return [n for n in range(start, stop) if (n % 7 == 3) == (part == "test")]


def clock(part: str, rng: Random) -> str:
    """A time of the day."""
    minutes = rng.choice(numbers(part, 8 * 12, 20 * 12))
    return f"{minutes // 12}:{minutes % 12 * 5:02d}"


def values(part: str, rng: Random) -> dict[str, str]:
    """Values of the slots that every scenario may use."""
    name, name3 = rng.sample(VALUES["names"][part], 2)
    time, time2 = (clock(part, rng) for _ in range(2))
    money2, money = sorted(rng.sample(numbers(part, 12, 400), 2))
    return {
        "name": name,
        "name3": name3,
        "town": rng.choice(VALUES["towns"][part]),
        "money": f"{money} dollars",
        "money2": f"{money2} dollars",
        "number": str(rng.choice(numbers(part, 3, 61))),
        "time": time,
        "time2": time2,
        "date": f"{rng.choice(MONTHS)} {rng.choice(numbers(part, 1, 29))}",
    }
