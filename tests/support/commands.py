"""Commands as a user gives them: dvc, git, python; in a folder, with S3 keys or without."""

import os
import subprocess
import sys
from pathlib import Path

ANYONE = {f"GIT_{role}_{key}": "tester@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}


def start(folder: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command in `folder` with this Python's programs first on PATH and no S3 keys but the given ones."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache")}
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**inherited, **ANYONE, **own, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def call(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run such a command to its end."""
    with start(folder, *command, **environment) as process:
        printed, _ = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, printed)


def output(folder: Path, *command: str, **environment: str) -> str:
    """What a command prints, which must succeed."""
    finished = call(folder, *command, **environment)
    assert finished.returncode == 0, f"{' '.join(command)}\n{finished.stdout}"
    return finished.stdout


def clone(source: Path, to: Path) -> Path:
    """A git clone: code, params, dvc.lock and metrics, but no data."""
    to.parent.mkdir(parents=True, exist_ok=True)
    output(to.parent, "git", "clone", "--quiet", str(source), to.name)
    return to
