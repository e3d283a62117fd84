"""The recipe of docs/own-data.md is followed as it is written, block by block, with tiny models and made-up calls."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ANYONE
from imports import ROOT
from ruamel.yaml import YAML
from settings import SHORT
from tiny import DIALOGUES, new_classifier, save_classifier

from detox.params import profiles
from detox.sources import local

pytest_plugins = ["installed", "models"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not list(ROOT.glob(".venv/ready-*")), reason="`make` has not set up .venv"),
]

PAGE = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
SMALL = (
    SHORT
    + """\
model: {source: {path: models/base}, max_prompt_tokens: 256}
adapter: {source: {path: models/start}}
reward: {source: {path: models/judge}, toxic_label: hate}
judge: {source: {path: models/judge}, toxic_label: hate}
"""
)
ALIKE = "ppo: {risky_share: null}\n"  # the tiny classifier finds every turn toxic
CALLS = 40


def blocks() -> list[tuple[str, str]]:
    """Language and text of every block of the page."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.S | re.M)


def write_calls(path: Path) -> None:
    """A CSV of another schema, of dialogues that are long enough; two columns are nobody's."""
    rows = [
        [f"{number:03}", f"agent {number % 3}", "\n".join([*DIALOGUES, "cat " * number]), f"Ann was late {number}", 2.5]
        for number in range(CALLS)
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["call_no", "agent", "transcript", "abstract", "minutes"], *rows])


def edit(params: Path, overlay: str) -> None:
    """As a person does with an editor."""
    tree = profiles.read(params)
    profiles.merge(tree, YAML(typ="safe").load(overlay), "the recipe")
    profiles.write(params, tree)


@pytest.fixture
def project(tmp_path: Path, base: Path, adapter: Path, word_classifier: Path) -> Path:
    """A copy of the project with tiny models, on this one's environment; beside it lies what the recipe begins with."""
    project = tmp_path / "project"
    for name in ("detox", "stages", "profiles", "benchmarks"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "params.yaml",
        "dvc.yaml",
        ".dvcignore",
        ".gitignore",
        "Makefile",
        "requirements.lock",
        "pyproject.toml",
    ):
        shutil.copy(ROOT / name, project)
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(project / name, (0, 0))  # or make would renew the environment
    (project / ".venv").symlink_to(ROOT / ".venv")
    (project / "data" / "miniature").mkdir(parents=True)
    for name in ("provocations.txt", "miniature/insults.txt"):
        shutil.copy(ROOT / "data" / name, project / "data" / name)
    for name, source in {"base": base, "start": adapter, "judge": word_classifier}.items():
        shutil.copytree(source, project / "models" / name)
    for overlay in (SMALL, ALIKE):
        edit(project / "params.yaml", overlay)
    write_calls(tmp_path / "calls.csv")
    labels = ("hate_speech", "offensive_language", "neither")
    save_classifier(tmp_path / "toxicity", new_classifier(seed=1, layers=2, labels=labels))
    return project


def follow(project: Path, installed: Path, block: str) -> str:
    """What a block of commands prints, each of which must succeed."""
    own = {
        "PATH": f"{installed / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(installed),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(project.parent / "site-cache"),
    }
    call = ["bash", "-euo", "pipefail", "-c", block]
    # A make that is below another one says so.
    around = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    finished = subprocess.run(call, cwd=project, env=around | ANYONE | own, capture_output=True, text=True)
    assert finished.returncode == 0, f"{block}\n{finished.stdout[-3000:]}\n{finished.stderr[-6000:]}"
    return finished.stdout


def test_the_recipe_works_as_it_is_written(project: Path, installed: Path) -> None:
    start = (
        "git init --quiet && dvc init --quiet && dvc config core.autostage true && git add . && git commit -qm start"
    )
    follow(project, installed, start)
    printed = ""
    for language, block in blocks():
        if language == "yaml":
            edit(project / "params.yaml", block)
        else:
            printed += follow(project, installed, block)
    for section, path in {"prepare": "data/calls.csv", "reward": "models/toxicity"}.items():
        assert f"{section}.source.sha256: {local.digest(project / path)}\n" in printed
    assert re.search(r"^judge 0\.\d{4}  reward 0\.\d{4}  Bob calls Ann a clown\.$", printed, re.M)
    assert "all: Toxicity, reward" in printed
    assert printed.endswith("The report is metrics/report.html\n")
    metrics = json.loads((project / "metrics" / "prepare.json").read_text())
    assert (metrics["read"], metrics["test"], metrics["dev"]) == (CALLS, 8, 2)
    first = json.loads((project / "data" / "prepared" / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (first["id"], first["references"]) == ("000", ["Ann was late 0"])
