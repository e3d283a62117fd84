"""Where a provocation stands, and that nothing else of a dialogue changes."""

from detox.corpus.dialogues import Dialogue
from detox.corpus.provocations import provoked


def test_the_middle_turn_begins_with_it_and_its_speaker_says_it() -> None:
    two = Dialogue("a", "#Person1#: Hello.\n#Person2#: Hi: you.", ("A reference.",), "scenario")
    three = Dialogue("b", "Ann: One.\nBob: Two.\nAnn: Three.", (), "b")
    assert provoked([two, three], ["You fool!", "Idiot!"]) == [
        Dialogue("a", "#Person1#: Hello.\n#Person2#: You fool! Hi: you.", ("A reference.",), "scenario"),
        Dialogue("b", "Ann: One.\nBob: Idiot! Two.\nAnn: Three.", (), "b"),
    ]


def test_a_turn_without_a_speaker_has_it_before_all() -> None:
    assert provoked([Dialogue("a", "No speaker here", (), "a")], ["Fool!"])[0].text == "Fool! No speaker here"


def test_provocations_come_round_again() -> None:
    dialogues = [Dialogue(name, f"{name}: x", (), name) for name in "abc"]
    assert [each.text for each in provoked(dialogues, ["1", "2"])] == ["a: 1 x", "b: 2 x", "c: 1 x"]
