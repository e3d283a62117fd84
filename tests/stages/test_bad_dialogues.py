"""Whatever is wrong with a corpus is one line that names file, row and remedy, and prepare writes nothing."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from bad_inputs import Case, Refused, each, text_of

from detox.sources import local
from stages import prepare

pytest_plugins = ["bad_inputs"]

GOOD = "".join(
    json.dumps({"id": f"d{n}", "dialogue": f"Hello, {n}.", "summary": "A greeting."}) + "\n" for n in range(4)
)


def write_params(
    path: str = "corpus", pinned: bool = True, test: float | None = 0.25, dev: float | None = 0, **more: Any
) -> None:
    """params.yaml for dialogues of 2 to 40 characters at this path."""
    source = {"path": path, "sha256": local.digest(Path(path)) if pinned else None}
    limits = {"min_characters": 1, "max_characters": 40, "test_fraction": test, "dev_fraction": dev}
    Path("params.yaml").write_text(json.dumps({"prepare": {"source": source, **limits, **more}}))


@each("dialogues")
def test_a_bad_row_or_file_is_one_line(refused: Refused, case: Case) -> None:
    Path("corpus").mkdir()
    before = GOOD.encode() if "row" in case else b""
    Path("corpus", case.get("file", "train.jsonl")).write_bytes(before + text_of(case))
    write_params()
    assert refused(prepare) == case["message"]


@pytest.mark.parametrize(
    ("present", "test", "dev", "message"),
    [
        (
            [],
            0.25,
            0,
            "corpus has no table named train or training (there are no tables): correct prepare.source.path or "
            "prepare.config",
        ),
        (
            ["train.jsonl", "train.csv"],
            0.25,
            0,
            "corpus has train.csv and train.jsonl for train: keep one of them, or name the folder of one in "
            "prepare.config",
        ),
        (
            ["en/train.jsonl", "de/train.jsonl"],
            0.25,
            0,
            "corpus has de/train.jsonl and en/train.jsonl for train: keep one of them, or name the folder of one in "
            "prepare.config",
        ),
        (
            ["train.jsonl", "holdout.csv"],
            None,
            0,
            "corpus has no table named test or testing or eval or evaluation (there are holdout.csv, train.jsonl): "
            "correct prepare.source.path or prepare.config, or set prepare.test_fraction to a number",
        ),
        (
            ["train.jsonl", "test.jsonl"],
            None,
            None,
            "corpus has no table named validation or valid or val or dev (there are test.jsonl, train.jsonl): "
            "correct prepare.source.path or prepare.config, or set prepare.dev_fraction to a number",
        ),
        (
            ["train.jsonl", "test.jsonl", "val.jsonl", "dev.jsonl"],
            None,
            None,
            "corpus has dev.jsonl and val.jsonl for dev: keep one of them, or name the folder of one in prepare.config",
        ),
        (
            ["data/train-00001-of-00003.jsonl", "data/train-00000-of-00003.jsonl"],
            0.25,
            0,
            "corpus/data/train-00000-of-00003.jsonl is one of 3 shards, but 2 are there: get the others",
        ),
    ],
)
def test_a_source_without_the_wanted_part_is_named(
    refused: Refused, present: list[str], test: float | None, dev: float | None, message: str
) -> None:
    Path("corpus").mkdir()
    for name in present:
        Path("corpus", name).parent.mkdir(exist_ok=True)
        Path("corpus", name).write_text(GOOD)
    write_params(test=test, dev=dev)
    assert refused(prepare) == message


@pytest.mark.parametrize(
    ("card", "config", "message"),
    [
        (
            "configs:\n- config_name: en\n- config_name: de\n",
            None,
            "corpus/README.md lists the configurations en, de: name one of them in prepare.config",
        ),
        (
            "configs:\n- config_name: en\n",
            "fr",
            "corpus/README.md lists the configurations en: name one of them in prepare.config",
        ),
        (
            "configs:\n- config_name: default\n  data_files: ../rows.jsonl\n",
            None,
            "corpus/README.md: the data_files '../rows.jsonl' are no tables of this folder: correct them, or remove "
            "that file",
        ),
        (
            "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: https://a.org/b.jsonl\n",
            None,
            "corpus/README.md: the data_files 'https://a.org/b.jsonl' are no tables of this folder: correct "
            "them, or remove that file",
        ),
        (
            "configs:\n- config_name: default\n  data_files:\n  - split: train_a\n    path: train.jsonl\n"
            "  - split: train_b\n    path: train.jsonl\n",
            None,
            "corpus has the splits train_a and train_b for train: keep one of them",
        ),
        (
            "configs: [\n",
            None,
            "corpus/README.md: not the YAML of a data set's configurations: correct or remove the file",
        ),
        (
            "configs: !!python/object/apply:os.system ['touch x']\n",
            None,
            "corpus/README.md: not the YAML of a data set's configurations: correct or remove the file",
        ),
        (
            "license: mit\n",
            "en",
            "corpus has neither a README.md with configurations nor tables in a folder 'en': correct prepare.config, "
            "or set it to null",
        ),
    ],
)
def test_a_readme_can_choose_among_the_tables_of_its_folder_alone(
    refused: Refused, card: str, config: str | None, message: str
) -> None:
    Path("rows.jsonl").write_text(GOOD)
    Path("corpus").mkdir()
    Path("corpus/train.jsonl").write_text(GOOD)
    Path("corpus/README.md").write_text(f"---\n{card}---\n# Talk\n")
    write_params(config=config)
    assert refused(prepare) == message


def test_a_zip_of_several_tables_is_named(refused: Refused) -> None:
    Path("corpus").mkdir()
    with zipfile.ZipFile("corpus/train.zip", "w") as archive:
        archive.writestr("a.csv", "id,dialogue,summary\n")
        archive.writestr("b/c.csv", "id,dialogue,summary\n")
    write_params()
    assert refused(prepare) == (
        "corpus/train.zip holds a.csv, b/c.csv, but must hold one .jsonl, .json, .csv or .tsv: unpack it"
    )


def test_a_table_of_parquet_without_dialogues_is_named(refused: Refused) -> None:
    Path("corpus").mkdir()
    pandas.DataFrame({"id": [1], "text": ["Hi"]}).to_parquet("corpus/train.parquet")
    write_params()
    assert refused(prepare) == (
        "corpus/train.parquet: no column 'dialogue' (there are id, text): add it, or name the right one in "
        "prepare.columns.dialogue"
    )


def test_a_bad_row_of_parquet_is_named_by_its_number(refused: Refused) -> None:
    Path("corpus").mkdir()
    rows = pandas.DataFrame({"id": ["a", "b"], "dialogue": ["Hi", "Bye"], "summary": ["s", None]})
    rows.to_parquet("corpus/train.parquet")
    write_params()
    assert refused(prepare) == "corpus/train.parquet, row 2: the summary is blank: write one or remove the row"


def test_a_corpus_whose_training_dialogues_are_all_in_the_test_is_refused(refused: Refused) -> None:
    Path("corpus").mkdir()
    for part in ("train", "test"):
        Path(f"corpus/{part}.jsonl").write_text(GOOD)
    write_params(test=None)
    assert refused(prepare) == (
        "every training dialogue is a test dialogue, too: give other files, or set prepare.drop_leaks to false"
    )


@pytest.mark.parametrize(
    ("columns", "key", "name"),
    [
        ({"id": "no"}, "id", "no"),
        ({"dialogue": "talk"}, "dialogue", "talk"),
        ({"summary": ["summary", "second"]}, "summary", "second"),
        ({"group": "topic"}, "group", "topic"),
    ],
)
def test_a_column_that_is_named_but_not_there_is_an_error(
    refused: Refused, columns: dict[str, str], key: str, name: str
) -> None:
    Path("rows.jsonl").write_text(GOOD)
    write_params("rows.jsonl", columns=columns)
    assert refused(prepare) == (
        f"rows.jsonl, line 1: no column '{name}' (there are id, dialogue, summary): add it, or name the right one in "
        f"prepare.columns.{key}"
    )


def test_a_single_file_has_no_part_for_the_test(refused: Refused) -> None:
    Path("rows.jsonl").write_text(GOOD)
    write_params("rows.jsonl", test=None)
    assert refused(prepare) == (
        "rows.jsonl is a single file without a test part: correct prepare.source.path or prepare.config, or set "
        "prepare.test_fraction to a number"
    )


def test_a_source_that_is_not_there_or_not_pinned_is_named(refused: Refused) -> None:
    Path("corpus").mkdir()
    write_params(pinned=False)
    assert refused(prepare) == "corpus has no sha256 in params.yaml: run `make pin`"
    write_params("nowhere", pinned=False)
    assert refused(prepare) == "nowhere does not exist: check the source's path in params.yaml"


def test_a_source_that_has_changed_is_named_with_both_hashes(refused: Refused) -> None:
    Path("rows.jsonl").write_text("abc")  # whose sha256 is the standard's own example
    write_params("rows.jsonl")
    Path("rows.jsonl").write_text("")
    assert refused(prepare) == (
        "rows.jsonl has sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, but params.yaml pins "
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad: put it back, or run `make pin` to accept it"
    )


def test_a_file_of_another_kind_is_named(refused: Refused) -> None:
    Path("rows.txt").write_text(GOOD)
    write_params("rows.txt")
    assert refused(prepare) == (
        "rows.txt is no table that is read here: convert it to .jsonl, .csv or .parquet, or correct the path"
    )


@pytest.mark.parametrize("goal", ["../../rows.jsonl", "/etc/hostname", "../../nowhere", "../.."])
def test_a_link_out_of_the_source_is_refused_wherever_it_leads(refused: Refused, goal: str) -> None:
    Path("rows.jsonl").write_text(GOOD)
    Path("corpus/more").mkdir(parents=True)
    Path("corpus/train.jsonl").write_text(GOOD)
    write_params()
    Path("corpus/more/link").symlink_to(goal)
    assert refused(prepare) == "corpus/more/link is a link out of corpus: put what it leads to in its place"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("train.jsonl", path)])
def test_what_is_no_file_is_not_read(refused: Refused, make: Callable[[str], None]) -> None:
    """A folder, a pipe that nobody writes to, and a link to itself."""
    Path("corpus").mkdir()
    make("corpus/train.jsonl")
    write_params()
    assert refused(prepare) == (
        "corpus has no table named train or training (there are no tables): correct prepare.source.path or "
        "prepare.config"
    )
