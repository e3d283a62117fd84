"""Time and memory of the stage prepare on 1,000 to 1,000,000 dialogues: `make bench-large`, some ten minutes.

Writes benchmarks/large.json, and from it LARGE.md and large.svg beside it. The dialogues are random words at
DialogSum's lengths; some are blank, some repeat an earlier one, with its summary or with another. Leave the machine
alone meanwhile.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from detox import files, sources
from detox.errors import InputError

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
    pinned = {"path": source.name, "sha256": sources.digest(source)}
    (folder / "params.yaml").write_text(json.dumps({"prepare": {"source": pinned, **LIMITS}}), encoding="utf-8")
    return source


def run(folder: Path) -> dict[str, Any]:
    """What the stage takes, and the sha256 of what it writes. Raises InputError if it fails."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    process = subprocess.Popen([sys.executable, "-m", "stages.prepare"], cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError(f"prepare failed with exit code {process.returncode}: see above")
    peak = usage.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    taken = {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_gb": peak}
    return {**taken, "sha256": sources.digest(folder / "data")}


def measure(count: int, rounds: int) -> dict[str, Any]:
    """The stage on so many dialogues. Raises InputError if a round writes other bytes than the first."""
    with tempfile.TemporaryDirectory() as name:
        source = project(Path(name), count)
        runs = [run(Path(name)) for _ in range(rounds)]
        if len({each.pop("sha256") for each in runs}) > 1:
            raise InputError(f"prepare of {count} dialogues does not write the same bytes every time")
        kept = files.read_metrics(Path(name, "metrics", "prepare.json"))["kept"]
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

    noted = {"date": datetime.date.today().isoformat(), **device.description()}
    with files.atomic(HERE / "large.json") as temporary:
        temporary.write_text(json.dumps({"noted": noted, "points": points}, indent=1) + "\n", encoding="utf-8")
    print(large_page.write(HERE))


if __name__ == "__main__":
    main()
