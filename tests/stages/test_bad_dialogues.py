"""Whatever is wrong with a corpus is one line that names file, row and remedy, and prepare writes nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_inputs import Case, Refused, each, text_of

from detox.sources import local
from stages import prepare

pytest_plugins = ["bad_inputs"]

GOOD = "".join(
    json.dumps({"id": f"d{n}", "dialogue": f"Hello, {n}.", "summary": "A greeting."}) + "\n" for n in range(4)
)


def write_params(path: str = "corpus", pinned: bool = True, test: float | None = 0.25, dev: float | None = 0) -> None:
    """params.yaml for dialogues of 2 to 40 characters at this path."""
    source = {"path": path, "sha256": local.digest(Path(path)) if pinned else None}
    limits = {"min_characters": 1, "max_characters": 40, "test_fraction": test, "dev_fraction": dev}
    Path("params.yaml").write_text(json.dumps({"prepare": {"source": source, **limits}}))


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
        ([], 0.25, 0, "corpus has no train.jsonl or train.csv: correct prepare.source.path"),
        (["train.jsonl", "train.csv"], 0.25, 0, "corpus has train.jsonl and train.csv: keep one of them"),
        (
            ["train.jsonl"],
            None,
            0,
            "corpus has no test.jsonl or test.csv: "
            "correct prepare.source.path or set prepare.test_fraction to a number",
        ),
        (
            ["train.jsonl", "test.jsonl"],
            None,
            None,
            "corpus has no dev.jsonl or dev.csv or validation.jsonl or validation.csv: "
            "correct prepare.source.path or set prepare.dev_fraction to a number",
        ),
    ],
)
def test_a_source_without_the_wanted_part_is_named(
    refused: Refused, present: list[str], test: float | None, dev: float | None, message: str
) -> None:
    Path("corpus").mkdir()
    for name in present:
        Path("corpus", name).write_text(GOOD)
    write_params(test=test, dev=dev)
    assert refused(prepare) == message


def test_a_single_file_has_no_part_for_the_test(refused: Refused) -> None:
    Path("rows.jsonl").write_text(GOOD)
    write_params("rows.jsonl", test=None)
    expected = (
        "rows.jsonl is a single file without a test part: correct prepare.source.path or set prepare.test_fraction"
    )
    assert refused(prepare) == f"{expected} to a number"


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
    assert refused(prepare) == "rows.txt is neither .jsonl nor .csv: convert the file or correct the path"


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
    assert refused(prepare) == "corpus has no train.jsonl or train.csv: correct prepare.source.path"
