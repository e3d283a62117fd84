"""Files are written atomically: JSONL, CSV and metrics JSON always the same bytes."""

import errno
import json
import math
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detox.errors import InputError

if TYPE_CHECKING:
    import pandas

DECIMALS = 6
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file or a folder to: renamed to `path` on success, removed on failure.

    Until the block has succeeded, what was at `path` stays as it was; what a killed run left behind is removed. On
    return the new one is on the disk itself. Raises InputError if the disk is full or does not let itself be written.
    """
    temporary = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        yield temporary
        _replace(temporary, path)
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            remedy = "make room there or check its permissions, then run this again"
            raise InputError(f"{path} cannot be written ({error.strerror}): {remedy}") from error
        raise


def remove(path: Path) -> None:
    """A file or a folder, which is gone at once even if the process dies meanwhile."""
    old = path.with_name(f".old-{path.name}")
    _remove(old)
    os.replace(path, old)
    _remove(old)


def _replace(new: Path, path: Path) -> None:
    _sync(new)  # raises before the old one moves if the block wrote nothing
    # A folder cannot be renamed over another one, so the old one steps aside first.
    old = path.with_name(f".old-{path.name}")
    _remove(old)
    if path.is_dir() or (path.exists() and new.is_dir()):
        os.replace(path, old)
    os.replace(new, path)
    _sync_one(path.parent)
    _remove(old)


def _sync(path: Path) -> None:
    """Has the kernel write a file or a folder to the disk: else a power cut may leave a name without its content."""
    for each in [*path.rglob("*"), path]:
        _sync_one(each)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, keys in the order given, in UTF-8."""
    write_lines(path, map(json_line, rows))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Lines, each with its end, in UTF-8."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)


def json_line(row: Mapping[str, Any]) -> str:
    """A row of a JSONL file, with its end."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def write_metrics(path: Path, tree: Mapping[str, Any], exact: Collection[str] = ()) -> None:
    """A tree of metrics as JSON: keys sorted, floats rounded to six decimals except under the keys in `exact`.

    Raises InputError for a number that is not finite, which JSON cannot hold.
    """
    rounded = _rounded(tree, path.name, exact)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(rounded, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _rounded(tree: Mapping[str, Any], where: str, exact: Collection[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            result[key] = _rounded(value, f"{where}: {key}", exact)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise InputError(f"{where}: {key} is {value}: the run diverged or its data is degenerate")
            # Adding zero turns -0.0 into 0.0.
            result[key] = float(value) if key in exact else round(float(value), DECIMALS) + 0.0
        else:
            result[key] = value
    return result


def write_csv(path: Path, frame: "pandas.DataFrame") -> None:
    """A table as CSV, floats with six significant digits, no index column."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
