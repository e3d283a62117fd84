"""Scenes: a scenario's spans in a plot's turns → a dialogue, its reference summaries, and what they may state."""

import re
from dataclasses import dataclass
from random import Random
from typing import Any

from miniature import quarrels
from miniature.grammar import SPEAKERS, content, fill, known, values, vary, viewed
from miniature.quarrels import Quarrel

ACTS, PLOTS = content("acts.yaml"), content("genres.yaml")
MOODS = {"heated": 0.6, "firm": 0.15, "calm": 0.25}
ASIDE = 0.3  # share of dialogues with an exchange about something else


@dataclass(frozen=True)
class Scene:
    """One rendered dialogue. `slots` maps names to what was said; `owners` to the speaker who said it first."""

    scenario: dict[str, Any]
    plot: dict[str, Any]
    mood: str
    turns: list[str]
    origins: list[tuple[str, int]]  # of each turn: kind (plot, quarrel, answer, aside) and its number in the plot
    slots: dict[str, str]
    owners: dict[str, int]
    quarrel: Quarrel

    @property
    def lines(self) -> list[str]:
        """The turns, each with its speaker."""
        return [f"{SPEAKERS[i % 2]}: {turn}" for i, turn in enumerate(self.turns)]

    @property
    def text(self) -> str:
        """The dialogue, a line a turn."""
        return "\n".join(self.lines)

    def told(self) -> dict[str, str]:
        """The slots as a summary has them."""
        return {name: viewed(value, self.owners.get(name, 0), None) for name, value in self.slots.items()}


def acts_of(turn: str) -> list[tuple[str, list[str]]]:
    """The acts of a plot's turn, each with the names of its slots."""
    return [(name, args.split(",") if args else []) for name, args in re.findall(r"(\w+)(?:\(([\w,]+)\))?", turn)]


def owners_of(plot: dict[str, Any]) -> dict[str, int]:
    """Which speaker says a slot of the plot first."""
    said = [(arg, i % 2) for i, turn in enumerate(plot["turns"]) for _, args in acts_of(turn) for arg in args]
    return dict(reversed(said))


def spoken(turn: str, speaker: int, drawn: dict[str, str], owners: dict[str, int], part: str, rng: Random) -> str:
    """A turn of a plot, in words."""
    said = []
    for act, args in acts_of(turn):
        views = [viewed(drawn[arg], owners[arg], speaker) for arg in args]
        said.append(fill(vary(ACTS[act][known(part, rng)], rng), dict(zip("xy", views, strict=False))))
    return " ".join(text for text in said if text) or "Hello."


def draw_spans(scenario: dict[str, Any], part: str, rng: Random) -> dict[str, str]:
    """One span of each kind, and the values that any scenario may use."""
    return values(part, rng) | {key: rng.choice(found[part]) for key, found in scenario["spans"].items()}


def render(scenario: dict[str, Any], part: str, rng: Random, drawn: dict[str, str] | None = None) -> Scene:
    """One random dialogue of the scenario, or with the spans that are given."""
    drawn = drawn or draw_spans(scenario, part, rng)
    plot: dict[str, Any] = rng.choice(PLOTS[scenario["genre"]])
    owners = owners_of(plot)
    turns = [spoken(turn, i % 2, drawn, owners, part, rng) for i, turn in enumerate(plot["turns"])]
    origins = [("plot", i) for i in range(len(turns))]
    mood = rng.choices(list(MOODS), list(MOODS.values()))[0]
    after = rng.randrange(1, len(turns))
    heat = quarrels.quarrel(drawn, after % 2, mood, part, rng)
    if mood == "heated" and heat.regret:
        turns[after] = f"{vary(ACTS['regret'][known(part, rng)], rng)} {turns[after]}"
    if mood != "calm":
        said = quarrels.heated_turns if mood == "heated" else quarrels.firm_turns
        turns[after:after] = said(heat, part, rng)
        origins[after:after] = [("quarrel", after), ("answer", after)]
    if rng.random() < ASIDE:
        before = rng.randrange(1, after + 1)
        turns[before:before] = quarrels.aside_turns(drawn, part, rng)
        origins[before:before] = [("aside", before)] * 2
    return Scene(scenario, plot, mood, turns, origins, drawn, owners, heat)


def summarize(scene: Scene, style: int, tone: str) -> str:
    """The reference summary of annotator `style`."""
    heat = quarrels.report(scene.quarrel, tone, style)
    return fill(scene.plot["summaries"][style], scene.told() | {"heat": heat})


def styles(scene: Scene) -> range:
    """The annotators of the scene."""
    return range(len(scene.plot["summaries"]))


def tones(scene: Scene) -> list[str]:
    """The ways in which annotators may report the scene's mood."""
    return ["insulting", "neutral"] if scene.mood == "heated" else [scene.mood]


def facts(scene: Scene) -> dict[str, list[str]]:
    """What a summary of the scene may state, each fact with the ways to put it: spans and values, and the quarrel."""
    used = re.findall(r"\{(\w+)\}", " ".join(scene.plot["summaries"]))
    told = scene.told()
    found = {name: [told[name]] for name in dict.fromkeys(used) if name != "heat"}
    if scene.mood == "heated":
        found["insulted"] = quarrels.reports(scene.quarrel)
    if scene.mood != "calm":
        found["cause"] = [scene.quarrel.slots["over"]]
    return found
