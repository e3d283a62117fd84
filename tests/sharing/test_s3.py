"""The pipeline's data through a real S3 server: pushed from one clone, pulled in others.

The clones are of the current commit. The first one shares this checkout's DVC cache, so that the pipeline runs only
if its results are not there yet.
"""

import re
from copy import deepcopy
from pathlib import Path

import pytest
from commands import call, clone, output
from imports import ROOT
from ruamel.yaml import YAML
from seaweedfs import Server, filesystem

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first(s3: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone where the pipeline has run on two branches, both pushed; they differ in who judges the toxicity."""
    folder = clone(ROOT, tmp_path_factory.mktemp("first") / "project")
    output(folder, "dvc", "remote", "modify", "storage", "url", f"s3://{s3.bucket}/detox")
    output(folder, "dvc", "cache", "dir", "--local", str(ROOT / ".dvc" / "cache"))
    output(folder, "git", "switch", "--quiet", "--create", "before")
    publish(folder, s3)
    output(folder, "git", "switch", "--quiet", "--create", "after")
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["judge"] = deepcopy(params["reward"])  # YAML would write an alias, which is refused
    yaml.dump(params, folder / "params.yaml")
    publish(folder, s3)
    return folder


def publish(folder: Path, s3: Server) -> None:
    """Bring the pipeline up to date, commit what git holds, push what DVC holds."""
    output(folder, "dvc", "repro")
    output(folder, "git", "commit", "--quiet", "--all", "--message", "Run the pipeline")
    output(folder, "dvc", "push", **s3.writer)


def stages_run(printed: str) -> list[str]:
    """The stages that `dvc repro` ran, as against those that it found up to date."""
    return re.findall(r"Running stage '(\w+)'", printed)


def test_what_one_clone_pushes_another_pulls_and_then_no_stage_runs(s3: Server, first: Path, tmp_path: Path) -> None:
    second = clone(first, tmp_path / "second")
    assert not (second / "models" / "ppo").exists()
    output(second, "dvc", "pull", **s3.reader)
    assert output(second, "dvc", "status").strip() == "Data and pipelines are up to date."
    assert stages_run(output(second, "dvc", "repro")) == []
    adapter = Path("models/ppo/adapter_model.safetensors")
    assert (second / adapter).read_bytes() == (first / adapter).read_bytes()
    assert output(second, "git", "status", "--porcelain") == ""


def test_metrics_diff_between_two_branches_shows_what_changed_and_nothing_else(first: Path) -> None:
    printed = output(first, "dvc", "metrics", "diff", "before", "after").splitlines()[1:]
    assert {tuple(line.split()[:2]) for line in printed} >= {("metrics/headline.json", "toxicity.judge.sft")}
    assert [line for line in printed if "judge" not in line] == []


def test_a_reader_can_not_push(s3: Server, first: Path, tmp_path: Path) -> None:
    second = clone(first, tmp_path / "second")
    (second / "more.txt").write_text("not on the server yet")
    output(second, "dvc", "add", "more.txt")
    refused = call(second, "dvc", "push", "more.txt", **s3.reader)
    assert refused.returncode != 0
    assert "Access Denied" in refused.stdout


def test_a_wrong_key_gets_nothing(s3: Server, first: Path, tmp_path: Path) -> None:
    second = clone(first, tmp_path / "second")
    refused = call(second, "dvc", "pull", **{**s3.reader, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert refused.returncode != 0
    assert "Forbidden" in refused.stdout


def test_an_object_that_was_damaged_on_the_server_is_not_taken(s3: Server, first: Path, tmp_path: Path) -> None:
    lock = YAML(typ="safe").load(first / "dvc.lock")
    [md5] = [out["md5"] for out in lock["stages"]["evaluate"]["outs"] if out["path"] == "data/scores.jsonl"]
    objects, name = filesystem(s3.writer), f"{s3.bucket}/detox/files/md5/{md5[:2]}/{md5[2:]}"
    intact = objects.cat(name)
    objects.pipe(name, bytes([intact[0] ^ 1]) + intact[1:])
    try:
        assert call(clone(first, tmp_path / "second"), "dvc", "pull", **s3.reader).returncode != 0
    finally:
        objects.pipe(name, intact)
