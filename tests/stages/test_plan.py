"""What DVC is about to run: what has changed, and all that comes after it."""

import os
import sys
from pathlib import Path

import pytest
from commands import output

from detox.errors import InputError
from stages import plan

DVC = """\
stages:
  first: {cmd: cp source one, deps: [source], outs: [one]}
  aside: {cmd: cp other two, deps: [other], outs: [two]}
  both: {cmd: cat one two > three, deps: [one, two], outs: [three]}
  last: {cmd: cp three four, deps: [three], outs: [four]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project whose stages have run."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("source", "other"):
        (project / name).write_text(name)
    (project / "dvc.yaml").write_text(DVC)
    output(project, "git", "init", "--quiet")
    dvc(project, "init", "--quiet")
    dvc(project, "repro", "--quiet")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site-cache"))
    monkeypatch.chdir(project)
    return project


def dvc(project: Path, *arguments: str) -> None:
    output(project, sys.executable, "-m", "dvc", *arguments)


def test_nothing_is_to_be_run_until_something_changes_and_then_what_depends_on_it(project: Path) -> None:
    assert plan.pending(remote=False) == ([], project / ".dvc" / "cache" / "files" / "md5")
    (project / "other").write_text("changed")
    assert plan.pending(remote=False).stages == ["aside", "both", "last"]
    (project / "four").unlink()
    (project / "other").write_text("other")
    assert plan.pending(remote=False).stages == ["last"]


def test_what_dvc_refuses_is_one_line(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: {first: {}}")
    with pytest.raises(InputError, match=r"^DVC says: .*dvc\.yaml.*validation failed"):
        plan.pending(remote=False)


def test_outside_of_a_project_there_is_nothing_to_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^git rev-parse says: .*: DVC needs one, which a ZIP of the project has not"):
        plan.pending(remote=False)


def test_the_remote_is_asked_only_if_it_shall_be(project: Path) -> None:
    """There is none."""
    with pytest.raises(
        InputError, match=r"^there is no remote on S3 yet: dvc remote add --default storage s3://BUCKET"
    ):
        plan.pending(remote=True)


def test_help_says_what_is_looked_at(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["plan", "--help"])
    with pytest.raises(SystemExit) as stop:
        plan.main()
    assert stop.value.code == 0
    assert "--remote" in capsys.readouterr().out
    assert os.environ["GOMP_SPINCOUNT"]
