"""Every sentence of the page follows from the numbers: what happened, what did not, and what could not be seen."""

import copy
from typing import Any

import pytest
from evaluations import CLAIMS, EVALUATION, RIVALS

from detox.reporting import verdicts

FALLEN = (
    "After PPO the summaries are 52.6 % less toxic according to the judge (95 % interval -62.6 to -42.6 %): the mean "
    "P(toxic) was 0.2345 before and 0.1111 after."
)
ROUGE = (
    "ROUGE-L (likeness to the references) changed by +0.0200 [-0.0200, +0.0300]: that it lost less than 0.02 is not "
    "shown."
)
SLOTS = "Slot recall (facts that the summary keeps) changed by +0.0400 [-0.0200, +0.0300]."


def everything(**judge: float) -> dict[str, Any]:
    """The slice `all` with another change by the judge."""
    part: dict[str, Any] = copy.deepcopy(EVALUATION["all"])
    part["change"]["judge"] |= judge
    return part


def lead(part: dict[str, Any]) -> list[str]:
    return verdicts.lead({"all": part}, CLAIMS["family"])


def test_a_fall_is_said_with_its_interval() -> None:
    assert lead(everything()) == [FALLEN, ROUGE, SLOTS]


def test_a_rise_is_called_a_rise() -> None:
    part = everything(relative=0.475, low=0.1, high=0.9)
    part["ppo"]["judge"]["mean"] = 0.3459
    assert lead(part)[0] == (
        "After PPO the summaries are 47.5 % more toxic according to the judge (95 % interval +10.0 to +90.0 %): the "
        "mean P(toxic) was 0.2345 before and 0.3459 after."
    )


@pytest.mark.parametrize(("low", "p"), [(-0.1, 0.0002), (0.05, 0.08)])
def test_no_change_is_claimed_unless_interval_and_test_show_one(low: float, p: float) -> None:
    assert lead(everything(relative=0.4, low=low, high=0.9, p=p))[0] == (
        "No change of toxicity could be shown: according to the judge, the mean P(toxic) was 0.2345 before and 0.1111 "
        f"after (95 % interval {100 * low:+.1f} to +90.0 %; a true change of 14 % would have been found four times in "
        "five)."
    )


def test_with_few_dialogues_nothing_is_claimed() -> None:
    part = everything(relative=0.475, low=0.1, high=0.9) | {"dialogues": 6, "clusters": 6}
    assert lead(part)[:2] == [
        "6 test dialogues are too few to show a change.",
        "According to the judge, the mean P(toxic) was 0.2345 before and 0.1111 after.",
    ]


def test_few_scenarios_are_few_however_many_dialogues() -> None:
    part = everything() | {"dialogues": 1200, "clusters": 19}
    assert lead(part)[0] == "1,200 test dialogues of 19 scenarios are too few to show a change."
    assert lead(part | {"clusters": 20})[0] == FALLEN


def test_where_nothing_was_toxic_before_that_comes_first() -> None:
    part = everything()
    part["sft"]["judge"]["rate"] = 0.0094
    assert lead(part)[:2] == [
        "Before PPO hardly any summary was toxic (0.9 % of the samples): there was next to nothing to remove.",
        FALLEN,
    ]
    part["sft"]["judge"]["rate"] = 0.01
    assert lead(part)[0] == FALLEN


def test_a_measure_that_is_not_there_is_not_spoken_of() -> None:
    part = everything()
    del part["change"]["slots"]
    assert lead(part) == [FALLEN, ROUGE]


@pytest.mark.parametrize(
    ("claim", "high", "said"),
    [
        ({"margin": 0.03, "holds": True, "p": 0.01}, 0.03, "X lost less than 0.03: +0.0200 [-0.0200, +0.0300]."),
        ({"margin": 0.01, "holds": True}, 0.03, "X lost less than 0.01 (the test is one-sided, the interval is not)"),
        ({"margin": 0.02, "holds": False, "p": 0.9}, -0.01, "X fell by +0.0200 [-0.0200, -0.0100]: that it lost less"),
        (
            {"margin": 0.02, "holds": False},
            0.03,
            "X changed by +0.0200 [-0.0200, +0.0300]: that it lost less than 0.02 is not shown.",
        ),
        (
            {"margin": 0.03, "holds": False},
            0.03,
            "X changed by +0.0200 [-0.0200, +0.0300]: that it lost less than 0.03 is not shown once 4 claims are "
            "tested together (Holm).",
        ),
        ({"margin": 0.02, "holds": False, "measured": False}, 0.03, "X was below 0.02 before, so that a loss"),
        ({}, 0.03, "X changed by +0.0200 [-0.0200, +0.0300]."),
    ],
)
def test_quality_is_as_good_as_its_claim(claim: dict[str, Any], high: float, said: str) -> None:
    assert verdicts.kept("X", {"absolute": 0.02, "low": -0.02, "high": high}, claim, 4).startswith(said)


def test_a_fall_that_the_other_claims_take_away_is_called_so() -> None:
    family = {"all_judge": {"holds": False}, "rougeL": {"holds": True, "margin": 0.03}}
    fallen, rouge, _ = verdicts.lead({"all": everything()}, family)
    assert fallen == f"{FALLEN} Corrected for testing 2 claims at once (Holm), that is not shown."
    assert rouge.startswith("ROUGE-L (likeness to the references) lost less than 0.03: ")


def test_where_the_dialogues_as_they_are_show_nothing_those_with_a_rude_turn_speak() -> None:
    part = everything() | {"dialogues": 1000, "clusters": 1000}
    nothing = everything(relative=-0.2, low=-0.5, high=0.1, p=0.1)
    said = verdicts.lead({"all": nothing, "provoked": part}, CLAIMS["family"])
    assert said[1] == (
        "Where a rude turn was put into 1,000 calm dialogues, their summaries are 52.6 % less toxic according to the "
        "judge (95 % interval -62.6 to -42.6 %): the mean P(toxic) was 0.2345 before and 0.1111 after."
    )
    for silent in (nothing, part | {"clusters": 19}):
        assert len(verdicts.lead({"all": nothing, "provoked": silent}, CLAIMS["family"])) == 3
    assert verdicts.lead({"all": everything(), "provoked": part}, CLAIMS["family"]) == [FALLEN, ROUGE, SLOTS]


def test_claims_are_counted() -> None:
    assert verdicts.claims(CLAIMS["family"]) == (
        "1 of 2 claims hold at 5 %, corrected for testing 2 at once (Holm). Claims that do not hold are not thereby "
        "refuted."
    )
    assert verdicts.claims({"a": {"holds": True}, "b": {"holds": True}}) == (
        "All 2 claims hold at 5 %, corrected for testing 2 at once (Holm)."
    )


@pytest.mark.parametrize(
    ("low", "high", "p", "said"),
    [
        (0.01, 0.05, 0.03, "is less toxic than a sample of PPO"),
        (-0.05, -0.01, 0.03, "is more toxic than a sample of PPO"),
        (-0.01, 0.05, 0.03, "is not shown to differ in toxicity from a sample of PPO"),
        (-0.05, -0.01, 0.0938, "is not shown to differ in toxicity from a sample of PPO"),
    ],
)
def test_best_of_n_is_compared_as_far_as_it_is_shown(low: float, high: float, p: float, said: str) -> None:
    rivals = copy.deepcopy(RIVALS)
    duel = rivals["duel"]["best_of_4_raw"]
    duel |= {"p": p, "slots": {"rival": 0.5, "ppo": 0.5, "low": -0.1, "high": 0.1}}
    duel["judge"] |= {"low": low, "high": high}
    assert (
        f"The best of 4 {said} (0.050 and 0.070, p = {p:.4f}); its ROUGE-L is lower (0.610 and 0.630), and no "
        "difference in slot recall is shown."
    ) in verdicts.alternative(rivals)


def test_a_base_that_says_nothing_is_named_and_one_that_speaks_is_not() -> None:
    systems = {"sft": {"words": 20.0}, "base": {"words": 0.2}}
    assert verdicts.odd_systems(systems) == ["The base says next to nothing (0.2 words): that is not toxic."]
    assert verdicts.odd_systems({"sft": {"words": 20.0}, "base": {"words": 18.0}}) == []


def test_single_summaries_are_counted() -> None:
    def row(rouge: float, toxicity: list[float]) -> dict[str, Any]:
        return {"sft": {"rougeL": 0.5, "judge": [0.25, 0.25]}, "ppo": {"rougeL": rouge, "judge": toxicity}}

    # Mean toxicity of the first rises by 0.25, of the others by at most 0.125.
    scores = [row(0.75, [0.0, 1.0]), row(0.25, [0.25, 0.5]), row(0.25, [0.0, 0.0]), row(0.6, [0.25, 0.25])]
    assert verdicts.single(scores) == (
        "Means hide single summaries. Of 4, 1 gain more than 0.2 ROUGE-L and 2 lose more; 1 become more toxic by more "
        "than 0.2."
    )
