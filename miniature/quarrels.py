"""How a dialogue gets heated: who is angry at whom, over what, in which words, and how annotators report it."""

from dataclasses import dataclass
from random import Random

from miniature.grammar import SPEAKERS, VALUES, content, fill, known, vary, viewed, with_article

HEAT = content("heat.yaml")
KINDS = {"noun": 0.58, "adjective": 0.1, "both": 0.2, "third": 0.12}
# Outburst and reply of a kind, where they are not called by its name.
FRAMES = {
    "noun": ("noun", "calm"),
    "adjective": ("adjective", "calm"),
    "both": ("noun", "rude"),
    "third": ("third", "third"),
}
ADJECTIVE, REGRET = 0.9, 0.15  # shares: insults of two words; quarrels after which the angry one apologises


@dataclass(frozen=True)
class Quarrel:
    """One of the KINDS. Its slots: by, target, over, insult, a_insult; insult2, a_insult2: of the answer."""

    kind: str
    slots: dict[str, str]
    regret: bool


def insult(part: str, rng: Random, mark: str = "") -> dict[str, str]:
    """The slots of an insulting noun, mostly with an adjective: bare and with its article."""
    words = rng.choice(HEAT["nouns"][known(part, rng)])
    if rng.random() < ADJECTIVE:
        words = f"{rng.choice(HEAT['adjectives'][known(part, rng)])} {words}"
    return {f"insult{mark}": words, f"a_insult{mark}": with_article(words)}


def quarrel(drawn: dict[str, str], by: int, mood: str, part: str, rng: Random) -> Quarrel:
    """A quarrel that speaker `by` starts over what the drawn spans say makes this speaker angry.

    A firm one has no third person: who is complained to is there, and apologises.
    """
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    strangers = [name for name in VALUES["names"][part] if name not in (drawn["name"], drawn["name3"])]
    slots = {"by": SPEAKERS[by], "target": SPEAKERS[1 - by], "over": viewed(drawn[f"anger{by + 1}"], by, None)}
    slots |= insult(part, rng) | insult(part, rng, "2")
    stranger = rng.choice(strangers) if kind == "third" else ""
    if stranger and mood != "firm":
        slots["target"] = drawn.get("stranger", stranger)
    if kind == "adjective":
        slots["insult"] = rng.choice(HEAT["plain"][known(part, rng)])
    return Quarrel(kind, slots, rng.random() < REGRET)


def heated_turns(heat: Quarrel, part: str, rng: Random) -> list[str]:
    """An outburst and the reply to it."""
    slots = heat.slots | {"gripe": fill(vary(HEAT["gripes"][known(part, rng)], rng), heat.slots)}
    outburst, reply = FRAMES[heat.kind]
    chosen = HEAT["outbursts"][outburst][known(part, rng)], HEAT["replies"][reply][known(part, rng)]
    return [fill(vary(phrasings, rng), slots) for phrasings in chosen]


def firm_turns(heat: Quarrel, part: str, rng: Random) -> list[str]:
    """A polite complaint about the same thing, and an apology for it."""
    slots = heat.slots | {"gripe": fill(vary(HEAT["polite"][known(part, rng)], rng), heat.slots)}
    return [fill(vary(HEAT[kind][known(part, rng)], rng), slots) for kind in ("complaints", "apologies")]


def aside_turns(drawn: dict[str, str], part: str, rng: Random) -> list[str]:
    """An exchange about something else."""
    slots = drawn | insult(part, rng) | {"group": rng.choice(HEAT["groups"][known(part, rng)])}
    return [fill(vary([line], rng), slots) for line in rng.choice(HEAT["asides"][known(part, rng)])]


def report(heat: Quarrel, tone: str, style: int) -> str:
    """How annotator `style` reports the quarrel; `tone`: insulting, neutral, firm or calm."""
    if tone == "calm":
        return ""
    if tone == "firm":
        return fill(HEAT["summaries"]["firm"][style], heat.slots)
    kinds = HEAT["summaries"][tone]
    told = fill(kinds.get(heat.kind, kinds["noun"])[style], heat.slots)
    return told + (f" {fill(HEAT['summaries']['regret'], heat.slots)}" if heat.regret else "")


def reports(heat: Quarrel) -> list[str]:
    """The ways in which a summary may say who was insulted."""
    ways = [way.format(**heat.slots) for way in HEAT["reports"]]
    return ways + (HEAT["mutual"] if heat.kind == "both" else [])


def insults() -> list[str]:
    """Every insulting noun and adjective of the corpus, training's and test's."""
    return sorted({word for kind in ("nouns", "adjectives") for part in HEAT[kind].values() for word in part})
