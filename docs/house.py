"""Write docs/house.md: the rooms of detox/ and what they import, from their docstrings, the code and dvc.yaml."""

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import grimp

from detox import files
from detox.params import reading

PAGE, LIBRARY, PIPELINE = Path("docs/house.md"), Path("detox"), Path("dvc.yaml")
LINE = re.compile(r"^(\w+\.py) +(.+)$", re.M)  # of a room's docstring: a file, and what is in it

TEXT = """# The house

Written by `python -m docs.house` from the rooms' docstrings, the imports and dvc.yaml; a test compares. What a room may
not import is said in pyproject.toml, and `make lint` holds it.

## The way of a dialogue

A table of your data → `corpus/reader.py` reads it row by row → `corpus/cleaning.py` keeps, merges and splits →
`data/prepared/*.jsonl` → `model/prompts.py` makes a prompt of it → `model/policy.py` with `model/sampling.py` writes
summaries → `generation/summaries.py` keeps those of the test part → `evaluation/metrics.py` measures them →
`evaluation/claims.py` says what holds → `reporting/page.py` shows it.

## The way of a reward

A sampled summary → `model/classifier.py` gives its margin, the log-odds of clean against toxic → `ppo/rollouts.py`
clips it to a score → `ppo/losses.py` charges every token for its distance from the reference → `ppo/baseline.py` says
what was to be expected → `ppo/trainer.py` moves the policy.

## Who imports whom

{drawing}

On the root modules `errors.py`, `files.py` (writing), `parsing.py` (reading), `git.py` and on `params` rooms stand.

## The rooms

{rooms}"""

ROOM = """### {name}

{title}

{files}

{never}
Imports {imports}. A change in it runs again: {stages}.
"""


def rooms() -> dict[str, str]:
    """The docstring of each room, by its name."""
    found = sorted(LIBRARY.glob("*/__init__.py"))
    return {path.parent.name: str(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))) for path in found}


def edges(names: Iterable[str]) -> dict[str, list[str]]:
    """Of each room the rooms that it imports from."""
    graph = grimp.build_graph(LIBRARY.name, cache_dir=None)
    found: dict[str, set[str]] = {name: set() for name in names}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            first, second = (module.split(".")[1:2] for module in (importer, imported))
            if first != second and first and second and {*first, *second} <= found.keys():
                found[first[0]].update(second)
    return {name: sorted(others) for name, others in found.items()}


def drawing(imports: Mapping[str, Iterable[str]]) -> str:
    """The imports as a graph that a browser draws, without the room on which all stand."""
    lines = [f"  {name} --> {other}" for name, others in imports.items() for other in others if other != "params"]
    return "\n".join(["```mermaid", "graph LR", *lines, "```"])


def stages_of(room: str) -> list[str]:
    """The stages that list the room, or a file of it, under deps."""
    stages = reading.read(PIPELINE)["stages"]
    return [
        name for name, stage in stages.items() if any(f"{dep}/".startswith(f"detox/{room}/") for dep in stage["deps"])
    ]


def described(name: str, docstring: str, imports: Iterable[str]) -> str:
    """A room's part of the page."""
    title, *_, never = docstring.split("\n\n")
    listed = "\n".join(f"- `{file}`: {what}" for file, what in LINE.findall(docstring))
    stages = ", ".join(f"`{stage}`" for stage in stages_of(name)) or "no stage"
    of = ", ".join(f"`{each}`" for each in imports) or "no room"
    return ROOM.format(name=f"detox/{name}", title=title, files=listed, never=never, imports=of, stages=stages)


def page() -> str:
    """The whole page."""
    docstrings = rooms()
    imports = edges(docstrings)
    parts = [described(name, docstring, imports[name]) for name, docstring in docstrings.items()]
    return TEXT.format(drawing=drawing(imports), rooms="\n".join(parts))


if __name__ == "__main__":
    with files.atomic(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")
