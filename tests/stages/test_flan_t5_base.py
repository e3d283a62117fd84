"""The profiles flan-t5-base and lab whole, small: `make profile`, `dvc repro`, with a stand-in for the hub.

It serves the real layouts (tests/hub_layouts.py) at the commits that the profiles pin. FLAN-T5's own tokenizer and
DialogSum's own rows are used where they lie beside the project; else made-up ones.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hub import serve
from hub_layouts import REPOSITORIES, ROWS, fill
from imports import ROOT
from ruamel.yaml import YAML
from settings import SHORT

pytestmark = pytest.mark.slow

PROFILES = ("flan-t5-base", "lab")
# The stand-in for the reward, random weights, may find every dialogue risky.
SMALL = SHORT.replace("ppo:\n", "ppo:\n  risky_share: null\n") + "model: {max_prompt_tokens: 256}\n"


class Run(NamedTuple):
    """A project in which a profile has run, and what the hub was asked for."""

    profile: str
    project: Path
    requests: list[str]


@pytest.fixture(scope="module", params=PROFILES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The profile, small, has run once."""
    folder = tmp_path_factory.mktemp("profile")
    project = make_project(folder / "project")
    with serve() as hub:
        fill(hub, folder / "hub")
        python(folder, hub.url, "dvc", "init", "--no-scm", "--quiet")
        for profile in (request.param, "small"):
            python(folder, hub.url, "detox.params.profiles", profile)
        python(folder, hub.url, "dvc", "repro")
        return Run(request.param, project, list(hub.requests))


def make_project(project: Path) -> Path:
    """A copy of what the stages need."""
    for name in ("detox", "stages", "profiles"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, project)
    (project / "data" / "miniature").mkdir(parents=True)
    for name in ("provocations.txt", "miniature/insults.txt"):
        shutil.copy(ROOT / "data" / name, project / "data" / name)
    (project / "profiles" / "small.yaml").write_text(SMALL)
    return project


def python(folder: Path, hub: str, *command: str) -> None:
    """Runs a module of Python in the project."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_ENDPOINT": hub,
        "HF_HOME": str(folder / "hf"),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "site-cache"),
    }
    call = [sys.executable, "-m", *command]
    finished = subprocess.run(call, cwd=folder / "project", env=inherited | own, capture_output=True, text=True)
    assert finished.returncode == 0, f"{' '.join(command)}\n{finished.stdout[-3000:]}\n{finished.stderr[-6000:]}"


def metrics(run: Run, name: str) -> dict[str, float]:
    tree: dict[str, float] = json.loads((run.project / "metrics" / f"{name}.json").read_text())
    return tree


def references(run: Run, part: str) -> Iterator[int]:
    """How many references each dialogue of a part has."""
    with (run.project / "data" / "prepared" / f"{part}.jsonl").open(encoding="utf-8") as file:
        yield from (len(json.loads(line)["references"]) for line in file)


def test_every_source_is_pinned_where_the_profile_pins_it(run: Run) -> None:
    for path in ("params.yaml", f"profiles/{run.profile}.yaml"):
        tree = YAML(typ="safe").load(run.project / path)
        for section, repository in REPOSITORIES.items():
            source = tree[section]["source"]
            assert (source["origin"], source["revision"]) == (repository["origin"], repository["revision"])


def test_of_a_repository_only_what_is_read_is_downloaded_and_nothing_twice(run: Run) -> None:
    """No README, no weights of another library, and no pickle where there are safetensors."""
    files = [line for line in run.requests if line.startswith("GET") and "/resolve/" in line and " from " not in line]
    assert len(files) == len(set(files))
    assert sum("pytorch_model" in line or "msgpack" in line or "tf_model" in line for line in run.requests) == 0
    assert sum("adapter_model.bin" in line for line in files) == 1


def test_every_download_lies_in_its_place_with_safetensors_alone(run: Run) -> None:
    downloads = run.project / "downloads"
    assert {path.name for path in downloads.iterdir()} == set(REPOSITORIES)
    assert not list(downloads.rglob("*.bin"))
    assert len(list(downloads.rglob("model.safetensors"))) == 3
    assert (downloads / "adapter" / "adapter_model.safetensors").is_file()


def test_the_parts_are_those_of_the_profile(run: Run) -> None:
    """The official ones, three references a test dialogue; for lab the last fifth of the training part is the test."""
    prepared = metrics(run, "prepare")
    if run.profile == "flan-t5-base":
        assert list(references(run, "test")) == [3] * ROWS["test"]
        assert (prepared["train"], prepared["dev"]) == (ROWS["train"], ROWS["validation"])
    else:
        assert list(references(run, "test")) == [1] * 5
        assert (prepared["train"], prepared["dev"]) == (19, 0)


def test_the_adapter_was_fetched_not_tuned_and_ppo_started_from_it(run: Run) -> None:
    """LoRA of rank 32 on q and v of 6 attentions 32 wide: 6 · 2 · 32 · (32 + 32) weights."""
    assert metrics(run, "adapter") == {"rank": 32, "parameters": 24576}
    trained = metrics(run, "train")
    assert trained["trainable_parameters"] == 24576
    assert trained["value_head_parameters"] == 33
    assert abs(trained["kl_first"]) < 1e-5
    assert trained["ratio_error_first"] < 1e-4


def test_both_classifiers_and_rouge_are_in_the_evaluation_and_the_release_is_complete(run: Run) -> None:
    result = json.loads((run.project / "metrics" / "evaluate.json").read_text())
    assert {"judge", "reward", "rougeL"} <= result["all"]["ppo"].keys()
    assert 0 < result["all"]["sft"]["judge"]["mean"] < 1
    assert (run.project / "models" / "release" / "adapter_model.safetensors").is_file()
    assert "<html" in (run.project / "metrics" / "report.html").read_text(encoding="utf-8")
