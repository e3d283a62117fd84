"""Sharing through S3, checked before and after: `python -m detox.sharing.remote push|pull|verify`, or `make push` …

push uploads what dvc.lock names and the remote lacks; pull fetches it, and checks it out once all of it has come
undamaged; verify pulls into a fresh clone of HEAD.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detox import git
from detox.errors import InputError, complaint, one_line
from detox.runtime.processes import stoppable
from detox.sharing.objects import Object
from detox.sharing.storage import Storage
from detox.sharing.sync import Exchange

LIMIT = 60  # seconds in which nothing moves
ELSEWHERE = "run 'make push' in a clone that has them"


def push(repo: Any, limit: int) -> str:
    """Uploads what dvc.lock names and the remote lacks or has damaged, then asks for all of it again.

    Raises InputError if the remote does not take it, or if an object is neither here nor there.
    """
    storage = Storage(repo, limit)
    storage.check()
    exchange = Exchange(repo, storage)
    objects = exchange.everything()
    absent = exchange.absent(objects)
    lost = {each: "neither here nor there" for each in absent if not exchange.has(each)}
    # The list of a folder that is not whole would have others take it for whole.
    sent = [each for each in absent if each not in lost and not (lost and each.is_folder)]
    exchange.send(sent)
    _refuse(lost, storage, f"{ELSEWHERE}, or 'make repro' here")
    _refuse(dict.fromkeys(exchange.absent(objects), "has not come there"), storage, "run this again")
    _warn_of_changes(Path(repo.root_dir))
    uploaded = len({each.md5 for each in sent})
    return f"Remote {storage.where} has {_count(objects)} (objects uploaded, lists of folders among them: {uploaded})."


def pull(repo: Any, limit: int) -> str:
    """Fetches what dvc.lock names, and checks it out once all of it has come undamaged: until then nothing changes.

    Raises InputError if the remote does not have it so, or if changes would be lost that DVC has not kept.
    """
    return f"The workspace has {_pull(repo, limit)}."


def verify(repo: Any, limit: int) -> str:
    """Pulls into a fresh clone of HEAD with an empty cache, and compares all that comes with its dvc.lock.

    Raises InputError as pull does.
    """
    from dvc.repo import Repo

    root = Path(repo.root_dir)
    _warn_of_changes(root)
    own = repo.config.load_one("local")  # .dvc/config.local, which may hold keys or an endpoint, is in no clone
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        git.said(root, "clone", "--quiet", str(root), f"{folder}/clone")
        settings = {
            "core": {**own["core"], "site_cache_dir": f"{folder}/site-cache"},
            "cache": {"dir": f"{folder}/cache"},
            "remote": own["remote"],
        }
        with Repo(f"{folder}/clone", config=settings) as clone:
            return f"A fresh clone of HEAD has {_pull(clone, limit)}."


def _pull(repo: Any, limit: int) -> str:
    storage = Storage(repo, limit)
    storage.check()
    objects = _fetch(Exchange(repo, storage))
    _checkout(repo)
    files = {each: Path(repo.root_dir) / each.path for each in objects if not each.is_folder}
    wrong = [each for each, path in files.items() if not each.is_at(path)]
    _refuse(dict.fromkeys(wrong, "changed meanwhile"), storage, "run this again")
    return f"{_count(objects)}, from remote {storage.where}"


def _fetch(exchange: Exchange) -> list[Object]:
    """Everything that dvc.lock names, into the cache. Raises InputError if something has not come undamaged."""
    faults = exchange.fetch(exchange.top)
    if list(faults.values()) == ["missing"] * len(exchange.top):
        raise InputError(
            f"remote {exchange.storage.where} has nothing of what dvc.lock names: check bucket and folder "
            f"(dvc remote modify), or {ELSEWHERE}"
        )
    objects = exchange.everything()
    faults |= exchange.fetch([each for each in objects if each not in exchange.top])
    _refuse(faults, exchange.storage, ELSEWHERE)
    return objects


def _checkout(repo: Any) -> None:
    from dvc.exceptions import DvcException

    try:
        repo.checkout()
    except DvcException as error:
        remedy = "where a file has changed, dvc commit keeps it and dvc checkout --force drops it"
        raise InputError(f"all of it has come, but dvc checkout refuses: {error}: {remedy}") from error


def _count(objects: Sequence[Object]) -> str:
    return f"all {sum(not each.is_folder for each in objects)} files that dvc.lock names"


def _refuse(faults: Mapping[Object, str], storage: Storage, remedy: str) -> None:
    """Prints what is wrong with which object. Raises InputError if there is any."""
    for each, fault in faults.items():
        print(one_line(f"{fault}: {each}, {storage.url(each)}"), file=sys.stderr)
    if faults:
        plural = "s" if len(faults) > 1 else ""
        raise InputError(f"remote {storage.where}: {len(faults)} object{plural} lost or damaged: {remedy}")


def _warn_of_changes(root: Path) -> None:
    """Others, and verify, see the commit alone."""
    if git.said(root, "status", "--porcelain", "--", "dvc.lock", ".dvc/config"):
        print("warning: dvc.lock or .dvc/config is not committed: others find what the commit names", file=sys.stderr)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m detox.sharing.remote", description="Share data through S3, checked.")
    parser.add_argument("command", choices=["push", "pull", "verify"])
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds in which nothing moves before it gives up")
    arguments = parser.parse_args()
    if arguments.limit < 1:
        parser.error("argument --limit: must be at least 1")
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        git.check(Path())
        with stoppable(), Repo() as repo:
            print({"push": push, "pull": pull, "verify": verify}[arguments.command](repo, arguments.limit))
    except (InputError, DvcException) as error:
        sys.exit(complaint(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
