"""JSONL, CSV and metrics JSON: written atomically, always the same bytes; JSON is read with the line in every error."""

import errno
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detox.errors import InputError, brief

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


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All rows of a JSONL file. Raises InputError, with the line, unless each is a JSON object in UTF-8."""
    return [row for _, row in jsonl_rows(numbered_lines(path), path)]


def jsonl_rows(lines: Iterable[tuple[int, str]], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of each row, from the numbered lines of a JSONL file; blank lines are left out.

    Raises InputError, with the line, for what is no JSON object.
    """
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = _json(line)
        except ValueError as error:
            reason = getattr(error, "msg", error)
            raise InputError(f"{path}, line {number}: not JSON ({reason}): correct or remove the line") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: not a JSON object such as {{…}}: correct or remove the line")
        yield number, row


def _json(text: str) -> Any:
    """JSON of one meaning: no key twice, no NaN, no number or depth beyond Python's. Raises ValueError."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs) and (again := twice(key for key, _ in pairs)):
        raise ValueError(f"the key {brief(again)} stands there twice")
    return row


def twice(names: Iterable[str]) -> str | None:
    """A name that is among these more than once, if there is one and it is not empty."""
    return next((name for name, count in Counter(names).items() if name and count > 1), None)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError(f"a number of {len(digits)} digits") from None


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line with its end) of a UTF-8 text file. Raises InputError if it is missing or not UTF-8."""
    try:
        with path.open("rb") as file:
            yield from decoded(file, path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path, or run the stage that writes it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from error


def decoded(file: Iterable[bytes], path: Path) -> Iterator[tuple[int, str]]:
    """`numbered_lines` of a file that is open already; `path` is for errors."""
    number = 0
    try:
        for number, line in enumerate(file, start=1):
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: not UTF-8: save the file as UTF-8") from error


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, parse_int=_whole)


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


def read_metrics(path: Path) -> dict[str, Any]:
    """The tree that `write_metrics` wrote. Raises InputError if the file is missing or not a JSON object."""
    return read_json(path, "run its stage again")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object of a file. Raises InputError, which ends in the remedy, if there is none."""
    text = "".join(line for _, line in numbered_lines(path))
    try:
        tree = _json(text)
    except ValueError as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path}{line}: not JSON ({getattr(error, 'msg', error)}): {remedy}") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path}: not a JSON object: {remedy}")
    return tree


def write_csv(path: Path, frame: "pandas.DataFrame") -> None:
    """A table as CSV, floats with six significant digits, no index column."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
