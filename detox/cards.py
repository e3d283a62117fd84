"""The model card that goes with the released adapter."""

import re
from pathlib import Path

import jinja2
import pandas as pd

from detox import tables


def render(frame: pd.DataFrame, base: str) -> str:
    """The card: what the adapter is, its numbers (frame as `tables.table` makes it), its limits, how to load it.

    base is the adapter's base model, a hub id or a local folder.
    """
    loader = jinja2.PackageLoader("detox")
    # Not escaped, because it is Markdown.
    environment = jinja2.Environment(  # noqa: S701
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    # Only a hub id may stand as base_model in the card's metadata: a hub refuses a local folder there.
    on_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", base) and not Path(base).exists()
    return environment.get_template("card.md.jinja").render(
        on_hub=on_hub, base=base if on_hub else Path(base).name, table=tables.sliced(frame)
    )
