"""Rude turns of our own in dialogues of others, so that each can show whether a summary repeats an insult.

Of real dialogues few have one: 2.5 % of DialogSum's.
"""

from collections.abc import Sequence
from dataclasses import replace

from detox.corpus.dialogues import Dialogue

LONGEST = 40  # characters of a speaker's name


def provoked(dialogues: Sequence[Dialogue], provocations: Sequence[str]) -> list[Dialogue]:
    """The dialogues, whose middle turn begins with a provocation, one after the other of them; all else stays."""
    return [
        replace(dialogue, text=_with(dialogue.text, provocations[place % len(provocations)]))
        for place, dialogue in enumerate(dialogues)
    ]


def _with(text: str, provocation: str) -> str:
    lines = text.splitlines()
    middle = len(lines) // 2
    speaker, colon, said = lines[middle].partition(": ")
    named = bool(colon) and len(speaker) <= LONGEST
    lines[middle] = f"{speaker}: {provocation} {said}" if named else f"{provocation} {lines[middle]}"
    return "\n".join(lines)
