"""benchmarks/results.json → RESULTS.md and results.svg: `python -m benchmarks.page` writes both anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.style
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import tables
from benchmarks.parts import MIDDLE, PRODUCTS, SWEEPS
from detox import files

STYLE = {"svg.hashsalt": "detox", "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
COLOR, LIMIT = "#3b82f6", "#d97706"


def write(folder: Path) -> str:
    """Writes page and plot from the results in this folder; returns the page."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    page = render("results.md.jinja", results=results, tables=tables)
    with files.atomic(folder / "RESULTS.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    with files.atomic(folder / "results.svg") as temporary:
        unnamed = dict.fromkeys(("Creator", "Date"))
        with matplotlib.style.context(STYLE):
            plot(results).savefig(temporary, format="svg", metadata=unnamed)
    return page


def render(template: str, **told: object) -> str:
    """A page of Markdown from a template of this folder."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown
    )
    return templates.get_template(template).render(**told)


def plot(results: Mapping[str, Any]) -> Figure:
    """Bars of the ratios of (a) to (d); below them, if measured, episodes a second by each size of (e)."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    rows = figure.add_gridspec(2, len(SWEEPS), height_ratios=(3, 2))
    bars(figure.add_subplot(rows[0, :]), tables.ratios(results))
    if "e" in results:
        for place, name in enumerate(SWEEPS):
            line(figure.add_subplot(rows[1, place]), results["e"], name)
    return figure


def bars(axes: Axes, ratios: list[tables.Ratio]) -> None:
    """A bar for each ratio, the first on top."""
    names = [f"({ratio.part}) {ratio.name} / {ratio.than}" for ratio in ratios]
    drawn = axes.barh(range(len(ratios)), [ratio.value for ratio in ratios], color=COLOR)
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(ratios)), names)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast")


def line(axes: Axes, part: Mapping[str, Any], name: str) -> None:
    """Episodes a second by one size, the others in the middle, and what the products alone would allow."""
    fixed = {other: value for other, value in MIDDLE.items() if other != name}
    points = [point for point in part["points"] if all(point[other] == value for other, value in fixed.items())]
    points.sort(key=lambda point: point[name])
    sizes = [point[name] for point in points]
    axes.plot(sizes, [point["episodes"] / point["seconds"] for point in points], "o-", color=COLOR, label="ours")
    for (kind, speed), style in zip(part[PRODUCTS].items(), ("--", ":"), strict=False):
        limits = [tables.limit(point, speed) for point in points]
        axes.plot(sizes, limits, style, color=LIMIT, label=f"limit, {kind}")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set(xlabel={"prompt": "prompt tokens", "response": "response tokens"}.get(name, name), ylim=(0, None))
    if name == next(iter(SWEEPS)):
        axes.set_ylabel("episodes/s")
        axes.legend(fontsize="small")


if __name__ == "__main__":
    print(write(Path(__file__).parent))
