"""benchmarks/large.json → LARGE.md and large.svg: `python -m benchmarks.large_page` writes both anew."""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from benchmarks.page import COLOR, LIMIT, STYLE, render
from benchmarks.tables import markdown
from detox import files

FITTED = 100_000  # dialogues from which on the start of Python hardly counts
ALLOWED_GB = 1.5

Point = Mapping[str, Any]


def write(folder: Path) -> str:
    """Writes page and plot from the figures in this folder; returns the page."""
    results = json.loads((folder / "large.json").read_text(encoding="utf-8"))
    points = results["points"]
    told = {"noted": results["noted"], "table": table(points), "exponent": exponent(points), "fitted": FITTED}
    page = render("large.md.jinja", **told, rounds=len(points[0]["rounds"]))
    with files.atomic(folder / "LARGE.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    with files.atomic(folder / "large.svg") as temporary, matplotlib.style.context(STYLE):
        plot(points).savefig(temporary, format="svg", metadata=dict.fromkeys(("Creator", "Date")))
    return page


def seconds(point: Point) -> float:
    """Of the processor, which other processes hardly change; the median over the rounds."""
    return median(each["cpu_seconds"] for each in point["rounds"])


def elapsed(point: Point) -> float:
    """By the clock, the median over the rounds."""
    return median(each["seconds"] for each in point["rounds"])


def peak(point: Point) -> float:
    """The worst of the rounds, in GB."""
    return max(each["peak_gb"] for each in point["rounds"])


def exponent(points: Sequence[Point]) -> float:
    """b of seconds = a · dialogues^b, by least squares of the logarithms, from FITTED dialogues on."""
    fitted = [point for point in points if point["dialogues"] >= FITTED]
    sizes, times = ([math.log(value(point)) for point in fitted] for value in (lambda p: p["dialogues"], seconds))
    return linear_regression(sizes, times).slope


def table(points: Sequence[Point]) -> str:
    """A row for each size."""
    head = ["dialogues", "kept", "MB", "s", "CPU s", "CPU µs a dialogue", "exponent from the row above", "peak GB"]
    steps = ["", *(f"{exponent_between(*pair):.2f}" for pair in pairwise(points))]
    rows = (
        [
            f"{point['dialogues']:,}",
            f"{point['kept']:,}",
            f"{point['megabytes']:,.1f}",
            f"{elapsed(point):.2f}",
            f"{seconds(point):.2f}",
            f"{1e6 * seconds(point) / point['dialogues']:.0f}",
            step,
            f"{peak(point):.2f}",
        ]
        for point, step in zip(points, steps, strict=True)
    )
    return markdown(head, rows)


def exponent_between(smaller: Point, larger: Point) -> float:
    """log of the ratio of seconds / log of the ratio of sizes."""
    return math.log(seconds(larger) / seconds(smaller)) / math.log(larger["dialogues"] / smaller["dialogues"])


def plot(points: Sequence[Point]) -> Figure:
    """Seconds and peak memory by the number of dialogues, both axes logarithmic."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    sizes = [point["dialogues"] for point in points]
    proportional = [seconds(points[-1]) * size / sizes[-1] for size in sizes]
    left.loglog(sizes, proportional, ":", color=LIMIT, label="proportional to size")
    left.loglog(sizes, [seconds(point) for point in points], "o-", color=COLOR, label="prepare")
    left.set(xlabel="dialogues", ylabel="CPU s")
    left.legend()
    right.axhline(ALLOWED_GB, linestyle=":", color=LIMIT, label=f"{ALLOWED_GB} GB")
    right.loglog(sizes, [peak(point) for point in points], "o-", color=COLOR, label="prepare")
    right.set(xlabel="dialogues", ylabel="peak memory, GB")
    right.legend()
    return figure


if __name__ == "__main__":
    print(write(Path(__file__).parent))
