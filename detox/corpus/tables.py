"""Rows of a table in whichever format: JSON lines, a JSON array, CSV, TSV, Parquet, Arrow, compressed or not.

The library `datasets` opens what is compressed or in an archive, and streams what it has saved itself. Where its own
way would not do, this reads what it would read, by other means, so that memory holds some rows and never a file:

- JSON and CSV strictly and by lines, so that a message names the line. The library guesses types from what comes first
  (an id 2026-01-02 becomes a date), fills up rows that are too short, and has a whole array in memory.
- A plain text without the library, which would open it just so: to import it takes the processor 1.6 s and 140 MB,
  where the whole of the miniature's dialogues takes 1.3 s and 40 MB.
- Parquet by pyarrow, batch by batch. The library has a whole row group in memory, and pandas writes a million rows as
  one: of 200,000 dialogues it had 613 MB, this 121 MB.
"""

import glob
import io
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from detox import parsing
from detox.corpus import arrays, delimited
from detox.errors import InputError

KINDS = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".zip": "zip",
}
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
AT_ONCE = 1000  # rows of Parquet and Arrow that are in memory
BUFFER = 1 << 20  # bytes
UNPACKED, UNPACKED_BESIDE = 200, 1 << 26  # times its size a file may have unpacked, and bytes beside that

Rows = Iterator[tuple[str, Mapping[str, Any]]]  # (where it stands, for messages; the row)


def kind(path: Path) -> str | None:
    """json, csv, parquet, arrow or zip, as the file's name says; None if it names no table."""
    name = path.name.lower()
    compressed = next((suffix for suffix in COMPRESSED if name.endswith(suffix)), "")
    return KINDS.get(Path(name.removesuffix(compressed)).suffix)


def rows(path: Path, wanted: Collection[str], remedy: str) -> Rows:
    """The rows of a table in their order, each with its place: file and line, or file and row.

    A table with a header or a schema must have one of the columns `wanted`, in whichever case.
    Raises InputError, with the line where there are lines, for what is no such table; the remedy is for columns.
    """
    found = kind(path)
    if found == "zip":
        with _only_member(path) as (member, file):
            yield from _text_rows(kind(member), file, member, wanted, remedy)
    elif found in ("json", "csv"):
        with _opened(path) as file:
            yield from _text_rows(found, file, path, wanted, remedy)
    elif found in ("parquet", "arrow") and path.suffix.lower() not in COMPRESSED:
        yield from (_parquet_rows if found == "parquet" else _arrow_rows)(path, wanted, remedy)
    else:
        raise InputError(
            f"{path} is no table that is read here: convert it to .jsonl, .csv or .parquet, or correct the path"
        )


def _text_rows(kind: str | None, file: io.BufferedReader, path: Path, wanted: Collection[str], remedy: str) -> Rows:
    if kind == "json" and arrays.is_array(file):
        yield from arrays.rows(file, path)
        return
    lines = parsing.decoded(file, path)
    numbered = parsing.jsonl_rows(lines, path) if kind == "json" else delimited.rows(lines, path, wanted, remedy)
    for line, row in numbered:
        yield f"{path}, line {line}", row


def _parquet_rows(path: Path, wanted: Collection[str], remedy: str) -> Rows:
    # Here and not at the top, because it takes a second, and lines of text need none of it.
    from pyarrow.parquet import ParquetFile

    with _one_line(path), ParquetFile(path, buffer_size=BUFFER) as file:
        delimited.check_columns(file.schema_arrow.names, str(path), wanted, remedy)
        yield from _numbered(path, file.iter_batches(AT_ONCE, use_threads=False))


def _arrow_rows(path: Path, wanted: Collection[str], remedy: str) -> Rows:
    with _one_line(path), tempfile.TemporaryDirectory() as cache:
        # What a name's * and [ mean to a shell they would mean to the library.
        pattern = glob.escape(str(path.resolve()))
        builder = _library().load_dataset_builder("arrow", data_files=[pattern], cache_dir=cache)
        stream = builder.as_streaming_dataset(split="train")
        delimited.check_columns(stream.column_names, str(path), wanted, remedy)
        # As Arrow's tables: rows would be decoded, and an image or a sound be looked up where the row says.
        yield from _numbered(path, stream.with_format("arrow").iter(AT_ONCE))


def _numbered(path: Path, batches: Iterable[Any]) -> Rows:
    """The rows of Arrow's tables or batches, each with its number in the file."""
    read = 0
    for batch in batches:
        for number, row in enumerate(batch.to_pylist(), start=read + 1):
            yield f"{path}, row {number}", row
        read += len(batch)


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file, uncompressed."""
    with _one_line(path):
        if path.suffix.lower() in COMPRESSED:
            url = _library().StreamingDownloadManager().extract(_plain(path))
            with _xopen(url, path) as file:
                yield file
        else:
            with path.open("rb") as file:
                yield file


@contextmanager
def _only_member(path: Path) -> Iterator[tuple[Path, io.BufferedReader]]:
    """The one table in a zip archive: a name for messages, and its bytes."""
    with _one_line(path):
        manager = _library().StreamingDownloadManager()
        urls = [str(url) for url in manager.iter_files(manager.extract(_plain(path)))]
        names = [url.removeprefix("zip://").split("::")[0] for url in urls]
        if len(names) != 1 or kind(Path(names[0])) not in ("json", "csv") or names[0].endswith(COMPRESSED):
            inside = ", ".join(names[:5]) or "nothing"
            raise InputError(f"{path} holds {inside}, but must hold one .jsonl, .json, .csv or .tsv: unpack it")
        with _xopen(urls[0], path) as file:
            yield path / names[0], file


@contextmanager
def _xopen(url: str, packed: Path) -> Iterator[Any]:
    """What the library opens; with a buffer of its own, since not every kind of compression has one."""
    from datasets.utils.file_utils import xopen

    most = UNPACKED * packed.stat().st_size + UNPACKED_BESIDE
    with xopen(url, "rb") as file, io.BufferedReader(_Bounded(file, most), BUFFER) as buffered:
        yield cast(io.BufferedReader, buffered)


class _Bounded(io.RawIOBase):
    """A file that may be read to so many bytes: a few bytes of zip are gigabytes of blanks."""

    def __init__(self, file: Any, most: int):
        self.file, self.left, self.most = file, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.file.read(len(buffer))
        self.left -= len(piece)
        if self.left < 0:
            raise ValueError(f"it unpacks to more than {self.most} bytes")
        buffer[: len(piece)] = piece
        return len(piece)


def _plain(path: Path) -> str:
    if "::" in (name := str(path.resolve())):
        raise InputError(f"{path} has :: in its path, by which the library separates archives: rename it")
    return name


@cache
def _library() -> ModuleType:
    """The library datasets, silent, asking no server, with Arrow's zstd, since Python 3.11 has none."""
    import datasets
    import pyarrow
    from fsspec.compression import available_compressions, register_compression

    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    if "zstd" not in available_compressions():
        register_compression("zstd", lambda file, **_: pyarrow.CompressedInputStream(file, "zstd"), "zst")
    return datasets


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """What goes wrong with a file within the block is an InputError that names it."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path, or run the stage that writes it") from None
    except Exception as error:  # a damaged file makes each library raise its own
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read ({reason}): get it again, or correct its permissions") from error
