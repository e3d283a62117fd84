"""The report: one page that needs nothing else and loads nothing."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from detox.errors import InputError
from detox.reporting import panels, tables, verdicts
from detox.reporting.examples import marked
from detox.reporting.slices import SLICES

PACKAGES = ("torch", "transformers", "peft", "trl")

Row = Mapping[str, Any]


class Contents(NamedTuple):
    """What the page shows beside the metrics."""

    figures: Mapping[str, Sequence[Mapping[str, str]]]  # of figures.draw
    examples: Mapping[str, Sequence[Row]]  # of examples.choose
    along: Sequence[Row]  # data/snapshots.jsonl
    provenance: Mapping[str, str]  # of provenance.described
    toy: bool  # the models are the miniature's
    insults: Collection[str]  # words to mark
    hashes: Mapping[str, str]  # of sha256s


def render(metrics: Mapping[str, Row], scores: Sequence[Row], contents: Contents) -> str:
    """The page, its every text escaped.

    metrics holds metrics/{evaluate,prepare,train,claims,quarrels,rivals}.json by name; scores is data/scores.jsonl.
    """
    evaluation, rivals = metrics["evaluate"], metrics["rivals"]
    loader = jinja2.PackageLoader("detox.reporting")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["marked"] = partial(marked, insults=contents.insults)
    return environment.get_template("report.html.jinja").render(
        colors={"before": panels.BEFORE, "after": panels.AFTER},
        lead=verdicts.lead(evaluation, metrics["claims"]["family"]),
        sized=verdicts.sized,
        slices=SLICES,
        tables={name: tables.texts(part) for name, part in tables.table(evaluation).groupby("slice", sort=False)},
        evaluation=evaluation,
        claims=metrics["claims"],
        claimed=verdicts.claims(metrics["claims"]["family"]),
        alternative=verdicts.alternative(rivals),
        notes=verdicts.odd_systems(rivals["systems"]),
        rivals=rivals,
        systems=tables.systems(rivals["systems"]),
        duels=tables.duels(rivals),
        quarrels=tables.quarrels(metrics["quarrels"]),
        single=verdicts.single(scores),
        data=metrics["prepare"],
        training=metrics["train"],
        # Without the local label: +cpu would make the page differ from one machine to the other.
        versions={name: version(name).partition("+")[0] for name in PACKAGES},
        **contents._asdict(),
    )


def sha256s(paths: Iterable[Path]) -> dict[str, str]:
    """Hex digest of each file, by its path. Raises InputError if there is none."""
    return {path.as_posix(): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run 'dvc repro'") from None
