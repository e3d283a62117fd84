"""DVC's commands as README and docs write them, in a pipeline of the same names that is over in a moment."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ANYONE
from evaluations import EVALUATION
from imports import ROOT

pytest_plugins = ["installed"]
pytestmark = pytest.mark.slow

PIPELINE = """\
stages:
  train_ppo:
    cmd: exec python train.py
    params: [ppo]
    outs: [models/ppo]
    plots:
    - metrics/train.csv: {cache: false, x: step, y: reward}
  summarize:
    cmd: mkdir -p data && cp models/ppo data/summaries
    deps: [models/ppo]
    outs: [data/summaries]
  evaluate:
    cmd: exec python evaluate.py
    deps: [data/summaries]
    params: [evaluate]
    metrics:
    - metrics/headline.json: {cache: false}
    plots:
    - metrics/evaluate.json: {cache: false}
"""
TRAIN = """\
import os, re
os.makedirs("models", exist_ok=True); os.makedirs("metrics", exist_ok=True)
rate = float(re.search(r"^  learning_rate: ([\\d.]+)", open("params.yaml").read(), re.M)[1])
open("models/ppo", "w").write(f"{rate}\\n")
rows = "".join(f"{step},{rate * 1000 * step},0.5,1.0,20,0\\n" for step in (1, 2))
open("metrics/train.csv", "w").write("step,reward,kl,entropy,response_tokens,truncated\\n" + rows)
"""
EVALUATE = """\
import json, re
tree = json.load(open("evaluation.json"))
tree["all"]["ppo"]["judge"]["mean"] = float(open("data/summaries").read())
tree["all"]["sft"]["judge"]["rate"] = float(re.search(r"toxic_threshold: ([\\d.]+)", open("params.yaml").read())[1])
json.dump(tree, open("metrics/evaluate.json", "w"))
json.dump({"toxicity": tree["all"]["ppo"]["judge"]["mean"]}, open("metrics/headline.json", "w"))
"""


def written(page: str, begins: str) -> list[str]:
    """The commands of the block that begins so, without their comments."""
    text = (ROOT / page).read_text(encoding="utf-8")
    [block] = [block for block in re.findall(r"^```sh\n(.*?)^```$", text, re.S | re.M) if block.startswith(begins)]
    return [line.partition("    #")[0].strip() for line in block.splitlines()]


class Project:
    """The pipeline in a repository of its own, run once and committed on main."""

    def __init__(self, folder: Path, installed: Path):
        self.folder, self.installed = folder, installed
        shutil.copy(ROOT / "params.yaml", folder)
        for name, text in {"dvc.yaml": PIPELINE, "train.py": TRAIN, "evaluate.py": EVALUATE}.items():
            (folder / name).write_text(text)
        (folder / "evaluation.json").write_text(json.dumps(EVALUATION))
        self.run("git init --quiet --initial-branch main && dvc init --quiet && dvc config core.autostage true")
        self.run("dvc repro && git add --all && git commit --quiet --message start")

    def run(self, command: str) -> str:
        """What it prints; it must succeed."""
        own = {
            "PATH": f"{self.installed / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.installed),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.folder.parent / "site-cache"),
            "PAGER": "cat",
        }
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=os.environ | ANYONE | own, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, installed: Path) -> Project:
    folder = tmp_path_factory.mktemp("documented") / "project"
    folder.mkdir()
    return Project(folder, installed)


def test_an_experiment_is_run_listed_and_compared(project: Project) -> None:
    first, *rest = written("README.md", "dvc exp run --temp")
    assert first in written("docs/experiments.md", "dvc exp run --temp")
    project.run(first)
    assert project.run("git status --porcelain") == "", "the workspace stays as it is"
    printed = {command.split()[1]: project.run(command) for command in rest}
    assert "strict" in printed["exp"]
    assert "difference" in printed["compare"]
    for command in written("docs/experiments.md", "dvc exp run --temp")[1:]:
        printed[command] = project.run(command)
    assert re.search(r"evaluate.toxic_threshold +0\.5 +0\.4", printed["dvc params diff main strict"])
    assert "all.sft.judge.rate" in printed["dvc metrics diff main strict --targets metrics/evaluate.json"]
    assert "strict-threshold" in project.run("git branch")
    assert [command for command in written("CONTRIBUTING.md", "dvc params diff") if project.run(command)] == []


def test_a_grid_runs_to_its_end_and_is_ranked(project: Project) -> None:
    queue, start, leaderboard = written("docs/experiments.md", "dvc exp run --queue")
    project.run(queue)
    assert start == "dvc queue start"
    project.run("dvc exp run --run-all")  # the same here and now
    assert leaderboard == "make leaderboard"
    rows = project.run("python -m detox.reporting.leaderboard").splitlines()
    assert rows[0].split()[:3] == ["Experiment", "ppo.learning_rate", "ppo.kl_coef"]
    assert len(rows) >= 5


def test_an_experiment_that_only_trained_is_not_compared(project: Project) -> None:
    project.run("dvc exp run --temp -n trained -S ppo.learning_rate=0.0008 train_ppo")
    with pytest.raises(AssertionError, match="is older than its models/ppo, which summarize has not read yet"):
        project.run("detox compare main trained")


def test_what_a_refused_stage_took_away_comes_back(project: Project) -> None:
    before = (project.folder / "models/ppo").read_bytes()
    shutil.rmtree(project.folder / "models")
    shutil.rmtree(project.folder / "metrics")
    for command in written("docs/interrupted.md", "git checkout"):
        project.run(command)
    assert (project.folder / "models/ppo").read_bytes() == before
    assert (project.folder / "metrics/evaluate.json").is_file()
