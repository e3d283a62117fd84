"""Run the miniature, whole, and measure time and memory of its stages: `python -m benchmarks.miniature`.

Writes benchmarks/miniature.json, from which follows what `make check` says that a run will take (benchmarks.forecast).
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from benchmarks import full_size, rounds, usage
from benchmarks.rounds import Figures
from detox import parsing
from detox.errors import InputError
from stages import yield_while_waiting

HERE = Path(__file__).parent
NEEDED = ("params.yaml", "profiles", "data/miniature", "data/provocations.txt", "models/miniature")


def measure(project: Path) -> Figures:
    """What benchmarks/miniature.json holds, but for the machine."""
    for name in NEEDED:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        here = usage.ROOT / name
        (shutil.copytree if here.is_dir() else shutil.copyfile)(here, project / name)
    usage.run([sys.executable, "-m", "detox.params.profiles", "miniature"], project)
    stages = {stage: usage.run([sys.executable, "-m", f"stages.{stage}"], project) for stage in tqdm(full_size.STAGES)}
    counted = parsing.read_metrics(project / "metrics" / "prepare.json")
    rows = {part: counted[part] for part in ("train", "dev", "test")}
    models = ("base", "toxicity", "judge")
    return {
        "parameters": full_size.settings(project),
        "rows": rows,
        "cut": rows,
        "stages": stages,
        "model_bytes": sum(full_size.size(project / "models" / "miniature" / name) for name in models),
        "train": parsing.read_metrics(project / "metrics" / "train.json"),
    }


def main() -> None:
    yield_while_waiting()  # the programs inherit it
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(Path(folder, "project"))
    except InputError as error:
        sys.exit(f"error: {error}")
    # Only now, because they import torch.
    from benchmarks import device, gemm

    rounds.store(HERE / "miniature.json", device.noted(figures) | {"gflops": gemm.fastest(full_size.RATED, gemm.busy)})


if __name__ == "__main__":
    main()
