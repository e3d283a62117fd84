"""The model card that goes with the released adapter."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import jinja2
import pandas as pd

from detox.reporting import tables


class Release(NamedTuple):
    """What a card says beside the numbers."""

    base: str  # owner/name on the hub, or a folder
    revision: str | None  # the base's commit on the hub; None for a folder
    about: Mapping[str, str]  # of provenance.described
    sized: str  # the test dialogues
    toy: bool  # the models are the miniature's
    max_prompt_tokens: int
    max_new_tokens: int
    prompt: str  # with {dialogue}


def render(frame: pd.DataFrame, release: Release) -> str:
    """The card: what the adapter is, its numbers (frame as `tables.table` makes it), its limits, how to use it."""
    loader = jinja2.PackageLoader("detox.reporting")
    # Not escaped, because it is Markdown: all that it takes from elsewhere are names, and numbers.
    environment = jinja2.Environment(  # noqa: S701
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"name": _name, "repr": repr}
    return environment.get_template("card.md.jinja").render(
        **release._asdict(), table=tables.sliced(frame), metrics=_metrics(frame)
    )


def _name(text: str) -> str:
    # What else a name holds would go into Markdown, metadata and code as it is.
    return re.sub(r"[^\w./:, -]", "_", text)


def _metrics(frame: pd.DataFrame) -> list[dict[str, str]]:
    """The card's metadata: of all dialogues after PPO the toxicity by the judge and ROUGE-L."""
    after = frame[frame["slice"] == "all"].set_index("measure")["after"]
    kinds = {"Toxicity, judge": "toxicity", "ROUGE-L": "rouge"}
    return [{"type": kind, "name": name, "value": f"{after[name]:.4f}"} for name, kind in kinds.items()]
