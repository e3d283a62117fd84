"""Tables that other programs wrote are read as those wrote them, row by row; memory holds some rows."""

import bz2
import csv
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from datasets import Dataset, DatasetDict

from detox.corpus import layout, tables
from detox.corpus.arrays import PIECE
from detox.errors import InputError

ROWS = [
    {"id": "2026-01-02", "dialogue": '#1: "Hi", é; ☕\n#2: one\ttwo.', "summary": "s, t"},
    {"id": "007", "dialogue": "NA", "summary": "null"},
    {"id": "1e5", "dialogue": "x" * 200_000, "summary": "देवनागरी"},
]
SEMICOLON: Any = {"sep": ";", "lineterminator": "\r\n", "encoding": "utf-8-sig"}


def read(path: Path) -> list[dict[str, Any]]:
    return [dict(row) for _, row in tables.rows(path, ["dialogue"], "rename it")]


def lines() -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.jsonl", lines())
        archive.writestr("__MACOSX/._inside.jsonl", b"\0")


def zstandard(path: Path) -> None:
    with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
        file.write(lines())


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.jsonl": lambda path: path.write_bytes(lines()),
    "a.ndjson": lambda path: pandas.DataFrame(ROWS).to_json(path, orient="records", lines=True),
    "a.json": lambda path: pandas.DataFrame(ROWS).to_json(path, orient="records"),
    "indented.json": lambda path: path.write_text(json.dumps(ROWS, indent=2)),
    "mark.json": lambda path: path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROWS).encode()),
    "a.csv": lambda path: pandas.DataFrame(ROWS).to_csv(path, index=False),
    "semicolon.csv": lambda path: pandas.DataFrame(ROWS).to_csv(path, index=False, **SEMICOLON),
    "a.tsv": lambda path: pandas.DataFrame(ROWS).to_csv(path, index=False, sep="\t", quoting=csv.QUOTE_ALL),
    "pipe.csv": lambda path: pandas.DataFrame(ROWS).to_csv(path, index=False, sep="|"),
    "a.parquet": lambda path: pandas.DataFrame(ROWS).to_parquet(path),
    "groups.parquet": lambda path: pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=2),
    "a.arrow": lambda path: pyarrow.feather.write_feather(pandas.DataFrame(ROWS), str(path)),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(lines())),
    "a.jsonl.bz2": lambda path: path.write_bytes(bz2.compress(lines())),
    "a.jsonl.xz": lambda path: path.write_bytes(lzma.compress(lines())),
    "a.jsonl.zst": zstandard,
    "a.csv.gz": lambda path: pandas.DataFrame(ROWS).to_csv(path, index=False),
    "a.json.gz": lambda path: pandas.DataFrame(ROWS).to_json(path, orient="records"),
    "a.zip": zipped,
    "odd [name] *.parquet": lambda path: pandas.DataFrame(ROWS).to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_rows_come_out_of_every_format(tmp_path: Path, name: str) -> None:
    """Texts that look like dates, numbers and nulls too, and fields of any length."""
    WRITERS[name](tmp_path / name)
    assert read(tmp_path / name) == ROWS


def test_what_datasets_saves_and_pushes_is_read(tmp_path: Path) -> None:
    rows = [{"id": str(number), "dialogue": f"d{number}", "summary": "s"} for number in range(2500)]
    data = DatasetDict({"train": Dataset.from_list(rows), "validation": Dataset.from_list(rows[:3])})
    data.save_to_disk(tmp_path / "saved", num_shards={"train": 3, "validation": 1})
    for split, part in data.items():
        for shard in range(2):
            path = tmp_path / "pushed" / "data" / f"{split}-0000{shard}-of-00002.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            part.shard(2, shard).to_parquet(path)
    for name in ("saved", "pushed"):
        parts = layout.find(tmp_path / name, None).parts
        assert [row for path in parts["train"] for row in read(path)] == rows
        assert [row for path in parts["dev"] for row in read(path)] == rows[:3]


def test_a_row_is_known_by_its_line_or_its_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufeffid;dialogue\r\n1;"a\nb"\r\n2;c\r\n')
    (tmp_path / "a.json").write_text('[\n  {"dialogue": "a"},\n\n  {"dialogue": "b"}\n]')
    pandas.DataFrame({"dialogue": ["a", "b"]}).to_parquet(tmp_path / "a.parquet")
    places = {
        name: [place.removeprefix(f"{tmp_path}/") for place, _ in tables.rows(tmp_path / name, ["dialogue"], "")]
        for name in ("a.csv", "a.json", "a.parquet")
    }
    assert places == {
        "a.csv": ["a.csv, line 2", "a.csv, line 4"],
        "a.json": ["a.json, line 2, row 1", "a.json, line 4, row 2"],
        "a.parquet": ["a.parquet, row 1", "a.parquet, row 2"],
    }


def test_blank_rows_are_skipped_at_the_end_of_a_spreadsheet_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,dialogue\n1,a\n\n,\n2,b\n,\n , \n\n")
    assert read(tmp_path / "a.csv") == [
        {"id": "1", "dialogue": "a"},
        {"id": "", "dialogue": ""},
        {"id": "2", "dialogue": "b"},
    ]


def test_blanks_behind_the_separator_are_no_part_of_names_and_fields(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id, dialogue\n1, "a, b"\n')
    assert read(tmp_path / "a.csv") == [{"id": "1", "dialogue": "a, b"}]


def test_a_row_of_an_array_may_be_longer_than_a_piece_and_lie_across_two(tmp_path: Path) -> None:
    rows = [{"dialogue": "é" * (PIECE // 3 + shift), "n": [12345, -1.5e300, True, None]} for shift in range(40)]
    rows.append({"dialogue": "x" * (5 * PIECE), "n": []})
    (tmp_path / "a.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert read(tmp_path / "a.json") == rows


def test_a_picture_in_a_column_is_not_looked_up(tmp_path: Path) -> None:
    """A schema may say that texts are paths of pictures: they stay what they are."""
    table = pyarrow.table({"dialogue": [{"bytes": None, "path": "/etc/hostname"}]})
    feature = {"info": {"features": {"dialogue": {"_type": "Image"}}}}
    pyarrow.parquet.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps(feature)}), tmp_path / "a.parquet"
    )
    assert read(tmp_path / "a.parquet") == [{"dialogue": {"bytes": None, "path": "/etc/hostname"}}]


def test_a_pickle_is_no_table(tmp_path: Path) -> None:
    pandas.DataFrame(ROWS).to_pickle(tmp_path / "train.pkl")
    assert tables.kind(tmp_path / "train.pkl") is None
    with pytest.raises(InputError, match="is no table that is read here"):
        read(tmp_path / "train.pkl")


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst", "zip"])
def test_what_unpacks_to_very_much_more_than_its_size_is_one_line(tmp_path: Path, suffix: str) -> None:
    """110 MB of blanks in some kilobytes."""
    path, blank = tmp_path / f"rows.jsonl.{suffix}", (b" " * 1023 + b"\n") * 1024
    openers: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    if suffix == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("rows.jsonl", blank * 110)
    elif suffix == "zst":
        with pyarrow.CompressedOutputStream(str(path), "zstd") as out:
            [out.write(blank) for _ in range(110)]
    else:
        with openers[suffix](path, "wb") as file:
            [file.write(blank) for _ in range(110)]
    with pytest.raises(InputError, match=r"cannot be read \(it unpacks to more than [0-9]+ bytes\)"):
        next(tables.rows(path, ("id",), ""))
