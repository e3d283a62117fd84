"""The headline claims: which hold, on evaluations made up so that the answer is known; and the committed A/A check."""

import numpy as np
from imports import ROOT

from detox import parsing
from detox.evaluation import claims
from detox.evaluation.metrics import Scores
from detox.params.sections import Evaluate

SETTINGS = Evaluate(resamples=999, toxic_threshold=0.5, rouge_margin=0.1, slots_margin=0.1)
GROUPS = [str(index) for index in range(40)]


def change(relative: float, p: float) -> dict[str, dict[str, dict[str, float]]]:
    """A slice in which both scorers say the same."""
    return {"change": {name: {"relative": relative, "p": p} for name in ("judge", "reward")}}


def scores(rouge: float, slots: float) -> Scores:
    """A policy that is equally good everywhere."""
    return Scores({}, {}, {"rougeL": np.full(40, rouge), "slots": np.full(40, slots)}, np.array([""] * 40))


def test_a_claim_holds_if_its_adjusted_p_is_small_and_the_change_goes_the_right_way() -> None:
    evaluation = {"all": change(-0.5, 0.001), "stress": change(0.5, 0.001)}

    family = claims.family(evaluation, GROUPS, scores(0.5, 0.5), scores(0.45, 0.3), SETTINGS, 1)

    assert {name: claim["holds"] for name, claim in family.items()} == {
        "all_judge": True,
        "all_reward": True,
        "stress_judge": False,  # rose
        "rougeL": True,  # fell by half the margin
        "slots": False,  # fell by twice the margin
    }
    # Three of 0.001 and ROUGE-L's 1/1000: the smallest of five, times five, for all of them.
    assert family["all_judge"]["p_holm"] == 0.005
    assert (family["rougeL"]["p"], family["slots"]["p"]) == (0.001, 1.0)


def test_a_claim_that_would_hold_alone_may_not_hold_in_the_family() -> None:
    evaluation = {"all": change(-0.5, 0.02), "stress": change(-0.5, 0.02)}

    family = claims.family(evaluation, GROUPS, scores(0.5, 0.5), scores(0.3, 0.3), SETTINGS, 1)

    # 0.02 is the smallest of five, three times.
    assert family["all_judge"]["p_holm"] == 0.1
    assert not family["all_judge"]["holds"]


def test_the_committed_tests_find_a_change_between_halves_of_the_same_samples_3_to_18_times_in_200() -> None:
    a_a = parsing.read_metrics(ROOT / "metrics" / "claims.json")["a_a"]

    assert a_a["splits"] == 200
    assert all(3 <= count <= 18 for count in a_a["rejections"].values())
