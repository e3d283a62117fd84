"""What the base model learns before it has ever seen a summary: the language of the corpus, and how to copy.

Five text-to-text tasks over training dialogues and stand-alone notes: denoising (Raffel et al. 2020), reading a value
off a dialogue, filling the gaps of a note from a dialogue, repeating, and continuing. Half of the slot values are
made-up words, so that copying pays and knowing does not.
"""

import re
from collections.abc import Callable
from random import Random
from typing import Any

from miniature.grammar import HEAT, Scene, fill, global_slots, insult, render, scenarios, with_article

CONSONANTS = "b br c ch cr d dr f fl g gr h j k l m n p pl qu r s sh st t th tr v w y z".split()
VOWELS = "a e i o u ai ea ee oo ou".split()
CODAS = ["", "", "n", "r", "s", "l", "th", "ck", "nd", "ster", "ly", "ing", "y", "e", "x", "m", "ft", "ton", "ford"]
KEPT = {"dollars"}  # units stay
SENTINELS = [f"<extra_id_{i}>" for i in range(12)]

SEEN = [scenario for scenario in scenarios() if scenario["split"] == "seen"]
WORDS = sorted(
    {
        word
        for s in SEEN
        for turn in s["turns"]
        for text in turn["train"]
        for word in re.findall(r"\b(?<!{)[a-z]+\b", text)
    }
)
Example = tuple[str, str]


def made_up(value: str, rng: Random) -> str:
    """A pronounceable nonsense value with as many words as the given one; digits become other digits."""
    return " ".join(word if word in KEPT else made_up_word(word, rng) for word in value.split())


def made_up_word(word: str, rng: Random) -> str:
    """A nonsense word, capital where the given one is."""
    if any(letter.isdigit() for letter in word):
        return "".join(rng.choice("123456789") if letter.isdigit() else letter for letter in word)
    new = "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 3))) + rng.choice(CODAS)
    return new.capitalize() if word[0].isupper() else new


def disguised(scene_slots: dict[str, str], rng: Random) -> dict[str, str]:
    """The slots with about half of the values made up."""
    return {name: made_up(value, rng) if rng.random() < 0.5 else value for name, value in scene_slots.items()}


def scene(rng: Random) -> Scene:
    """A training scene, its values and its insult disguised in the text as in the slots."""
    original = render(rng.choice(SEEN), "train", rng)
    shown = original.slots | ({"insult": original.heat["insult"]} if original.mood == "heated" else {})
    slots, text = disguised(shown, rng), original.text
    for name in sorted(slots, key=lambda name: -len(shown[name])):
        text = text.replace(shown[name], slots[name])
    heat = original.heat | with_article(slots.get("insult", original.heat["insult"]))
    return Scene(original.scenario, original.mood, text, slots, heat)


def other_word(word: str, rng: Random) -> str:
    """Any word of the training phrasings, or a made-up one."""
    return rng.choice(WORDS) if rng.random() < 0.5 else made_up_word(word, rng)


def blurred(shown: Scene, rng: Random) -> str:
    """The dialogue with up to three words in ten replaced, by any word or a made-up one, but never its values.

    Whoever can still tell what happened does not hang on single words, and will get along with new phrasings.
    """
    kept = {word for value in (*shown.slots.values(), shown.heat["insult"]) for word in value.split()}
    share = rng.uniform(0, 0.3)
    return re.sub(
        r"(?<![#\w])[A-Za-z]+",
        lambda word: word[0] if word[0] in kept or rng.random() >= share else other_word(word[0], rng),
        shown.text,
    )


def note(template: str, slots: dict[str, str], rng: Random) -> str:
    """A note with its slots filled."""
    return fill(template, slots | insult("train", rng))


def notes(rng: Random, count: int) -> str:
    """`count` unrelated notes in a row."""
    picked = []
    for _ in range(count):
        scenario: dict[str, Any] = rng.choice(SEEN)
        local = {name: rng.choice(values["train"]) for name, values in scenario["slots"].items()}
        template = rng.choice(HEAT["notes"] if rng.random() < 0.15 else scenario["notes"])
        picked.append(note(template, disguised(global_slots("train", rng) | local, rng), rng))
    return " ".join(picked)


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
    return " ".join(source), " ".join(target) or SENTINELS[0]


def denoise_dialogue(rng: Random) -> Example:
    return corrupt(scene(rng).text.replace("\n", " "), rng)


def denoise_notes(rng: Random) -> Example:
    return corrupt(notes(rng, rng.randint(2, 4)), rng)


def read_value(rng: Random) -> Example:
    """Which value does a slot of the dialogue have?"""
    shown = scene(rng)
    names = [name for name, value in shown.slots.items() if value in shown.text]
    if not names:
        return denoise_dialogue(rng)
    name = rng.choice(names)
    return f"Find the {name.replace('_', ' ')}. {blurred(shown, rng)}", shown.slots[name]


def fill_note(rng: Random) -> Example:
    """A note of the same scenario with its slots masked, to be filled from the dialogue."""
    shown = scene(rng)
    template = rng.choice(shown.scenario["notes"])
    sentinels = dict(zip([n for n in shown.slots if "{" + n + "}" in template], SENTINELS, strict=False))
    known = [name for name in sentinels if shown.slots[name] in shown.text]
    if not known:
        return denoise_notes(rng)
    blanks = shown.slots | {name: sentinels[name] for name in known}
    return f"Fill in: {note(template, blanks, rng)} {blurred(shown, rng)}", note(template, shown.slots, rng)


def repeat(rng: Random) -> Example:
    """Say again what one speaker said, or some notes."""
    if rng.random() < 0.5:
        text = notes(rng, 2)
        return f"Repeat: {text}", text
    turns = scene(rng).text.split("\n")
    turn = rng.choice(turns)
    start = " ".join(turn.split(" ")[:4])
    return f"Who said this, and how did it go on? {start} ... {chr(10).join(turns)}", turn


def proceed(rng: Random) -> Example:
    """Continue a row of notes from its first words."""
    words = notes(rng, 3).split(" ")
    cut = rng.randint(2, 8)
    return f"Continue: {' '.join(words[:cut])}", " ".join(words[cut:])


TASKS: dict[Callable[[Random], Example], float] = {
    denoise_dialogue: 0.2,
    denoise_notes: 0.15,
    read_value: 0.2,
    fill_note: 0.2,
    repeat: 0.15,
    proceed: 0.1,
}


def example(rng: Random) -> Example:
    """A source and a target text of a random task."""
    return rng.choices(list(TASKS), list(TASKS.values()))[0](rng)
