"""The model card that goes with the released adapter."""

import re
from pathlib import Path

import jinja2
import pandas as pd

from detox.reporting import tables


def render(frame: pd.DataFrame, base: str, prompt: str) -> str:
    """The card: what the adapter is, its numbers (frame as `tables.table` makes it), its limits, how to load it.

    base is the adapter's base model, a hub id or a local folder; prompt is that of params.yaml.
    """
    loader = jinja2.PackageLoader("detox.reporting")
    # Not escaped, because it is Markdown: all that it takes from elsewhere is names, numbers and the prompt.
    environment = jinja2.Environment(  # noqa: S701
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    # Only a hub id may stand as base_model in the card's metadata: a hub refuses a local folder there.
    on_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", base) and not Path(base).exists()
    # What else an adapter says of its base would go into Markdown and code as it is.
    name = base if on_hub else re.sub(r"[^\w.-]", "_", Path(base).name)
    return environment.get_template("card.md.jinja").render(
        on_hub=on_hub, base=name, prompt=prompt.rstrip("\n"), table=tables.sliced(frame), metrics=_metrics(frame)
    )


def _metrics(frame: pd.DataFrame) -> list[dict[str, str]]:
    """The card's metadata: of all dialogues after PPO the toxicity by the judge and ROUGE-L."""
    after = frame[frame["slice"] == "all"].set_index("measure")["after"]
    kinds = {"Toxicity, judge": "toxicity", "ROUGE-L": "rouge"}
    return [{"type": kind, "name": name, "value": f"{after[name]:.4f}"} for name, kind in kinds.items()]
