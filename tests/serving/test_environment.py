"""`detox env`: what a bug report needs, without a secret or a path of anybody's folders."""

import os
import subprocess
from pathlib import Path

import pytest
from commands import ANYONE
from dvc.repo import Repo
from imports import ROOT
from settings import COMPLETE

from detox.serving import environment


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, env=os.environ | ANYONE)
    return done.stdout.strip()


def test_it_names_versions_and_what_git_and_dvc_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:secret@proxy.example.com")
    Path("params.yaml").write_text(COMPLETE)
    git("init", "--quiet")
    Repo.init().close()
    Path("dvc.yaml").write_text("stages: {a: {cmd: echo, deps: [params.yaml]}}\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "start")
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# changed\n")

    told = dict(environment.report())

    assert told["commit"] == f"{git('rev-parse', 'HEAD')[:12]}, 1 changed file(s)"
    assert told["to run again"] == "a"
    assert told["device"] == "cpu, processes 1"
    assert told["profile"] == "settings of its own"
    assert "HTTPS_PROXY" in told["set"]
    text = "\n".join(told.values())
    assert not [word for word in ("secret", str(tmp_path), str(ROOT), str(Path.home())) if word in text]
    locked = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line)
    assert told["torch"].partition("+")[0] == locked["torch"]


def test_where_there_is_no_project_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = dict(environment.report())
    assert told["project"] == "none here: run it in the project's root"
    assert "commit" not in told
