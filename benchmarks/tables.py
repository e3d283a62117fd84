"""Raw figures → Markdown tables: medians over the rounds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import flops
from benchmarks.parts import ONE, PRODUCTS, SWEEPS
from benchmarks.rounds import faster, limit_share, middle
from benchmarks.shapes import TYPES

Part = Mapping[str, Any]


class Ratio(NamedTuple):
    """How many times as fast as another program."""

    part: str
    name: str
    than: str
    value: float


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def theirs(part: Part) -> list[str]:
    """The programs of a part that ours are compared with."""
    return [name for name in part["rounds"][0] if name.startswith("TRL")]


def steps(part: Part) -> str:
    """(a) to (c): a row for each program."""
    baselines = theirs(part)
    head = ["", "s a step", "episodes/s", *(f"times {name}" for name in baselines), "peak GB", "tokens a response"]
    return markdown(head, (step_row(part, name, baselines) for name in part["rounds"][0] if name != PRODUCTS))


def step_row(part: Part, name: str, baselines: Sequence[str]) -> list[str]:
    rounds = part["rounds"]
    seconds = middle(rounds, name, "seconds")
    ratios = [f"{faster(rounds, name, than):.2f}" for than in baselines]
    peak, tokens = middle(rounds, name, "peak_gb"), middle(rounds, name, "response_tokens")
    return [name, f"{seconds:.2f}", f"{part['episodes'] / seconds:.3f}", *ratios, f"{peak:.2f}", f"{tokens:.1f}"]


def counts(part: Part) -> str:
    """GFLOP of a step of (a), by what they are spent on."""
    columns = list(part["flop"].values())
    rows = [[f"one pass: {name}", *(giga(column[name]) for column in columns)] for name in columns[0]]
    rows.append(["one pass", *(giga(sum(column.values())) for column in columns)])
    rows.append([f"{len(flops.PASSES)} passes", *(giga(flops.needed(column)) for column in columns)])
    rows.append(["head, repeated", *(giga(flops.repeated(column)) for column in columns)])
    return markdown(["GFLOP", *part["flop"]], rows)


def giga(count: float) -> str:
    return f"{count / 1e9:,.0f}"


def limits(part: Part) -> str:
    """Shares of the limit of (a): seconds of its products at the measured rate / seconds of the step."""
    rounds, names = part["rounds"], part["flop"]
    kinds = list(rounds[0][PRODUCTS])
    head = ["", "GFLOP/s", *(f"{name}: {which}" for name in names for which in ("four passes", "with repeated head"))]
    return markdown(head, ([kind, f"{middle(rounds, PRODUCTS, kind):.1f}", *shares(part, kind)] for kind in kinds))


def shares(part: Part, kind: str) -> list[str]:
    values = [
        limit_share(part["rounds"], name, PRODUCTS, kind, flop)
        for name, once in part["flop"].items()
        for flop in (flops.needed(once), flops.needed(once) + flops.repeated(once))
    ]
    return [percent(value) for value in values]


def scoring(part: Part) -> str:
    """(d): a row for each classifier."""
    rows = []
    for case, texts in part["texts"].items():
        names = [f"{case}, evaluate", f"{case}, ours"]
        seconds = [middle(part["rounds"], name, "seconds") for name in names]
        means = [f"{middle(part['rounds'], name, 'mean'):.6f}" for name in names]
        ratio = faster(part["rounds"], names[1], names[0])
        rows.append([case, str(texts), *(f"{value:.2f}" for value in seconds), f"{ratio:.2f}", *means])
    head = [
        "classifier",
        "texts",
        "evaluate, s",
        "ours, s",
        "times evaluate",
        "mean score, evaluate",
        "mean score, ours",
    ]
    return markdown(head, rows)


def scoring_limits(part: Part) -> str:
    """Shares of the limit of (d): seconds of a classifier's products at the measured rate / seconds of ours."""
    rounds = part["rounds"]
    rows = [
        [f"{case}, {kind}", giga(flop), f"{middle(rounds, PRODUCTS, kind):.1f}", percent(limit)]
        for case, flop in part["flop"].items()
        for kind in rounds[0][PRODUCTS]
        for limit in [limit_share(rounds, f"{case}, ours", PRODUCTS, kind, flop)]
    ]
    return markdown(["", "GFLOP", "GFLOP/s", "share of ours"], rows)


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def scaling(part: Part) -> str:
    """(e): a row for each point."""
    head = [*SWEEPS, "s a step", "episodes/s", *(f"limit, {kind}" for kind in part[PRODUCTS])]
    rows = []
    for point in part["points"]:
        rate = point["episodes"] / point["seconds"]
        bounds = [f"{limit(point, speed):.2f}" for speed in part[PRODUCTS].values()]
        rows.append([*(str(point[name]) for name in SWEEPS), f"{point['seconds']:.2f}", f"{rate:.2f}", *bounds])
    return markdown(head, rows)


def sharing(part: Part) -> str:
    """(f): a row for each number of processes."""
    rows = []
    for name in part["rounds"][0]:
        seconds, peak = (middle(part["rounds"], name, key) for key in ("seconds", "peak_gb"))
        times = faster(part["rounds"], name, ONE)
        rows.append([name, f"{seconds:.2f}", f"{part['episodes'] / seconds:.3f}", f"{times:.2f}", f"{peak:.2f}"])
    return markdown(["", "s a step", "episodes/s", f"times {ONE}", "peak GB of the first"], rows)


def types(part: Part) -> str:
    """(g): a row for each kind of work."""
    rows = []
    for work in ("PPO", "tuning"):
        names = [f"{work}, {dtype}" for dtype in TYPES]
        seconds = [f"{middle(part['rounds'], name, 'seconds'):.2f}" for name in names]
        rows.append([work, *seconds, f"{faster(part['rounds'], names[1], names[0]):.2f}"])
    return markdown(["s a step", *TYPES, "times float32"], rows)


def limit(point: Mapping[str, Any], speed: float) -> float:
    """Episodes a second if a step's products, at `speed` in GFLOP a second, were all."""
    return point["episodes"] / (point["flop"] / (speed * 1e9))


def operators(part: Part) -> str:
    """The profile: the operators that take most time themselves."""
    rows = (
        [f"`{row['operator']}`", f"{row['calls']:,}", f"{row['seconds']:.2f}", f"{100 * row['share']:.1f} %"]
        for row in part["operators"]
    )
    return markdown(["operator", "calls", "s", "share"], rows)


def ratios(results: Mapping[str, Part]) -> list[Ratio]:
    """How many times as fast ours are, of all parts that have been measured."""
    found = []
    for name in ("a", "b", "c"):
        if part := results.get(name):
            ours = [program for program in part["rounds"][0] if program.startswith("ours")]
            pairs = [(program, than) for program in ours for than in theirs(part)]
            found += [Ratio(name, program, than, faster(part["rounds"], program, than)) for program, than in pairs]
    if part := results.get("d"):
        for case in part["texts"]:
            value = faster(part["rounds"], f"{case}, ours", f"{case}, evaluate")
            found.append(Ratio("d", case, "evaluate", value))
    return found
