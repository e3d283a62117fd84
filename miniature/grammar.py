"""The corpus grammar: hand-written scenarios, phrasings and values → dialogues with reference summaries.

Everything random is drawn from the `random.Random` that is passed in. `part` is "train" or "test": phrasings, values
and insults of the two never meet. The format of the content files is described in miniature/README.md.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
MONTHS = ["January", "March", "April", "May", "June", "July", "August", "October", "November"]
MOODS = {"heated": 0.6, "firm": 0.15, "calm": 0.25}
SPEAKERS = ("#Person1#", "#Person2#")


def content(name: str) -> Any:
    """The parsed content file `name`, relative to this folder."""
    return YAML(typ="safe").load(HERE / name)


VALUES = content("values.yaml")
HEAT = content("heat.yaml")


def scenarios() -> list[dict[str, Any]]:
    """All scenarios, ordered by file and place."""
    return [scenario for path in sorted((HERE / "scenarios").glob("*.yaml")) for scenario in content(str(path))]


@dataclass(frozen=True)
class Scene:
    """One rendered dialogue. `slots` maps slot names to the values used; `heat` those of the quarrel, if any."""

    scenario: dict[str, Any]
    mood: str
    text: str
    slots: dict[str, str]
    heat: dict[str, str]


def fill(template: str, slots: dict[str, str]) -> str:
    """The template with its {slots} replaced; the first letter and those after a full stop are made capital."""
    text = re.sub(r"\{(\w+)\}", lambda match: slots[match[1]], template)
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match[1] + match[2].upper(), " ".join(text.split()))


def vary(phrasings: list[str], rng: Random) -> str:
    """One of the phrasings, and one alternative of each of its [brackets|with alternatives|]."""
    return re.sub(r"\[([^]]*)\]", lambda match: rng.choice(match[1].split("|")), rng.choice(phrasings))


def numbers(part: str, start: int, stop: int) -> list[int]:
    """The integers of the range that belong to the part: every seventh one is kept for the test."""
    return [n for n in range(start, stop) if (n % 7 == 3) == (part == "test")]


def global_slots(part: str, rng: Random) -> dict[str, str]:
    """Values of the slots that every scenario may use."""
    name, name2 = rng.sample(VALUES["names"][part], 2)
    clock = rng.choice(numbers(part, 8 * 12, 20 * 12))
    day = rng.choice(numbers(part, 1, 29))
    return {
        "name": name,
        "name2": name2,
        "town": rng.choice(VALUES["towns"][part]),
        "money": f"{rng.choice(numbers(part, 12, 400))} dollars",
        "number": str(rng.choice(numbers(part, 3, 61))),
        "time": f"{clock // 12}:{clock % 12 * 5:02d}",
        "date": f"{rng.choice(MONTHS)} {day}",
    }


def insult(part: str, rng: Random) -> dict[str, str]:
    """An insult of the part, bare and with its article."""
    words = rng.choice(HEAT["nouns"][part])
    if rng.random() < 0.7:
        words = f"{rng.choice(HEAT['adjectives'][part])} {words}"
    return with_article(words)


def with_article(words: str) -> dict[str, str]:
    """The slots of an insult."""
    return {"insult": words, "a_insult": f"{'an' if words[0] in 'aeiou' else 'a'} {words}"}


def heat_slots(scenario: dict[str, Any], part: str, rng: Random) -> dict[str, str]:
    """Who is angry at whom, over what, in which words."""
    reason = rng.choice(scenario["heat"]["reasons"])
    by = scenario["heat"]["by"]
    return {
        "by": SPEAKERS[by - 1],
        "other": SPEAKERS[2 - by],
        "over": reason["over"],
        "gripe": vary(reason[part], rng),
        **insult(part, rng),
    }


def render(scenario: dict[str, Any], part: str, rng: Random) -> Scene:
    """One random dialogue of the scenario."""
    slots = global_slots(part, rng) | {name: rng.choice(values[part]) for name, values in scenario["slots"].items()}
    mood = rng.choices(list(MOODS), list(MOODS.values()))[0]
    heat = heat_slots(scenario, part, rng)
    turns = [fill(vary(turn[part], rng), slots) for turn in scenario["turns"]]
    if mood != "calm":
        kinds = ("outbursts", "replies") if mood == "heated" else ("complaints", "apologies")
        after = scenario["heat"]["after"]
        turns[after:after] = [fill(vary(HEAT[kind][part], rng), heat) for kind in kinds]
    text = "\n".join(f"{SPEAKERS[i % 2]}: {turn}" for i, turn in enumerate(turns))
    return Scene(scenario, mood, text, slots, heat)


def summarize(scene: Scene, style: str, tone: str, rng: Random) -> str:
    """A reference summary in one of the scenario's styles; `tone` says how the quarrel is reported."""
    sentence = "" if scene.mood == "calm" else fill(rng.choice(HEAT["summaries"][tone]), scene.heat)
    return fill(style, scene.slots | {"heat": sentence})


def facts(scene: Scene) -> dict[str, list[str]]:
    """What a summary of the scene may state, each fact with the ways to put it: its values, and who was insulted."""
    used = re.findall(r"\{(\w+)\}", " ".join(turn["test"][0] for turn in scene.scenario["turns"]))
    found = {name: [scene.slots[name]] for name in dict.fromkeys(used)}
    if scene.mood == "heated":
        found["insulted"] = [report.format(**scene.heat) for report in HEAT["reports"]]
    return found


def insults() -> list[str]:
    """Every insulting noun and adjective of the corpus, training's and test's."""
    return sorted({word for kind in ("nouns", "adjectives") for part in HEAT[kind].values() for word in part})


def tones(scene: Scene) -> list[str]:
    """The ways in which annotators may report the scene's mood."""
    return ["insulting", "neutral"] if scene.mood == "heated" else [scene.mood]
