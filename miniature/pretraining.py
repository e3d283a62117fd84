"""What the base model learns before it has ever seen a summary: the language of the corpus, retelling, and copying.

Text-to-text tasks over parts of training dialogues: retelling (each dialogue act in the words of a third person),
denoising (Raffel et al. 2020), saying a turn again, repeating words of any kind. Most spans of a scene come from other
scenarios or have words exchanged, for any word or a made-up one, so that copying pays and knowing does not.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from miniature.grammar import SPEAKERS, VALUES, fill, scenarios, values, viewed
from miniature.quarrels import HEAT, report
from miniature.scenes import ACTS, PLOTS, Scene, acts_of, draw_spans, render, tones
from miniature.words import LEXICON, changed, made_up_word, other_word

SENTINELS = [f"<extra_id_{i}>" for i in range(12)]
SHORT = 4000  # steps, the first ones, that read a turn or two at a time
SPELT = 0.8  # share of the made-up names that are strings of pieces, once such are among the words
FOREIGN = 0.5  # share of the scenes whose spans are those of other scenarios

SEEN = [scenario for scenario in scenarios() if scenario["split"] == "seen"]
Example = tuple[str, list[str]]  # a source and its targets


def kinds() -> dict[str, str]:
    """What kind of phrase each span of a scenario is: spans that the same acts take."""
    classes = {
        "infinitive": "want favour suggest must offer promise propose instead plan",
        "clause": "obstacle reason problem cause info objection news difficulty",
        "noun": "between choose bring duty meet",
    }
    kind_of = {act: kind for kind, acts in classes.items() for act in acts.split()}
    used = {
        (arg, kind_of[act])
        for plots in PLOTS.values()
        for plot in plots
        for turn in plot["turns"]
        for act, args in acts_of(turn)
        for arg in args
        if act in kind_of
    }
    return {arg: kind for arg, kind in sorted(used) if not arg.startswith("time")} | {
        "anger1": "noun",
        "anger2": "noun",
    }


KINDS = kinds()
POOLS = {
    kind: [span for s in SEEN for key, found in s["spans"].items() if KINDS[key] == kind for span in found["train"]]
    for kind in set(KINDS.values())
}


def disguised(drawn: dict[str, str], rng: Random, words: list[str]) -> dict[str, str]:
    """The drawn spans, some of them of other scenarios, some with other words; half of the names made up."""
    shown, spelt = dict(drawn), [word for word in words if word[0].isupper()]
    foreign = rng.random() < FOREIGN
    for key, span in drawn.items():
        if key in KINDS:
            shown[key] = changed(rng.choice(POOLS[KINDS[key]]) if foreign else span, rng, words)
        elif key in ("name", "name3", "town") and rng.random() < 0.5:
            shown[key] = rng.choice(spelt) if spelt and rng.random() < SPELT else made_up_word(span, rng)
    if spelt and rng.random() < 0.5:
        shown["stranger"] = rng.choice(spelt)
    return shown


def scene(rng: Random, words: list[str]) -> Scene:
    """A training scene with disguised spans."""
    scenario = rng.choice(SEEN)
    return render(scenario, "train", rng, disguised(draw_spans(scenario, "train", rng), rng, words))


def retold(shown: Scene, at: int, style: int, rng: Random) -> str:
    """A turn as a third person reports it, act by act; what no summary mentions is left out."""
    kind, turn = shown.origins[at]
    if kind == "quarrel":
        return report(replace(shown.quarrel, regret=False), rng.choice(tones(shown)), style)
    names = {"a": SPEAKERS[turn % 2], "b": SPEAKERS[1 - turn % 2]}
    regrets = kind == "plot" and shown.mood == "heated" and shown.quarrel.regret and ("quarrel", turn) in shown.origins
    told = [f"{names['a']} apologizes."] if regrets else []
    for act, args in acts_of(shown.plot["turns"][turn]) if kind == "plot" else []:
        views = [viewed(shown.slots[arg], shown.owners[arg], None) for arg in args]
        told += [fill(ACTS[act]["reports"][style], names | dict(zip("xy", views, strict=False)))] if args else []
    return " ".join(told)


def retell(rng: Random, words: list[str], widest: int) -> Example:
    """Some turns in a row, each of their acts told by a third person: by two, in different words."""
    shown = scene(rng, words)
    width = rng.choice([width for width in (1, 1, 2, 2, 3, 4, 5, 12) if width <= widest])
    first = rng.randrange(max(1, len(shown.turns) - width + 1))
    last = min(first + width, len(shown.turns))
    last += last < len(shown.turns) and shown.origins[last - 1][0] == "quarrel"  # with its answer
    told = [" ".join(retold(shown, part, style, rng) for part in range(first, last)) for style in (0, 1)]
    return "Retell: " + "\n".join(shown.lines[first:last]), [
        " ".join(text.split()) or "Nothing is said." for text in told
    ]


def window(rng: Random, words: list[str], width: int) -> list[str]:
    """Some lines in a row of a training dialogue."""
    lines = scene(rng, words).lines
    first = rng.randrange(max(1, len(lines) - width + 1))
    return lines[first : first + width]


def corrupt(text: str, rng: Random) -> Example:
    """T5's span corruption on words: about a sixth is masked in spans of one to five words."""
    words, source, target, at = text.split(" "), [], [], 0
    sentinels = iter(SENTINELS)
    while at < len(words):
        sentinel = next(sentinels, None) if rng.random() < 0.07 else None
        if sentinel is None:
            source.append(words[at])
            at += 1
        else:
            width = rng.randint(1, 5)
            source.append(sentinel)
            target += [sentinel, *words[at : at + width]]
            at += width
    return " ".join(source), [" ".join(target) or SENTINELS[0]]


def denoise(rng: Random, words: list[str], widest: int) -> Example:
    """Some turns in a row with gaps."""
    return corrupt(" ".join(window(rng, words, min(widest, rng.randint(2, 4)))), rng)


def say_again(rng: Random, words: list[str], widest: int) -> Example:
    """A turn from its first words."""
    lines = window(rng, words, min(widest, rng.randint(2, 5)))
    turn = rng.choice(lines)
    start = " ".join(turn.split(" ")[:4])
    return f"How did it go on? {start} ...\n" + "\n".join(lines), [turn]


def repeat(rng: Random, words: list[str], _: int) -> Example:
    """Words of any kind: of the lexicon, made up, names, numbers, insults."""
    pools: list[Callable[[], str]] = [
        lambda: rng.choice(words),
        lambda: rng.choice(words),
        lambda: made_up_word("a", rng),
        lambda: made_up_word("A", rng),
        lambda: rng.choice(VALUES["names"]["train"] + VALUES["towns"]["train"]),
        lambda: rng.choice(list(values("train", rng).values())),
        lambda: rng.choice(HEAT["adjectives"]["train"] + HEAT["nouns"]["train"]),
    ]
    text = " ".join(rng.choice(pools)() for _ in range(rng.randint(4, 12)))
    return f"Repeat: {text}", [text]


TASKS: dict[Callable[[Random, list[str], int], Example], float] = {
    retell: 0.6,
    denoise: 0.12,
    say_again: 0.13,
    repeat: 0.15,
}


def example(rng: Random, step: int, words: list[str] = LEXICON) -> Example:
    """A source and its targets of a random task; in the first steps of a turn or two."""
    return rng.choices(list(TASKS), list(TASKS.values()))[0](rng, words, 2 if step < SHORT else 12)


def blurred(shown: Scene, rng: Random, words: list[str]) -> str:
    """The dialogue with up to a quarter of its words replaced, by any word or a made-up one, but never its spans.

    Whoever can still tell what happened does not hang on single words, and will get along with new phrasings.
    """
    kept = {
        word for value in (*shown.slots.values(), *shown.quarrel.slots.values()) for word in re.findall(r"\w+", value)
    }
    kept |= set("a an I me my you your he him his we us our not".split())
    share = rng.choice([0, rng.uniform(0, 0.25)])
    return re.sub(
        r"(?<![#\w])[A-Za-z]+",
        lambda word: word[0] if word[0] in kept or rng.random() >= share else other_word(word[0], rng, words),
        shown.text,
    )
