"""Check this machine's GPUs, in minutes, and write what was found to benchmarks/GPU.md: `make gpu-check`.

Without a GPU the same runs, small, on a simulated one, which shows what is on the wrong side; then nothing is written.
On a machine without a network: `pip install --no-index --find-links WHEELS -r requirements.lock` with a torch for its
CUDA, a copy of this repository, and `python -m benchmarks.gpu_check` in it.
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from benchmarks import device, rounds, shapes
from benchmarks.gpu_step import FULL, SMALL
from detox import parsing
from detox.errors import InputError
from detox.params import profiles

ROOT, PAGE = Path(__file__).parent.parent, Path("benchmarks/GPU.md")
TRL = ROOT / ".bench" / "trl" / "bin" / "python"
REAL = torch.cuda.is_available()
TESTS = ["tests/runtime/test_devices.py", *(["tests/runtime/test_handover.py"] if REAL else [])]
WITHIN = 1e-3  # of figures on two devices
ROWS = {"train": 384 if REAL else 16, "test": 100 if REAL else 8}
SECTIONS: dict[str, dict[str, Any]] = {
    "ppo": {"steps": 3} if REAL else {"steps": 2, "batch_size": 8, "mini_batch_size": 8, "micro_batch_size": 4},
    "summarize": {"stress_minimum": 4, "max_new_tokens": 72 if REAL else 8},
}


def run(command: list[str], folder: Path) -> str:
    """What a command prints. Raises InputError with its last lines if it fails."""
    inherited = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}", "TQDM_DISABLE": "1"}
    ended = subprocess.run(command, cwd=folder, env=inherited, capture_output=True, text=True)
    if ended.returncode:
        raise InputError(f"{' '.join(command)} failed: {(ended.stdout + ended.stderr).strip()[-1500:]}")
    return ended.stdout


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module with a GPU, or with a simulated one."""
    return [sys.executable, "-m", *([] if REAL else ["simulated"]), name, *arguments]


def shared(stage: str) -> list[str]:
    """The command that runs a stage in two processes, likewise."""
    launch = f"from detox.runtime import handover; handover.launch('simulated', ['stages.{stage}'], 2, 1)"
    return module(f"stages.{stage}") if REAL else [sys.executable, "-c", launch]


@contextmanager
def project() -> Iterator[Path]:
    """A folder with the miniature, made short, ready to be trained."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("data/miniature", "models/miniature"):
            shutil.copytree(ROOT / part, folder / part)
        for part, count in ROWS.items():
            path = folder / "data" / "miniature" / f"{part}.jsonl"
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            path.write_text("".join(lines[:: len(lines) // count]), encoding="utf-8")
        for part in ("params.yaml", "data/provocations.txt"):
            shutil.copy(ROOT / part, folder / part)
        change(folder, {"compute": {"device": "cpu", "processes": 1}} | SECTIONS)
        run([sys.executable, "-m", "detox.sources.pins"], folder)
        for stage in ("prepare", "fetch_adapter", "rank_dialogues"):
            run([sys.executable, "-m", f"stages.{stage}"], folder)
        yield folder


def change(folder: Path, sections: Mapping[str, Mapping[str, Any]]) -> None:
    tree = profiles.read(folder / "params.yaml")
    profiles.merge(tree, sections, "benchmarks.gpu_check")
    YAML().dump(tree, folder / "params.yaml")


def outcome(folder: Path, commands: list[list[str]], compute: dict[str, Any]) -> dict[str, Any]:
    """Rows of training, and summaries, of one way to compute them."""
    change(folder, {"compute": compute})
    for command in commands:
        run(command, folder)
    with (folder / "metrics" / "train.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return {"rows": rows, "sft": parsing.read_jsonl(folder / "data" / "summaries" / "sft.jsonl")}


def compared(some: dict[str, Any], others: dict[str, Any]) -> tuple[float, float]:
    """The largest difference of a figure of training, relative to 1 or to it; the share of summaries that differ."""
    pairs = [(one[name], other[name]) for one, other in zip(some["rows"], others["rows"], strict=True) for name in one]
    different = [one != other for one, other in zip(some["sft"], others["sft"], strict=True)]
    return max(abs(one - other) / max(1, abs(one)) for one, other in pairs), sum(different) / len(different)


def miniature() -> dict[str, tuple[float, float]]:
    """How far the miniature on a GPU, and in two processes, is from one process on the CPU."""
    stages = ("train_ppo", "summarize")
    with project() as folder:
        cpu = outcome(folder, [[sys.executable, "-m", f"stages.{stage}"] for stage in stages], {"device": "cpu"})
        one = outcome(folder, [module(f"stages.{stage}") for stage in stages], {"device": "cuda"})
        two = outcome(folder, [shared(stage) for stage in stages], {"device": "cuda", "processes": 2})
    return {"one process": compared(cpu, one), "two processes": compared(cpu, two)}


def base_size() -> dict[str, Any]:
    """Figures of a T5 of base size by type of numbers, and TRL's step where its environment is there."""
    sizes = FULL if REAL else SMALL
    with project() as folder:
        change(folder, {"compute": {"device": "cuda"}})
        shapes.t5(folder / "t5", sizes.width, sizes.layers)
        shapes.roberta(folder / "roberta", sizes.width, sizes.layers)
        small = [] if REAL else ["--small"]
        kinds = {
            dtype: rounds.last_line(run(module("benchmarks.gpu_step", dtype, str(folder), *small), folder))
            for dtype in ("float32", "bfloat16")
        }
        if REAL and TRL.exists():
            told = "--episodes 64 --mini-batch 64 --tokens 64 --min-tokens 64 --generate-batch 64 --warm-up 1".split()
            texts = shapes.write_prompts(folder / "trl.json", shapes.spread(128, *shapes.PROMPT_TOKENS))
            given = [str(each) for each in (folder / "t5" / "base", folder / "t5" / "adapter", texts)]
            kinds["TRL"] = rounds.last_line(run([str(TRL), "benchmarks/trl/step.py", *given, *told], ROOT))
    return kinds


def page(tests: str, differences: Mapping[str, tuple[float, float]], figures: Mapping[str, Any]) -> str:
    """benchmarks/GPU.md."""
    cards = f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}" if REAL else "simulated"
    lines = [
        "# On a GPU",
        "",
        f"`make gpu-check` on {cards}, CUDA {torch.version.cuda}, {device.description()['versions']}.",
        "",
        f"Tests of devices: {tests}.",
        "",
        "| the miniature beside one process on the CPU | largest difference of a figure | summaries that differ |",
        "|---|---:|---:|",
        *(f"| {name} | {figure:.1e} | {share:.1%} |" for name, (figure, share) in differences.items()),
        "",
        "A T5 of base size, four episodes a prompt, random weights; tokens a second:",
        "",
        "| | PPO step | of the card's products | decoding | tuning | scoring | peak GiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in figures.items():
        share = f"{row['step_tflops'] / row['card_tflops']:.1%}" if "card_tflops" in row else "–"
        step = f"{row['step_tokens']:.0f}" if "step_tokens" in row else f"{64 * 64 / row['seconds']:.0f}"
        keys = ("decoding_tokens", "tuning_tokens", "scoring_tokens")
        rest = [f"{row[key]:.0f}" if key in row else "–" for key in keys]
        cells = [name, step, share, *rest, f"{row['peak_gb']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """All of it; exit code 1 where a test fails or the devices do not agree."""
    if not REAL:
        print("there is no GPU: a simulated one, whose figures mean nothing")
    try:
        slow = ["-k", "gpu or device or finds or refuses"] if REAL else ["-m", "not slow"]
        tests = run([sys.executable, "-m", "pytest", "-q", *TESTS, *slow], ROOT).strip().splitlines()[-1]
        differences, figures = miniature(), base_size()
    except InputError as error:
        sys.exit(f"error: {error}")
    text = page(tests, differences, figures)
    print(text)
    if REAL:
        PAGE.write_text(text, encoding="utf-8")
    sys.exit(any(figure > WITHIN for figure, _ in differences.values()))


if __name__ == "__main__":
    main()
