"""Filter, de-duplicate and split the dialogues.

Reads   params.yaml: prepare; the folder or file at prepare.source.path.
Writes  data/prepared/{train,dev,test}.jsonl, metrics/prepare.json.
"""

from pathlib import Path

from detox import files, params
from detox.corpus import cleaning
from detox.sources import local
from stages import run

PREPARED = Path("data/prepared")
METRICS = Path("metrics/prepare.json")


def main() -> None:
    """Read, clean, split, write."""
    p = params.load(params.Prepare)
    local.path(p.source)
    with files.atomic(PREPARED) as folder:
        metrics = cleaning.prepare(p, folder)
    files.write_metrics(METRICS, metrics)


if __name__ == "__main__":
    run(main)
