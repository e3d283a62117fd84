"""The head of a corpus says about how many dialogues there will be, and whether the test part has two clusters."""

import csv
from pathlib import Path
from typing import Any

import pytest

from detox import files
from detox.corpus import heads
from detox.params.origins import Source
from detox.params.sections import Prepare

LONG, SHORT = "#Person1#: a dialogue that is long enough to be kept", "#Person1#: short"


def prepare(folder: Path, **changes: Any) -> Prepare:
    limits: dict[str, Any] = {"min_characters": 30, "max_characters": 1000, "test_fraction": None, "dev_fraction": 0.1}
    return Prepare(source=Source(str(folder)), **limits | changes)


def rows(count: int, kept: int, **columns: str) -> list[dict[str, str]]:
    """In every ten rows the first `kept` are long enough."""
    return [
        {"id": f"d{n}", "dialogue": f"{LONG if n % 10 < kept else SHORT} {n:05}", "summary": "s", **columns}
        for n in range(count)
    ]


def test_a_small_corpus_is_counted_to_the_last_row(tmp_path: Path) -> None:
    """200 rows of which 140 are kept, 14 of them for the dev part; 30 of 50 test rows; all as long as another."""
    files.write_jsonl(tmp_path / "train.jsonl", rows(200, kept=7))
    files.write_jsonl(tmp_path / "test.jsonl", rows(50, kept=6))
    assert heads.estimate(prepare(tmp_path)) == (126, 14, 30, len(LONG) + 6)
    assert heads.estimate(prepare(tmp_path, test_fraction=0.2))[:3] == (140 - 28 - 14, 14, 28)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_of_a_large_one_the_first_rows_stand_for_the_rest(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that is not read has most of the bytes. The rows behind the head are never read: they are none."""
    monkeypatch.setattr(heads, "ROWS", 200)
    whole = rows(2000, kept=5, topic="t" * 300)
    with (tmp_path / f"train.{form}").open("w", newline="") as file:
        if form == "csv":
            csv.writer(file).writerows([list(whole[0]), *(list(row.values()) for row in whole)])
        else:
            file.writelines(files.json_line(row) for row in whole[:1000])
            file.writelines(" " * (len(files.json_line(row)) - 1) + "\n" for row in whole[1000:])
    found = heads.estimate(prepare(tmp_path, test_fraction=0.5, dev_fraction=0))
    assert sum(found[:3]) == pytest.approx(1000, rel=0.05)


def test_rows_are_read_until_two_clusters_are_known(tmp_path: Path) -> None:
    """What stands behind them is none of its business: here it is no JSON."""
    (tmp_path / "train.jsonl").write_text("".join(map(files.json_line, rows(40, kept=10))) + "{\n")
    (tmp_path / "test.jsonl").write_text("".join(map(files.json_line, rows(2, kept=10))) + "{\n")
    heads.check(prepare(tmp_path))
    heads.check(prepare(tmp_path, test_fraction=0.05))
