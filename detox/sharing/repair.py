"""Removes what DVC was writing when it was killed: `python -m detox.sharing.repair`, with which `make repro` begins.

DVC writes its list of locks and dvc.lock in place, so a kill at that instant leaves half a file, and as long as it is
there DVC refuses to run anything. Nothing is lost with it: the processes that the list names have ended, and what has
run DVC takes from its run cache.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path


def is_list(path: Path) -> bool:
    """Whether this is a list of DVC's locks; no part of one is JSON."""
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def is_lock(path: Path) -> bool:
    """Whether DVC reads this as a dvc.lock."""
    from dvc.exceptions import DvcException
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.strictyaml import load

    try:
        load(str(path), schema=COMPILED_LOCKFILE_SCHEMA)
    except DvcException:
        return False
    return True


WHOLE: dict[Path, Callable[[Path], bool]] = {Path(".dvc/tmp/rwlock"): is_list, Path("dvc.lock"): is_lock}


def mend(project: Path) -> list[Path]:
    """Removes those of DVC's files that are not whole, and names them. Raises LockError while another DVC writes."""
    from dvc.lock import make_lock

    temporary = project / ".dvc" / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    with make_lock(str(temporary / "lock"), tmp_dir=str(temporary)):
        torn = [name for name, whole in WHOLE.items() if (project / name).exists() and not whole(project / name)]
        for name in torn:
            (project / name).unlink()
    return torn


def main() -> None:
    """The command line."""
    from dvc.exceptions import DvcException

    from detox import git
    from detox.errors import InputError, complaint

    try:
        git.check(Path())
        for name in mend(Path()):
            print(f"note: {name} is removed, which DVC was writing when it was killed; what has run is not lost")
    except (DvcException, InputError, OSError) as error:
        sys.exit(complaint(error))


if __name__ == "__main__":
    main()
