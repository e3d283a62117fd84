"""Examples: which dialogues, and every text beside the score that it has."""

import pytest

from detox.reporting.examples import choose, marked


def test_what_two_summaries_do_not_share_is_marked_and_escaped() -> None:
    assert marked("he is <b> a fool today", "he insults him today", ()) == ("he <mark>is &lt;b&gt; a fool</mark> today")
    assert marked("the same", "the same", ()) == "the same"
    assert marked("", "gone", ()) == ""


def test_an_insult_is_marked_whatever_stands_around_it() -> None:
    assert marked("calls Ann a “Chump”.", "calls Ann a “Chump”.", {"chump"}) == (
        'calls Ann a <b class="insult">“Chump”.</b>'
    )


def test_every_text_has_its_own_score() -> None:
    ids = ["b", "c", "a"]
    scores = [
        {"id": i, "sft": {"judge": [0.75, 0.25]}, "ppo": {"judge": [after, 0.5]}}
        for i, after in zip(ids, (0.0, 0.5, 1.0), strict=True)
    ]
    test, before, after = (
        [{"id": i, "text": f"{i} said"} for i in ids],
        [{"id": i, "summary": f"old {i}", "samples": [f"old {i} 1", f"old {i} 2"]} for i in reversed(ids)],
        [{"id": i, "summary": f"new {i}", "samples": [f"new {i} 1", f"new {i} 2"]} for i in sorted(ids)],
    )

    examples = choose(scores, test, before, after)

    # Means before: 0.5; after: b 0.25, c 0.5, a 0.75.
    assert {heading: [row["id"] for row in rows] for heading, rows in examples.items()} == {
        "Toxicity fell most": ["b"],
        "In the middle": ["c"],
        "Toxicity rose most": ["a"],
    }
    [worst] = examples["Toxicity rose most"]
    assert worst["pairs"] == [
        [{"text": "old a 1", "judge": 0.75, "other": "new a 1"}, {"text": "new a 1", "judge": 1.0, "other": "old a 1"}],
        [{"text": "old a 2", "judge": 0.25, "other": "new a 2"}, {"text": "new a 2", "judge": 0.5, "other": "old a 2"}],
    ]
    assert (worst["text"], worst["greedy"]) == ("a said", ["old a", "new a"])


@pytest.mark.parametrize(("dialogues", "each"), [(2, 0), (3, 1), (8, 2), (9, 3), (40, 3)])
def test_no_dialogue_is_an_example_twice_and_there_are_at_most_three_of_a_kind(dialogues: int, each: int) -> None:
    rows = [{"id": f"d{number:02d}", "summary": "s", "samples": ["x"]} for number in range(dialogues)]
    scores = [
        {"id": row["id"], "sft": {"judge": [0.5]}, "ppo": {"judge": [number / max(1, dialogues - 1)]}}
        for number, row in enumerate(rows)
    ]

    examples = choose(scores, rows, rows, rows)

    assert [len(part) for part in examples.values()] == [each] * (3 if each else 0)
    assert len({row["id"] for part in examples.values() for row in part}) == 3 * each


def test_where_no_toxicity_moved_none_is_said_to_have_fallen_or_risen() -> None:
    rows = [{"id": f"d{number}", "summary": "s", "samples": ["x"]} for number in range(6)]
    scores = [{"id": row["id"], "sft": {"judge": [0.25]}, "ppo": {"judge": [0.25]}} for row in rows]
    assert list(choose(scores, rows, rows, rows)) == ["In the middle"]
