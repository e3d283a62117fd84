"""Figures for the report: SVG that stands within a page and takes the page's text colour, and the same in words."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib.style
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from detox.reporting import panels
from detox.reporting.panels import AFTER, INK, OTHER

Row = Mapping[str, Any]

INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
STYLE = {
    "svg.hashsalt": "detox",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(INKED, INK),
}
SIZE = (4.4, 3.4)  # inches: three beside each other on a desk, one below the other on a phone
UNNAMED = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # or the bytes would change

Drawn = dict[str, str]  # svg, alt (the same in words), title


def draw(
    training: pd.DataFrame, scores: Sequence[Row], metrics: Mapping[str, Row], progress: pd.DataFrame
) -> dict[str, list[Drawn]]:
    """The report's figures by section, from metrics/{train,progress}.csv, data/scores.jsonl, and metrics/*.json."""
    with matplotlib.style.context(["default", STYLE]):
        return {
            "results": [_alone(title, panel) for title, panel in results(scores, metrics).items()],
            "training": [
                _alone("Mean reward", partial(curve, training, "reward", "Mean reward")),
                _alone("Distance from before (KL)", partial(curve, training, "kl", "KL, nats a summary")),
                _alone("Toxicity of test summaries along training", partial(optimisation, progress)),
            ],
        }


def results(scores: Sequence[Row], metrics: Mapping[str, Row]) -> dict[str, Callable[[Axes], str]]:
    """What draws the result's pictures, by their titles."""
    change, family = metrics["evaluate"]["all"]["change"], metrics["claims"]["family"]
    return {
        "How toxic are the summaries?": lambda axes: panels.distributions(axes, scores),
        "Are they as good as before?": lambda axes: panels.quality(axes, change, family),
        "What else could one do?": lambda axes: panels.tradeoff(axes, metrics["rivals"]),
    }


def overview(scores: Sequence[Row], metrics: Mapping[str, Row]) -> str:
    """The result's pictures beside one another on white: an SVG file."""
    drawn, buffer = results(scores, metrics), io.StringIO()
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(SIZE[0] * len(drawn), SIZE[1]), layout="constrained")
        for axes, (title, panel) in zip(figure.subplots(1, len(drawn)), drawn.items(), strict=True):
            panel(axes)
            axes.set_title(title, loc="left")
        figure.savefig(buffer, format="svg", metadata=UNNAMED)
    return buffer.getvalue()


def _alone(title: str, panel: Callable[[Axes], str]) -> Drawn:
    figure = Figure(figsize=SIZE, layout="constrained")
    alt = panel(figure.subplots())
    return {"title": title, "svg": svg(figure), "alt": alt}


def optimisation(progress: pd.DataFrame, axes: Axes) -> str:
    """Toxicity by both classifiers at each snapshot of training.

    Over-optimisation (Gao et al. 2023) would show as a reward that goes on while the judge turns.
    """
    for name, color, line in (("reward", OTHER, "s--"), ("judge", AFTER, "o-")):
        axes.plot(progress["step"], progress[name], line, color=color, label=name)
    axes.set(xlabel="PPO step", ylabel="Mean toxicity of samples", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    points = [f"{row.step:.0f}: {row.reward:.3f} and {row.judge:.3f}" for row in progress.itertuples(index=False)]
    return f"Toxicity by reward and judge at PPO step {'; '.join(points)}."


def curve(frame: pd.DataFrame, column: str, label: str, axes: Axes) -> str:
    """One column of metrics/train.csv by step."""
    axes.plot(frame["step"], frame[column], color=AFTER)
    axes.set(xlabel="PPO step", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    first, last = (frame.iloc[row] for row in (0, -1))
    ends = [f"{number:.3g}" for number in (first[column].round(4) + 0.0, last[column])]
    return f"{label}: {ends[0]} at step {first['step']:.0f}, {ends[1]} at step {last['step']:.0f}."


def svg(figure: Figure) -> Markup:
    """The figure as an SVG element for a page that holds others, always the same bytes."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata=UNNAMED)
    text = buffer.getvalue()
    # Within a page an SVG has no prolog and needs no namespaces, and ids such as axes_1 would stand there twice.
    text = re.sub(r' (?:id="[\w.]+_\d+"|xmlns(?::\w+)?="[^"]*")', "", text[text.index("<svg") :])
    return Markup(text.replace(INK, "currentColor"))  # noqa: S704 - matplotlib has escaped its texts
