"""What git says, and whether it may be asked at all: DVC ends in a traceback where it may not."""

import subprocess
from pathlib import Path

from detox.errors import InputError

# By what git says of a repository that it does not open.
REMEDIES = {
    "dubious ownership": "the files are another user's: git config --global --add safe.directory '{root}'",
    "not a git repository": "DVC needs one, which a ZIP of the project has not: git init --quiet && git add --all "
    "&& git commit --quiet --message 'As it came'",
}


def said(root: Path, *arguments: str) -> str:
    """What a git command prints. Raises InputError if it fails, and says what to do where that is known."""
    finished = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)  # noqa: S603, S607
    if finished.returncode:
        error = " ".join(finished.stderr.split())
        remedy = next((line for reason, line in REMEDIES.items() if reason in error), "")
        what = remedy.format(root=root.resolve()) if remedy else "commit the project, then run this again"
        raise InputError(f"git {arguments[0]} says: {error.partition(' To add an exception')[0]}: {what}")
    return finished.stdout


def check(root: Path) -> None:
    """Raises InputError unless git reads the repository there."""
    said(root, "rev-parse", "--git-dir")


def check_kept(folder: Path) -> None:
    """Raises InputError in the folder of an experiment (`dvc exp run --temp`, `--queue`) whose clone is shallow.

    There DVC runs all of it, ends with exit code 0, and has kept nothing.
    """
    roots = [place.parents[2] for place in folder.resolve().parents if place.parts[-3:] == (".dvc", "tmp", "exps")]
    if roots and said(roots[0], "rev-parse", "--is-shallow-repository").strip() == "true":
        raise InputError(
            f"{roots[0]} is a shallow clone, into which DVC does not bring back what an experiment in a folder of "
            "its own (--temp, --queue) finds: git fetch --unshallow, then run this again"
        )
