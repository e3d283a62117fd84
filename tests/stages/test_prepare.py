"""`python -m stages.prepare`: its outputs, its one-line errors, and the real data where it is at hand."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pandas
import pytest

from detox.sources import local
from stages import prepare

ROOT = Path(__file__).parents[2]
DIALOGSUM = ROOT / "../shared/data/dialogsum"
OUTPUTS = ["data/prepared/dev.jsonl", "data/prepared/test.jsonl", "data/prepared/train.jsonl", "metrics/prepare.json"]

SPREADSHEET: dict[str, Any] = {"sep": ";", "encoding": "utf-8-sig", "lineterminator": "\r\n"}

needs_dialogsum = pytest.mark.skipif(not DIALOGSUM.is_dir(), reason="the real DialogSum is not at hand")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_params(path: object, test: float | None, dev: float | None, shortest: int = 200, longest: int = 1000) -> None:
    section = {"min_characters": shortest, "max_characters": longest, "test_fraction": test, "dev_fraction": dev}
    source = {"path": str(path), "sha256": "0" * 64}
    Path("params.yaml").write_text(json.dumps({"prepare": {"source": source, **section}}))
    pin()


def pin() -> None:
    """The sha256 of what lies at the source's path now."""
    tree = json.loads(Path("params.yaml").read_text())
    source = tree["prepare"]["source"]
    if Path(source["path"]).exists():
        source["sha256"] = local.digest(Path(source["path"]))
    Path("params.yaml").write_text(json.dumps(tree))


def write_source(rows: Sequence[Mapping[str, Any]]) -> None:
    Path("source.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows(part: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(f"data/prepared/{part}.jsonl").read_text().splitlines()]


def metrics() -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(Path("metrics/prepare.json").read_text())
    return tree


def outputs() -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in OUTPUTS}


def all_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    call = [sys.executable, "-m", "stages.prepare", *arguments]
    return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=120, check=False)


def six_rows() -> list[dict[str, str]]:
    """Four dialogues that are kept, a blank one and one that is too short; the last is near the first."""
    texts = ["One, two?", "Three four", "", "Hi", "Five six", "one TWO"]
    return [{"id": f"d{n}", "dialogue": text, "summary": f"s{n}"} for n, text in enumerate(texts)]


def test_the_parts_and_the_metrics_are_written(project: Path) -> None:
    write_source(six_rows())
    write_params("source.jsonl", test=0.25, dev=0.25, shortest=2, longest=20)
    prepare.main()
    assert rows("train") == [
        {"id": "d0", "text": "One, two?", "references": ["s0"], "group": "d0"},
        {"id": "d1", "text": "Three four", "references": ["s1"], "group": "d1"},
    ]
    assert rows("dev") == [{"id": "d4", "text": "Five six", "references": ["s4"], "group": "d4"}]
    assert rows("test") == [{"id": "d5", "text": "one TWO", "references": ["s5"], "group": "d5"}]
    assert metrics() == {
        "read": 6,
        "kept": 4,
        "merged": 0,
        "dropped": {"too_short": 1, "too_long": 0, "duplicate": 0, "empty": 1, "leak": 0},
        "train": 2,
        "dev": 1,
        "test": 1,
        "near_duplicates_across_split": 1,
    }
    assert all_files(project) == [*OUTPUTS, "params.yaml", "source.jsonl"]


def test_a_second_run_writes_the_same_bytes(project: Path) -> None:
    write_source(six_rows())
    write_params("source.jsonl", test=0.25, dev=0, shortest=2, longest=20)
    prepare.main()
    first = outputs()
    prepare.main()
    assert outputs() == first


def test_the_command_line_prints_one_line_for_bad_input_and_keeps_earlier_outputs(project: Path) -> None:
    write_source(six_rows())
    write_params("source.jsonl", test=0.25, dev=0, shortest=2, longest=20)
    good = command()
    assert (good.returncode, good.stderr) == (0, "")
    assert re.fullmatch(r"prepare: done in \d+ s\n", good.stdout)
    earlier, names = outputs(), all_files(project)
    write_source([*six_rows(), {"id": "x", "dialogue": True, "summary": "s"}])
    pin()
    bad = command()
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr == (
        "error: source.jsonl, line 7: 'dialogue' is True, not text: put it in quotes or remove the row\n"
    )
    assert (outputs(), all_files(project)) == (earlier, names)


def test_help_is_the_stages_docstring_and_needs_no_params(project: Path) -> None:
    answer = command("--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("usage: python -m stages.prepare")
    assert str(prepare.__doc__).strip() in answer.stdout
    refused = command("--fast")
    assert (refused.returncode, "unrecognized arguments: --fast" in refused.stderr) == (2, True)


def test_what_was_found_and_not_used_is_said(project: Path) -> None:
    Path("source").mkdir()
    write_source(six_rows())
    for name in ("train.jsonl", "test.jsonl", "val.jsonl", "holdout.jsonl"):
        shutil.copy("source.jsonl", Path("source", name))
    write_params("source", test=0.25, dev=0, shortest=2, longest=20)
    said = command()
    assert said.returncode == 0
    assert said.stderr == "source: not used: holdout.jsonl, test.jsonl, val.jsonl\n"


def test_samsum_as_it_is_published(project: Path) -> None:
    """Arrays in train, val and test.json, \\r\\n between turns, a dialogue that is empty; and the CSV on the hub."""
    turns = [["Amanda: I baked  cookies.", "Jerry: Sure!"], ["Olivia: Who is it?", "Oliver: Me :)"], []]
    base = [{"id": f"{n}", "summary": f"s{n}", "dialogue": "\r\n".join(each)} for n, each in enumerate(turns)]
    for folder in ("github", "hub"):
        Path(folder).mkdir()
    for part, on_hub in {"train": "train", "val": "validation", "test": "test"}.items():
        texts = [row["dialogue"] and f"{row['dialogue']} {part}" for row in base]
        own = [{**row, "id": part + row["id"], "dialogue": text} for row, text in zip(base, texts, strict=True)]
        Path(f"github/{part}.json").write_text(json.dumps(own, indent=2))
        with Path(f"hub/{on_hub}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "dialogue", "summary"])
            writer.writeheader()
            writer.writerows(own)
    found = []
    for folder in ("github", "hub"):
        write_params(folder, test=None, dev=None, shortest=2, longest=99)
        prepare.main()
        found.append(outputs())
    assert found[0] == found[1]
    assert rows("train")[0]["text"] == "Amanda: I baked  cookies.\nJerry: Sure! train"
    assert (metrics()["dropped"]["empty"], metrics()["train"], metrics()["dev"], metrics()["test"]) == (3, 2, 2, 2)


LAB = {
    "read": 12460,
    "kept": 10022,
    "merged": 0,
    "dropped": {"too_short": 4, "too_long": 2434, "duplicate": 0, "empty": 0, "leak": 0},
    "train": 8017,
    "dev": 0,
    "test": 2005,
    # Counted by case and white space alone it is 170; by punctuation as well ("ok ." and "OK."), 291.
    "near_duplicates_across_split": 291,
}


def real(part: str) -> Iterator[dict[str, str]]:
    with (DIALOGSUM / f"{part}.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def write_hub_csv(path: Path, lines: Iterator[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "dialogue", "summary", "topic"], *lines])


@needs_dialogsum
def test_the_course_notebooks_split_has_its_sizes(project: Path) -> None:
    write_params(DIALOGSUM, test=0.2, dev=0)
    prepare.main()
    assert metrics() == LAB
    assert (rows("train")[0]["id"], rows("test")[-1]["id"], rows("dev")) == ("train_0", "train_12459", [])
    as_jsonl = outputs()
    (hub := project / "hub").mkdir()
    write_hub_csv(
        hub / "train.csv", ([row["fname"], row["dialogue"], row["summary"], row["topic"]] for row in real("train"))
    )
    write_params(hub, test=0.2, dev=0)
    prepare.main()
    assert outputs() == as_jsonl


@needs_dialogsum
def test_the_official_test_dialogues_have_three_references_however_they_are_stored(project: Path) -> None:
    write_params(DIALOGSUM, test=None, dev=None)
    prepare.main()
    tree = metrics()
    assert (tree["read"], tree["kept"], tree["dropped"]["too_short"]) == (13460, 10810, 4)
    assert (tree["train"], tree["dev"], tree["test"], tree["merged"]) == (10022, 404, 384, 0)
    assert tree["near_duplicates_across_split"] == 0
    as_jsonl = [(row["text"], list(dict.fromkeys(row["references"]))) for row in rows("test")]
    (hub := project / "hub").mkdir()
    write_hub_csv(
        hub / "test.csv",
        (
            [f"{row['fname']}_{n}", row["dialogue"], row[f"summary{n}"], row[f"topic{n}"]]
            for row in real("test")
            for n in (1, 2, 3)
        ),
    )
    shutil.copyfile(DIALOGSUM / "dev.jsonl", hub / "train.jsonl")
    write_params(hub, test=None, dev=0)
    prepare.main()
    assert (metrics()["train"], metrics()["test"]) == (404, 384)
    assert [(row["text"], row["references"]) for row in rows("test")] == as_jsonl
    # Three rows a dialogue; in ten of the 500 two annotators wrote the same words, and the later row is a duplicate.
    assert (metrics()["merged"], metrics()["dropped"]["duplicate"]) == (990, 10)


@needs_dialogsum
def test_unfiltered_all_official_test_dialogues_are_kept(project: Path) -> None:
    write_source(list(real("test")))
    write_params("source.jsonl", test=0.998, dev=0, shortest=0, longest=100000)
    prepare.main()
    assert (metrics()["kept"], metrics()["train"], metrics()["test"]) == (500, 1, 499)
    assert {len(row["references"]) for row in rows("test")} == {3}


def write_shards(folder: Path, part: str, rows: list[dict[str, str]]) -> None:
    """As push_to_hub writes a split of two shards."""
    half = len(rows) // 2
    folder.mkdir(exist_ok=True)
    for shard, some in enumerate((rows[:half], rows[half:])):
        pandas.DataFrame(some).to_parquet(folder / f"{part}-0000{shard}-of-00002.parquet", row_group_size=1000)


@needs_dialogsum
def test_dialogsum_is_the_same_from_parquet_csv_jsonl_and_save_to_disk(project: Path) -> None:
    """Shards, a spreadsheet with semicolons, arrays, and what datasets itself saves, written by these programs."""
    write_params(DIALOGSUM, test=None, dev=None)
    prepare.main()
    as_jsonl = outputs()
    splits = {split: list(real(part)) for split, part in (("train", "train"), ("validation", "dev"), ("test", "test"))}
    for split, some in splits.items():
        write_shards(project / "parquet", split, some)
        for name in ("csv", "semicolon", "array"):
            (project / name).mkdir(exist_ok=True)
        pandas.DataFrame(some).to_csv(project / "csv" / f"{split}.csv", index=False)
        pandas.DataFrame(some).to_csv(project / "semicolon" / f"{split}.csv", index=False, **SPREADSHEET)
        pandas.DataFrame(some).to_json(project / "array" / f"{split}.json", orient="records")
    saved = datasets.DatasetDict({split: datasets.Dataset.from_list(some) for split, some in splits.items()})
    saved.save_to_disk(project / "saved", num_shards={"train": 3, "validation": 1, "test": 1})
    for form in ("parquet", "csv", "semicolon", "array", "saved"):
        write_params(project / form, test=None, dev=None)
        prepare.main()
        assert outputs() == as_jsonl, form
