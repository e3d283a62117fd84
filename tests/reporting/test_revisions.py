"""Two revisions of a repository side by side: branches, commits, experiments, the workspace."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from evaluations import EVALUATION
from imports import ROOT
from ruamel.yaml import YAML

from detox.errors import InputError
from detox.reporting import revisions


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def write(evaluation: dict[str, Any]) -> None:
    Path("metrics").mkdir(exist_ok=True)
    Path("metrics/evaluate.json").write_text(json.dumps(evaluation))


def kinder() -> dict[str, Any]:
    """With less toxicity by the judge, 0.1001 for 0.1111, and without slot recall."""
    evaluation = copy.deepcopy(EVALUATION)
    evaluation["all"]["ppo"]["judge"]["mean"] = 0.1001
    for name in ("sft", "ppo"):
        del evaluation["all"][name]["slots"]
    return evaluation


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evaluation on the branch main, a kinder one on the branch kind; an empty branch; main is checked out."""
    folder = tmp_path_factory.mktemp("repository")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        git("init", "--initial-branch", "empty")
        Repo.init().close()
        git("add", "--all")
        git("commit", "--message", "nothing yet")
        for branch, evaluation in (("main", EVALUATION), ("kind", kinder())):
            git("checkout", "-b", branch)
            write(evaluation)
            git("add", "--all")
            git("commit", "--message", branch)
        git("checkout", "main")
    return folder


@pytest.fixture(autouse=True)
def inside(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


def test_each_measure_of_the_headline_has_both_values_both_changes_and_the_difference() -> None:
    lines = revisions.compare("main", "kind").splitlines()
    assert lines[0].split() == ["main", "kind", "difference"]
    assert lines[1].split() == [*"After Change [95 % interval]".split() * 2, "After"]
    judge, reward, stress, rouge, slots, words = (" ".join(line.split()) for line in lines[2:])
    change = "-52.6 % [-62.6, -42.6]"
    assert judge == f"all: Toxicity, judge 0.1111 {change} 0.1001 {change} -0.0110"
    assert reward.startswith("all: Toxicity, reward 0.1221")
    assert reward.endswith("+0.0000")
    assert stress.startswith("stress: Toxicity, judge 0.3333")
    assert rouge == f"all: ROUGE-L {2 * '0.3700 +0.0200 [-0.0200, +0.0300] '}+0.0000"
    assert slots == "all: Slot recall 0.6200 +0.0400 [-0.0200, +0.0300]"
    assert words.startswith("all: Words 10.4200")


def test_a_commit_is_a_revision_too_and_the_workspace_is_what_lies_there_now() -> None:
    write(kinder())
    try:
        assert revisions.evaluation("workspace")["all"]["ppo"]["judge"]["mean"] == 0.1001
        assert revisions.evaluation("HEAD")["all"]["ppo"]["judge"]["mean"] == 0.1111
        assert revisions.evaluation("kind~1")["all"]["ppo"]["judge"]["mean"] == 0.1111
    finally:
        write(EVALUATION)


def test_comparing_checks_nothing_out() -> None:
    revisions.compare("kind", "main")
    assert json.loads(Path("metrics/evaluate.json").read_text()) == EVALUATION
    git("diff", "--exit-code")


def test_an_experiment_is_a_revision() -> None:
    write(kinder())
    try:
        with Repo() as repo:
            repo.experiments.save(name="strict", force=True)
    finally:
        git("checkout", "--", ".")
    assert revisions.evaluation("strict")["all"]["ppo"]["judge"]["mean"] == 0.1001


@pytest.mark.parametrize("revision", ["nonsense", "empty"])
def test_a_revision_that_is_unknown_or_has_no_metrics_is_one_line_that_names_it(revision: str) -> None:
    with pytest.raises(InputError) as error:
        revisions.compare("main", revision)
    assert str(error.value).startswith(f"metrics/evaluate.json at '{revision}'")
    assert "\n" not in str(error.value)


def test_metrics_of_another_version_are_one_line_that_names_the_missing_key() -> None:
    write({"all": {"sft": {}}})
    try:
        with pytest.raises(InputError, match=r"^metrics/evaluate.json at 'workspace' has no "):
            revisions.compare("main", "workspace")
    finally:
        write(EVALUATION)


def test_a_folder_that_is_no_repository_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^git rev-parse says: fatal: not a git repository"):
        revisions.compare("main", "main")


LOCKED = """\
schema: '2.0'
stages:
  train_ppo: {{cmd: train, outs: [{{path: models/ppo, md5: {adapter}}}]}}
  summarize:
    deps: [{{path: models/ppo, md5: a1}}, {{path: detox/model, md5: c0}}]
    outs: [{{path: data/summaries, md5: b1}}]
  evaluate:
    deps: [{{path: data/summaries, md5: b1}}]
    outs: [{{path: metrics/evaluate.json, md5: d1}}]
"""


def test_metrics_that_are_older_than_the_adapter_are_not_compared() -> None:
    """As after `dvc exp run … train_ppo`, whose metrics are the parent's."""
    git("checkout", "-b", "trained", "main")
    Path("dvc.lock").write_text(LOCKED.format(adapter="a2"))
    git("add", "dvc.lock")
    git("commit", "--message", "trained, not evaluated")
    git("checkout", "main")
    with pytest.raises(InputError) as error:
        revisions.compare("main", "trained")
    assert str(error.value) == (
        "metrics/evaluate.json at 'trained' is older than its models/ppo, which summarize has not read yet: run the "
        "pipeline to its end there (dvc exp run … evaluate, or dvc repro)"
    )


def test_metrics_of_a_whole_run_are_fresh() -> None:
    stages = YAML(typ="safe").load(LOCKED.format(adapter="a1"))["stages"]
    assert revisions.stale(stages) is None
    assert revisions.stale(stages | {"summarize": {"outs": [{"path": "data/summaries", "md5": "b2"}]}}) == (
        "evaluate",
        "data/summaries",
    )
    assert revisions.stale({}) is None


def test_the_committed_metrics_are_as_new_as_the_adapter() -> None:
    assert revisions.stale(YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]) is None
