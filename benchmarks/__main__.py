"""Compare this project with TRL 0.11.4 and evaluate, side by side: alternating processes, medians of ratios.

Writes benchmarks/results.json, and from it RESULTS.md and results.svg beside it. TRL 0.11.4 has an environment of its
own: `make bench` sets it up and runs all. Nothing else should run on the machine.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import device, page, rounds
from benchmarks.parts import PARTS, WITH_TRL, Bench, Sizes
from detox.errors import InputError
from stages import yield_while_waiting

HERE = Path(__file__).parent
TRL_PYTHON = ".bench/trl/bin/python"  # where the Makefile puts it


def chosen(text: str) -> list[str]:
    """Names of parts, separated by commas."""
    names = text.split(",")
    if unknown := sorted(set(names) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(unknown)}: choose of {','.join(PARTS)}")
    return names


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def measure(names: list[str], trl_python: str, pairs: int, results: Path) -> None:
    """Measures these parts and stores each as soon as it is there; the others' figures stay."""
    stored = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), trl_python, pairs, Sizes())
        bench.make_models()
        for name in names:
            stored[name] = device.noted(PARTS[name](bench))
            rounds.store(results, stored)


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=positive, default=5, help="rounds of (a) to (d) and (f) (default: 5)")
    parser.add_argument("--only", type=chosen, default=list(PARTS), help=f"parts to measure: some of {','.join(PARTS)}")
    parser.add_argument(
        "--trl-python", default=TRL_PYTHON, help=f"Python of an environment with TRL (default: {TRL_PYTHON})"
    )
    arguments = parser.parse_args()
    yield_while_waiting()  # the programs inherit it
    if WITH_TRL & set(arguments.only) and not shutil.which(arguments.trl_python):
        parser.error(f"there is no {arguments.trl_python}: `make bench` installs it; or name one with --trl-python")
    try:
        measure(arguments.only, arguments.trl_python, arguments.pairs, HERE / "results.json")
    except InputError as error:
        sys.exit(f"error: {error}")
    print(page.write(HERE))


if __name__ == "__main__":
    main()
