"""What a killed DVC leaves half written is removed, and what is whole stays; DVC itself says which is which."""

import json
from pathlib import Path

import pytest
from commands import call

from detox.sharing import repair

LISTED = json.dumps({"write": {"/p/out.txt": {"pid": 4, "cmd": "dvc repro"}}, "read": {}})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A pipeline of one stage, which has run."""
    stages = {"write": {"cmd": "echo x >> runs && echo tea > out.txt", "deps": ["in.txt"], "outs": ["out.txt"]}}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (tmp_path / "in.txt").write_text("a")
    assert dvc(tmp_path, "init", "--no-scm") == ""
    assert dvc(tmp_path, "repro") == ""
    return tmp_path


def dvc(project: Path, *arguments: str) -> str:
    """What DVC says where it fails; nothing where it succeeds."""
    run = call(project, "dvc", *arguments)
    return run.stdout if run.returncode else ""


def test_dvc_refuses_a_torn_list_of_locks_until_it_is_removed(project: Path) -> None:
    (project / ".dvc/tmp/rwlock").write_text(LISTED[:20])
    assert "rwlock" in dvc(project, "repro", "--force")
    assert repair.mend(project) == [Path(".dvc/tmp/rwlock")]
    assert dvc(project, "repro") == ""


def test_dvc_refuses_a_torn_lock_and_once_it_is_removed_runs_nothing_again(project: Path) -> None:
    lock = (project / "dvc.lock").read_bytes()
    (project / "dvc.lock").write_bytes(b"")
    assert "dvc.lock" in dvc(project, "repro")
    assert repair.mend(project) == [Path("dvc.lock")]
    assert dvc(project, "repro") == ""
    assert (project / "dvc.lock").read_bytes() == lock
    assert (project / "runs").read_text() == "x\n"


def test_every_part_of_a_lock_that_stays_is_one_that_dvc_reads(project: Path) -> None:
    from dvc.repo import Repo

    lock = (project / "dvc.lock").read_bytes()
    removed = 0
    for length in range(0, len(lock), 7):
        (project / "dvc.lock").write_bytes(lock[:length])
        removed += len(repair.mend(project))
        Repo(str(project)).index.stages  # noqa: B018 - raises where it cannot read one
    assert 0 < removed < len(lock) // 7


def test_what_is_whole_stays(project: Path) -> None:
    (project / ".dvc/tmp/rwlock").write_text(LISTED)
    lock = (project / "dvc.lock").read_bytes()
    assert repair.mend(project) == []
    assert (project / ".dvc/tmp/rwlock").read_text() == LISTED
    assert (project / "dvc.lock").read_bytes() == lock


def test_a_fresh_clone_has_nothing_torn(tmp_path: Path) -> None:
    assert repair.mend(tmp_path) == []


def test_while_another_dvc_writes_it_says_so(project: Path) -> None:
    from dvc.lock import make_lock

    assert call(project, "git", "init", "--quiet").returncode == 0
    with make_lock(str(project / ".dvc/tmp/lock")):
        run = call(project, "python", "-m", "detox.sharing.repair")
    assert run.returncode == 1
    assert run.stdout.startswith("error: Unable to acquire lock")
    assert run.stdout.count("\n") == 1
