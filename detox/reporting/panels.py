"""The three pictures of the result, each drawn into axes: what it shows in words comes back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from detox.reporting.verdicts import interval

Row = Mapping[str, Any]

# A colour that stands for the page's own text colour: matplotlib has no currentColor.
INK = "#010203"
# One set of colours for the whole page, each at least 3:1 on the light and on the dark one.
BEFORE, AFTER, OTHER = "#d97706", "#3b82f6", "#7d8590"
TOXIC = 0.5
QUALITY = {
    "rougeL": "ROUGE-L",
    "rouge1": "ROUGE-1",
    "slots": "Slot recall",
    "entities": "Names, numbers kept",
    "grounded": "… that are true",
}


def distributions(axes: Axes, scores: Sequence[Row]) -> str:
    """Which share of the samples has which toxicity by the judge, before and after."""
    samples = [np.array([x for row in scores for x in row[policy]["judge"]]) for policy in ("sft", "ppo")]
    weights = [np.full(len(values), 100 / len(values)) for values in samples]
    bins = np.linspace(0, 1, 6).tolist()
    axes.hist(samples, bins=bins, weights=weights, color=(BEFORE, AFTER), label=["before", "after"], rwidth=0.85)
    for container in axes.containers:
        axes.bar_label(container, fmt="{:.0f}", fontsize=8, padding=1)  # type: ignore[arg-type]
    axes.set(xlabel="Toxicity of a summary (judge)", ylabel="Share of summaries, %", ylim=(0, 108), xticks=bins)
    axes.legend(frameon=False, loc="upper center")
    before, after = (100 * (values >= TOXIC).mean() for values in samples)
    return (
        f"Of the sampled summaries {before:.1f} % have a toxicity of {TOXIC:g} or more before PPO, {after:.1f} % after."
    )


def quality(axes: Axes, changes: Row, family: Row) -> str:
    """The change of each measure of quality with its interval, and the margins of those that have one."""
    names = [name for name in QUALITY if name in changes]
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, name in enumerate(reversed(names)):
        change = changes[name]
        axes.plot([change["low"], change["high"]], [place, place], color=AFTER, linewidth=2)
        axes.plot(change["absolute"], place, color=AFTER, marker="o")
        if margin := family.get(name, {}).get("margin"):
            axes.plot([-margin] * 2, [place - 0.3, place + 0.3], color=OTHER, linewidth=2)
    axes.set_yticks(range(len(names)), [QUALITY[name] for name in reversed(names)])
    axes.set(xlabel="Change by PPO (grey: margin)", ylim=(-0.6, len(names) - 0.4))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    said = [f"{QUALITY[name]} {interval(changes[name])}" for name in names]
    return f"Change by PPO: {'; '.join(said)}."


def tradeoff(axes: Axes, rivals: Row) -> str:
    """Toxicity by the judge against ROUGE-L, a point for each system; hollow where ROUGE-L is of samples."""
    points = compared(rivals)
    for label, color, filled, rouge, toxicity in points:
        axes.plot(rouge, toxicity, "o", color=color, fillstyle="full" if filled else "none", markersize=7, label=label)
    top = 1.15 * max(point[4] for point in points) or 1.0
    right = max(point[3] for point in points)
    axes.set(xlabel="ROUGE-L (better to the right)", ylabel="Mean toxicity, judge (better below)", ylim=(0, top))
    axes.set_xlim(-0.03 * right, 1.75 * right)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= right + 0.05])
    ordered = sorted(points, key=lambda point: point[4])
    for point, y in zip(ordered, apart([point[4] for point in ordered], top / 14), strict=True):
        axes.annotate(
            point[0],
            (point[3], point[4]),
            xytext=(1.08 * right, y),
            fontsize=8,
            va="center",
            arrowprops={"arrowstyle": "-", "color": OTHER, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 4},
        )
    said = [f"{label}: {toxicity:.3f} at ROUGE-L {rouge:.3f}" for label, _, _, rouge, toxicity in points]
    return f"Mean toxicity: {'; '.join(said)}."


def compared(rivals: Row) -> list[tuple[str, str, bool, float, float]]:
    """Label, colour, whether ROUGE-L is of the most probable summary, ROUGE-L and toxicity of each system."""
    labels = {"sft": "Before PPO", "ppo": "After PPO", "filter": "Bad words forbidden"}
    labels |= {"lead3": "First three turns", "base": "Base, no adapter"}
    colors = {"sft": BEFORE, "ppo": AFTER}
    systems, duels = rivals["systems"], {n: rivals["duel"][f"best_of_{n}_raw"] for n in rivals["best_of"]}
    ppo = duels[rivals["best_of"][0]]
    labels |= {name: f"{name[6:]} of PPO's change" for name in systems if name.startswith("scale_")}
    points = [
        (labels[name], colors.get(name, OTHER), True, systems[name]["rougeL"], systems[name]["judge"])
        for name in labels
        if name in systems
    ]
    return [
        *points,
        *(
            (f"Best of {n} (samples)", OTHER, False, duel["rougeL"]["rival"], duel["judge"]["rival"])
            for n, duel in duels.items()
        ),
        ("After PPO (samples)", AFTER, False, ppo["rougeL"]["ppo"], ppo["judge"]["ppo"]),
    ]


def apart(values: Sequence[float], gap: float) -> list[float]:
    """Rising values, moved up so far that no two are nearer than `gap`; none below gap / 2."""
    places: list[float] = []
    for value in values:
        places.append(max(value, places[-1] + gap if places else gap / 2))
    return places
