"""The headline claims as one family of tests, and the check that these tests find nothing where there is nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from detox.evaluation import statistics
from detox.evaluation.metrics import Scores
from detox.evaluation.statistics import LEVEL, Array
from detox.params import sections

SPLITS, SPLIT_RESAMPLES = 200, 999  # of the A/A check


def family(
    evaluation: Mapping[str, Any],
    groups: Sequence[str],
    before: Scores,
    after: Scores,
    settings: sections.Evaluate,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Each claim: its p, p adjusted for the whole family (Holm), and whether it holds at 5 %.

    Toxicity falls (two-sided sign-flip test, by the judge, by the reward, on stress by the judge); ROUGE-L, and slot
    recall where the data knows its facts, fall by less than their margins (one-sided). What was below its margin before
    cannot fall by it, whatever happens: that claim is not measured, has no p, and does not hold.
    """
    tested = {
        f"{name}_{scorer}": evaluation[name]["change"][scorer]
        for name, scorer in (("all", "judge"), ("all", "reward"), ("stress", "judge"))
    }
    claims = {name: {"p": change["p"], "falls": change["relative"] < 0} for name, change in tested.items()}
    unmeasured = {}
    for name, margin in (("rougeL", settings.rouge_margin), ("slots", settings.slots_margin)):
        if name not in before.quality:
            continue
        old, new = before.quality[name], after.quality[name]
        if old.mean() < margin:
            unmeasured[name] = {"margin": margin, "measured": False, "holds": False}
        else:
            p = statistics.non_inferiority_p(groups, old, new, margin, settings.resamples, seed)
            claims[name] = {"p": p, "margin": margin}
    adjusted = statistics.holm({name: claim["p"] for name, claim in claims.items()})
    return {name: _judged(claim, adjusted[name]) for name, claim in claims.items()} | unmeasured


def _judged(claim: Mapping[str, Any], adjusted: float) -> dict[str, Any]:
    holds = adjusted < LEVEL and claim.get("falls", True)
    return {**{key: value for key, value in claim.items() if key != "falls"}, "p_holm": adjusted, "holds": holds}


def a_a(groups: Sequence[str], pool: Mapping[str, Array], seed: int) -> dict[str, Any]:
    """Of samples before PPO, P(toxic) by scorer [dialogue sample]: how many of the random halvings differ at 5 %."""
    rejections = {
        scorer: statistics.a_a_rejections(groups, values, SPLITS, SPLIT_RESAMPLES, seed)
        for scorer, values in pool.items()
    }
    return {"splits": SPLITS, "rejections": rejections}
