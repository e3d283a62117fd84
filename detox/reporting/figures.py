"""Figures for the report: SVG that stands within a page and takes the page's text colour, and the same in words."""

import io
import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# A colour that stands for the page's own text colour: matplotlib has no currentColor.
INK = "#010203"
COLORS = ("#d97706", "#3b82f6")  # before, after: each at least 3:1 on the light and on the dark page
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
STYLE = {
    "svg.hashsalt": "detox",
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(INKED, INK),
}


def draw(
    training: pd.DataFrame, scores: Sequence[Mapping[str, Any]], scaled: pd.DataFrame, progress: pd.DataFrame
) -> dict[str, list[dict[str, str]]]:
    """The report's figures by section, from metrics/{train,tradeoff,progress}.csv and data/scores.jsonl."""
    with matplotlib.style.context(["default", STYLE]):
        curves = [curve(training, "reward", "Mean reward"), curve(training, "kl", "KL, nats a summary")]
        return {"results": [histogram(scores), tradeoff(scaled)], "training": [*curves, optimisation(progress)]}


def tradeoff(scaled: pd.DataFrame) -> dict[str, str]:
    """Toxicity by the judge against ROUGE-L, a point per share of the way from before to after PPO: svg and alt."""
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(scaled["rougeL"], scaled["judge"], color=COLORS[1], marker="o", markersize=4)
    kept = scaled[scaled["scale"] == 1]
    axes.plot(kept["rougeL"], kept["judge"], color=COLORS[0], marker="D", markersize=9, linestyle="none")
    for scale, rouge, toxicity in scaled[["scale", "rougeL", "judge"]].itertuples(index=False):
        axes.annotate(f"{scale:g}", (rouge, toxicity), xytext=(7, 4), textcoords="offset points")
    axes.set(xlabel="ROUGE-L", ylabel="Toxicity by the judge", ylim=(0, None))
    axes.margins(x=0.12)
    points = [f"{row.scale:g}: {row.judge:.3f} at ROUGE-L {row.rougeL:.3f}" for row in scaled.itertuples(index=False)]
    return {"svg": svg(figure), "alt": f"Toxicity by share of the way from before to after PPO: {'; '.join(points)}."}


def optimisation(progress: pd.DataFrame) -> dict[str, str]:
    """Toxicity by both classifiers at each snapshot of training: svg and alt.

    Over-optimisation (Gao et al. 2023) would show as a reward that goes on while the judge turns.
    """
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    for name, color, marker in (("reward", COLORS[0], "s"), ("judge", COLORS[1], "o")):
        axes.plot(progress["step"], progress[name], color=color, marker=marker, label=name)
    axes.set(xlabel="PPO step", ylabel="Toxicity of samples", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    points = [f"{row.step:.0f}: {row.reward:.3f} and {row.judge:.3f}" for row in progress.itertuples(index=False)]
    return {"svg": svg(figure), "alt": f"Toxicity by reward and judge at PPO step {'; '.join(points)}."}


def curve(frame: pd.DataFrame, column: str, label: str) -> dict[str, str]:
    """One column of metrics/train.csv by step: svg, and alt, which says the same in words."""
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(frame["step"], frame[column], color=COLORS[1])
    axes.set(xlabel="PPO step", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    first, last = (frame.iloc[row] for row in (0, -1))
    alt = f"{label}: {first[column]:.3g} at step {first['step']:.0f}, {last[column]:.3g} at step {last['step']:.0f}."
    return {"svg": svg(figure), "alt": alt}


def histogram(scores: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """How many dialogues have which mean toxicity by the judge, before and after: svg and alt."""
    means = [np.array([fmean(row[policy]["judge"]) for row in scores]) for policy in ("sft", "ppo")]
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.hist(means, bins=np.linspace(0, 1, 11).tolist(), color=COLORS, label=["before", "after"], log=True)
    # From 0.5, or a bar of one dialogue would have no height.
    axes.set(xlabel="Toxicity by the judge, mean over samples", ylabel="Dialogues (log scale)", ylim=(0.5, None))
    axes.legend(frameon=False)
    before, after = ((values >= 0.5).sum() for values in means)
    alt = f"Toxicity by the judge: {before} of {len(scores)} dialogues at 0.5 or more before PPO, {after} after."
    return {"svg": svg(figure), "alt": alt}


def svg(figure: Figure) -> Markup:
    """The figure as an SVG element for a page that holds others, always the same bytes."""
    buffer = io.StringIO()
    unnamed = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=unnamed)
    text = buffer.getvalue()
    # Within a page an SVG has no prolog and needs no namespaces, and ids such as axes_1 would stand there twice.
    text = re.sub(r' (?:id="[\w.]+_\d+"|xmlns(?::\w+)?="[^"]*")', "", text[text.index("<svg") :])
    return Markup(text.replace(INK, "currentColor"))  # noqa: S704 - matplotlib has escaped its texts
