"""Filter, de-duplicate and split the dialogues.

Reads   params.yaml: prepare; the folder or file at prepare.source.path.
Writes  data/prepared/{train,dev,test}.jsonl, metrics/prepare.json.
"""

from pathlib import Path

from detox import dialogues, files, params, sources
from stages import run

PREPARED = Path("data/prepared")
METRICS = Path("metrics/prepare.json")


def main() -> None:
    """Read, clean, split, write."""
    p = params.load(params.Prepare)
    sources.local(p.source)
    # Here and not at the top, because it takes seconds and --help does not need it.
    from datasets import disable_progress_bars

    disable_progress_bars()
    parts, counts = dialogues.prepare(p)
    metrics = {
        **{name: counts[name] for name in ("read", "kept", "merged")},
        "dropped": {name: counts[name] for name in dialogues.DROPPED},
        **{name: len(rows) for name, rows in parts.items()},
        "near_duplicates_across_split": dialogues.near_duplicates(parts["train"], parts["test"]),
    }
    with files.atomic(PREPARED) as folder:
        for name, rows in parts.items():
            files.write_jsonl(folder / f"{name}.jsonl", rows)
    files.write_metrics(METRICS, metrics)


if __name__ == "__main__":
    run(main)
