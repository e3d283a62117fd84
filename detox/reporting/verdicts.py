"""What the numbers say, in sentences: each follows from an interval, a p or a count, and none is fixed."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

# Below it a bootstrap interval is too narrow, and a sign-flip test hardly reaches 5 % (of 5 clusters never).
FEW_CLUSTERS = 20
CLEAN = 0.01  # share of toxic samples before PPO below which there was next to nothing to remove
LEVEL = 0.05
MOVED = 0.2  # of ROUGE-L: a single summary that moved so far tells something else

Row = Mapping[str, Any]


def lead(evaluation: Mapping[str, Row], family: Row) -> list[str]:
    """The page's first sentences, from metrics/evaluate.json and the claims of metrics/claims.json."""
    everything = evaluation["all"]
    found = [few(everything)] if everything["clusters"] < FEW_CLUSTERS else []
    rate = everything["sft"]["judge"]["rate"]
    if rate < CLEAN:
        found.append(
            f"Before PPO hardly any summary was toxic ({100 * rate:.1f} % of the samples): "
            "there was next to nothing to remove."
        )
    return [*found, toxicity(everything, family), *provoked(evaluation), *quality(everything, family)]


def few(part: Row) -> str:
    """That so few dialogues, or scenarios, show nothing."""
    return f"{sized(part)} are too few to show a change."


def sized(part: Row) -> str:
    """How many dialogues, and of how many scenarios where the data marks some."""
    dialogues, clusters = part["dialogues"], part["clusters"]
    return f"{dialogues:,} test dialogues" + (f" of {clusters:,} scenarios" if clusters != dialogues else "")


def toxicity(everything: Row, family: Row) -> str:
    """What the judge's change shows, and whether it still does beside the other claims."""
    change = everything["change"]["judge"]
    if "relative" not in change or everything["clusters"] < FEW_CLUSTERS:
        return f"According to the judge, the mean {means(everything)}."
    if not shown(change, change["p"]):
        return (
            f"No change of toxicity could be shown: according to the judge, the mean {means(everything)} "
            f"({relative(change)}; a true "
            f"change of {100 * change['mde']:.0f} % would have been found four times in five)."
        )
    alone = change["relative"] < 0 and not family.get("all_judge", {"holds": True})["holds"]
    corrected = f" Corrected for testing {len(family)} claims at once (Holm), that is not shown." if alone else ""
    return f"After PPO the summaries are {shift(everything)}{corrected}"


def shift(part: Row) -> str:
    """How much less toxic, or more, the summaries of a slice are."""
    change = part["change"]["judge"]
    return (
        f"{100 * abs(change['relative']):.1f} % {'less' if change['relative'] < 0 else 'more'} toxic according to the "
        f"judge ({relative(change)}): the mean {means(part)}."
    )


def means(part: Row) -> str:
    """A slice's mean toxicity by the judge."""
    before, after = (part[policy]["judge"]["mean"] for policy in ("sft", "ppo"))
    return f"P(toxic) was {before:.4f} before and {after:.4f} after"


def relative(change: Row) -> str:
    """The interval of a relative change."""
    return f"95 % interval {100 * change['low']:+.1f} to {100 * change['high']:+.1f} %"


def provoked(evaluation: Mapping[str, Row]) -> list[str]:
    """What the dialogues with a rude turn of ours show, where those as they are show nothing."""
    usual, part = evaluation["all"]["change"]["judge"], evaluation.get("provoked")
    if part is None or ("p" in usual and shown(usual, usual["p"])):
        return []
    change = part["change"]["judge"]
    if "relative" not in change or part["clusters"] < FEW_CLUSTERS or not shown(change, change["p"]):
        return []
    return [f"Where a rude turn was put into {part['dialogues']:,} calm dialogues, their summaries are {shift(part)}"]


def quality(everything: Row, family: Row) -> list[str]:
    """What became of ROUGE-L and, where it was measured, of slot recall."""
    names = {"rougeL": "ROUGE-L (likeness to the references)", "slots": "Slot recall (facts that the summary keeps)"}
    return [
        kept(name, everything["change"][key], family.get(key, {}), len(family))
        for key, name in names.items()
        if key in everything["change"]
    ]


def kept(name: str, change: Row, claim: Row, claims: int) -> str:
    """Whether a measure of quality lost less than its margin, which is one of so many claims."""
    moved = "{absolute:+.4f} [{low:+.4f}, {high:+.4f}]".format(**change)
    if not claim:
        return f"{name} changed by {moved}."
    margin = claim["margin"]
    if not claim.get("measured", True):
        return f"{name} was below {margin:g} before, so that a loss could not be seen."
    if claim["holds"]:
        tested = " (the test is one-sided, the interval is not)" if change["low"] <= -margin else ""
        return f"{name} lost less than {margin:g}{tested}: {moved}."
    lost = "fell" if change["high"] < 0 else "changed"
    together = f" once {claims} claims are tested together (Holm)" if change["low"] > -margin else ""
    return f"{name} {lost} by {moved}: that it lost less than {margin:g} is not shown{together}."


def interval(change: Row) -> str:
    """A change with its 95 % interval."""
    return "{absolute:+.3f} [{low:+.3f}, {high:+.3f}]".format(**change)


def shown(change: Row, p: float) -> bool:
    """Whether there is a change: 0 is outside the interval, and the test says so, too."""
    return not change["low"] <= 0 <= change["high"] and p < LEVEL


def claims(family: Row) -> str:
    """How many of the claims hold."""
    held = sum(claim["holds"] for claim in family.values())
    return (
        f"{held} of {len(family)} claims hold at 5 %, corrected for testing {len(family)} at once (Holm). "
        "Claims that do not hold are not thereby refuted."
        if held < len(family)
        else f"All {held} claims hold at 5 %, corrected for testing {held} at once (Holm)."
    )


def alternative(rivals: Row) -> str:
    """PPO against the best of several samples before it, picked by the reward."""
    said = [duel(f"The best of {n}", rivals["duel"][f"best_of_{n}_raw"]) for n in rivals["best_of"]]
    return (
        "The alternative without training: draw several summaries and keep the one that the reward model likes best. "
        f"{' '.join(said)} Each costs that many times as much generation, and needs the reward model."
    )


def duel(name: str, measured: Row) -> str:
    """What is shown of a rival beside one sample of PPO."""
    judge = measured["judge"]
    if not shown(judge, measured["p"]):
        said = f"{name} is not shown to differ in toxicity from a sample of PPO"
    else:
        said = f"{name} is {'less' if judge['low'] > 0 else 'more'} toxic than a sample of PPO"
    lost, kept = [], []
    for key, label in (("rougeL", "ROUGE-L"), ("slots", "slot recall")):
        if not (change := measured.get(key)):
            continue
        if change["low"] <= 0 <= change["high"]:
            kept.append(label)
        else:
            way = "lower" if change["low"] > 0 else "higher"
            lost.append(f"its {label} is {way} ({change['rival']:.3f} and {change['ppo']:.3f})")
    same = [f"no difference in {' or '.join(kept)} is shown"] if kept else []
    beside = f"({judge['rival']:.3f} and {judge['ppo']:.3f}, p = {measured['p']:.4f})"
    return f"{said} {beside}; {', and '.join([*lost, *same])}."


def odd_systems(systems: Row) -> list[str]:
    """Notes on rows that a reader could take for good ones."""
    notes = []
    if "lead3" in systems:
        notes.append("The first three turns are no summary: they repeat the dialogue, its insults included.")
    if "base" in systems and systems["base"]["words"] < 0.2 * systems["sft"]["words"]:
        notes.append(f"The base says next to nothing ({systems['base']['words']:.1f} words): that is not toxic.")
    return notes


def single(scores: Sequence[Row]) -> str:
    """How single summaries moved, which means hide: from data/scores.jsonl."""
    rouge = [row["ppo"]["rougeL"] - row["sft"]["rougeL"] for row in scores]
    up, down = sum(change > MOVED for change in rouge), sum(change < -MOVED for change in rouge)
    toxic = [fmean(row["ppo"]["judge"]) - fmean(row["sft"]["judge"]) for row in scores]
    worse = sum(change > MOVED for change in toxic)
    return (
        f"Means hide single summaries. Of {len(scores):,}, {up:,} gain more than {MOVED:g} ROUGE-L and {down:,} lose "
        f"more; {worse:,} become more toxic by more than {MOVED:g}."
    )
