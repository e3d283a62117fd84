"""Compare this project's PPO step with TRL 0.11.4's, side by side: alternating processes, medians of ratios.

TRL 0.11.4 needs an environment of its own, once:

    python3.11 -m venv trl-env
    trl-env/bin/pip install -r benchmarks/trl/requirements.lock
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tqdm import trange

from benchmarks import shapes

OURS = {
    k: [sys.executable, "-m", "benchmarks.step", f"--k={k}", f"--micro-batch={k}", "--mini-batch=4"] for k in (1, 4)
}


def measured(command: list[str], folder: Path) -> dict[str, float]:
    """The line of JSON that a measurement prints last."""
    printed = subprocess.run([*command, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    figures: dict[str, float] = json.loads(printed.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--trl-python", default="trl-env/bin/python", help="the Python of the environment with TRL")
    arguments = parser.parse_args()
    programs = {"TRL 0.11.4": [arguments.trl_python, "benchmarks/trl/step.py"]}
    programs |= {f"ours, k={k}": command for k, command in OURS.items()}
    with tempfile.TemporaryDirectory() as folder:
        shapes.make(Path(folder))
        rows = [
            {name: measured(command, Path(folder)) for name, command in programs.items()}
            for _ in trange(arguments.pairs, desc="rounds")
        ]
    print("| 16 episodes, T5-base shape | s a step | times as fast as TRL | peak GB |\n|---|---|---|---|")
    for name in programs:
        seconds, peak = (statistics.median(row[name][key] for row in rows) for key in ("seconds", "peak_gb"))
        faster = statistics.median(row["TRL 0.11.4"]["seconds"] / row[name]["seconds"] for row in rows)
        print(f"| {name} | {seconds:.1f} | {faster:.2f} | {peak:.2f} |")


if __name__ == "__main__":
    main()
