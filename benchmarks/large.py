"""Time and memory of the stage prepare on 1,000 to 1,000,000 dialogues: `make bench-large`, some ten minutes.

Writes benchmarks/large.json, and from it LARGE.md and large.svg beside it. The dialogues are random words at
DialogSum's lengths; some are blank, some repeat an earlier one, with its summary or with another. Leave the machine
alone meanwhile.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks import rounds, usage
from benchmarks.rounds import Figures
from detox import files, parsing
from detox.errors import InputError
from detox.sources import local

HERE = Path(__file__).parent
SIZES = [1_000, 10_000, 100_000, 1_000_000]
LIMITS = {"min_characters": 200, "max_characters": 1000, "test_fraction": 0.2, "dev_fraction": 0.05}
WORDS = [
    start + middle + end for start in "bdfglmnprstvw" for middle in ("a", "ei", "o", "ul") for end in ("", "ne", "rism")
]


def dialogue(number: int) -> str:
    """The dialogue of this number, always the same: some 200 to 1,200 characters."""
    rng = Random(number)
    turns = [" ".join(rng.choices(WORDS, k=rng.randint(4, 18))) for _ in range(rng.randint(3, 18))]
    return "\n".join(f"#Person{1 + place % 2}#: {turn}." for place, turn in enumerate(turns))


def rows(count: int) -> Iterator[dict[str, str]]:
    """In a hundred rows one is blank, two repeat an earlier row, three repeat a dialogue with another summary."""
    for number in range(count):
        kind = number % 100
        repeated = number // 2 if 0 < kind < 6 else number
        summary = f"Summary {repeated if kind < 3 else number}: {' '.join(WORDS[:20])}."
        yield {"id": f"d{number}", "dialogue": dialogue(repeated) if kind else "", "summary": summary}


def project(folder: Path, count: int) -> Path:
    """A folder with params.yaml and so many dialogues; returns their file."""
    files.write_jsonl(source := folder / "source.jsonl", rows(count))
    pinned = {"path": source.name, "sha256": local.digest(source)}
    (folder / "params.yaml").write_text(json.dumps({"prepare": {"source": pinned, **LIMITS}}), encoding="utf-8")
    return source


def run(folder: Path) -> Figures:
    """What the stage takes, and the sha256 of what it writes. Raises InputError if it fails."""
    taken = usage.run([sys.executable, "-m", "stages.prepare"], folder)
    return {**taken, "sha256": local.digest(folder / "data")}


def measure(count: int, repeated: int) -> Figures:
    """The stage on so many dialogues. Raises InputError if a round writes other bytes than the first."""
    with tempfile.TemporaryDirectory() as name:
        source = project(Path(name), count)
        runs = [run(Path(name)) for _ in range(repeated)]
        if len({each.pop("sha256") for each in runs}) > 1:
            raise InputError(f"prepare of {count} dialogues does not write the same bytes every time")
        kept = parsing.read_metrics(Path(name, "metrics", "prepare.json"))["kept"]
        return {"dialogues": count, "kept": kept, "megabytes": source.stat().st_size / 1e6, "rounds": runs}


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.large", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size (default: 3)")
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="numbers of dialogues")
    arguments = parser.parse_args()
    try:
        points = [measure(count, arguments.rounds) for count in arguments.sizes]
    except InputError as error:
        sys.exit(f"error: {error}")
    # Here and not at the top: a process that is started has at least the memory of the one that starts it.
    from benchmarks import device, large_page

    rounds.store(HERE / "large.json", device.noted({"points": points}))
    print(large_page.write(HERE))


if __name__ == "__main__":
    main()
