"""Filter, de-duplicate and split the dialogues.

Reads   params.yaml: prepare; the folder or file at prepare.source.path.
Writes  data/prepared/{train,dev,test}.jsonl, metrics/prepare.json; on stderr what it found and did not use.
"""

import sys
from pathlib import Path

from detox import files
from detox.corpus import cleaning, layout
from detox.errors import one_line
from detox.params import reading, sections
from detox.sources import local
from stages import run

PREPARED = Path("data/prepared")
METRICS = Path("metrics/prepare.json")


def main() -> None:
    """Read, clean, split, write."""
    p = reading.load(sections.Prepare)
    found = layout.find(local.path(p.source), p.config)
    with files.atomic(PREPARED) as folder:
        metrics = cleaning.prepare(p, found, folder)
    files.write_metrics(METRICS, metrics)
    wanted = {"train": None, "dev": p.dev_fraction, "test": p.test_fraction}
    if unused := found.unused(part for part, fraction in wanted.items() if fraction is None):
        print(one_line(f"{p.source.path}: not used: {', '.join(unused)}"), file=sys.stderr)


if __name__ == "__main__":
    run(main)
