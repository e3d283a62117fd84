"""Where git cannot be asked there is one line with what to do, and that works."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import stages
from detox import git
from detox.errors import InputError
from detox.reporting import leaderboard, revisions
from detox.sharing import remote, repair
from stages import plan


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file in it, as it comes out of a ZIP; git knows no setting of this machine but a name."""
    folder = tmp_path / "my project"
    folder.mkdir()
    (folder / "a.txt").write_text("a\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    run(tmp_path, "git", "config", "--global", "user.name", "Ann")
    run(tmp_path, "git", "config", "--global", "user.email", "ann@example.org")
    monkeypatch.chdir(folder)
    return folder


def committed(project: Path) -> None:
    run(project, "git", "init", "--quiet")
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "first")


def complaint(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        git.check(folder)
    return str(error.value)


def obey(folder: Path, remedy: str) -> None:
    """Types what a message says."""
    for command in remedy.split(" && "):
        run(folder, *shlex.split(command))


def test_a_zip_of_the_project_becomes_a_repository_by_what_the_message_says(project: Path) -> None:
    message = complaint(project)
    assert message == (
        "git rev-parse says: fatal: not a git repository (or any of the parent directories): .git: DVC needs "
        "one, which a ZIP of the project has not: git init --quiet && git add --all && git commit --quiet "
        "--message 'As it came'"
    )
    obey(project, message.rpartition(": ")[2])
    git.check(project)
    assert git.said(project, "ls-files") == "a.txt\n"


def test_files_of_another_user_are_read_after_what_the_message_says(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is that of git's own tests: it takes the files for another user's."""
    committed(project)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    message = complaint(project)
    assert message == (
        f"git rev-parse says: fatal: detected dubious ownership in repository at '{project}': the files are another "
        f"user's: git config --global --add safe.directory '{project}'"
    )
    obey(project, message.rpartition(": ")[2])
    git.check(project)


@pytest.mark.parametrize(
    "command", [lambda: revisions.evaluation("HEAD"), lambda: plan.pending(remote=False)], ids=["compare", "plan"]
)
def test_who_asks_dvc_for_a_revision_asks_git_first(project: Path, command: object) -> None:
    with pytest.raises(InputError, match=r"^git rev-parse says: fatal: not a git repository"):
        command()  # type: ignore[operator]


@pytest.mark.parametrize("command", [leaderboard, remote, repair], ids=["leaderboard", "push", "repro"])
def test_a_command_line_ends_in_that_line(project: Path, command: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["command", "push"])
    with pytest.raises(SystemExit, match=r"^error: git rev-parse says: fatal: not a git repository.*As it came'$"):
        command.main()  # type: ignore[attr-defined]


def test_an_experiment_in_a_folder_of_its_own_does_not_begin_in_a_shallow_clone(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(project)
    run(project, "git", "commit", "--quiet", "--allow-empty", "--message", "second")
    run(tmp_path, "git", "clone", "--quiet", "--depth", "1", project.as_uri(), "clone")
    experiment = tmp_path / "clone/.dvc/tmp/exps/tmp1"
    experiment.mkdir(parents=True)
    git.check_kept(tmp_path / "clone")
    monkeypatch.chdir(experiment)
    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(SystemExit) as stop:
        stages.run(test_an_experiment_in_a_folder_of_its_own_does_not_begin_in_a_shallow_clone)  # type: ignore[arg-type]
    assert stop.value.code == (
        f"error: {tmp_path}/clone is a shallow clone, into which DVC does not bring back what an experiment in a "
        "folder of its own (--temp, --queue) finds: git fetch --unshallow, then run this again"
    )
    run(tmp_path / "clone", "git", "fetch", "--unshallow")
    git.check_kept(Path())


def test_a_clone_has_the_line_ends_of_the_repository_whatever_git_is_told(tmp_path: Path) -> None:
    """Git for Windows would make CRLF of them, and then no pin would hold."""
    root = Path(__file__).parent.parent
    os.environ.pop("GIT_DIR", None)
    (tmp_path / "project").mkdir()
    run(tmp_path / "project", "git", "init", "--quiet")
    for name in (".gitattributes", "data/miniature/insults.txt", "models/miniature/base/config.json"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_bytes((root / name).read_bytes())
    run(tmp_path / "project", "git", "add", "--all")
    run(tmp_path / "project", "git", "-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "-m", "x")
    run(tmp_path, "git", "-c", "core.autocrlf=true", "clone", "--quiet", "project", "clone")
    for name in ("data/miniature/insults.txt", "models/miniature/base/config.json"):
        assert (tmp_path / "clone" / name).read_bytes() == (root / name).read_bytes()
