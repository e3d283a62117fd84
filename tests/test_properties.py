"""What holds for any input at all: hypothesis looks for one that breaks it."""

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from ruamel.yaml import YAML
from settings import COMPLETE

from detox import files, parsing
from detox.corpus import cleaning, layout, reader
from detox.errors import InputError
from detox.model import adapters
from detox.params import origins, reading, sections, training

pytest_plugins = ["models"]
pytestmark = pytest.mark.slow

SECTIONS: dict[str, Any] = YAML(typ="safe").load(COMPLETE)
CLASSES: dict[str, Any] = {
    "model": sections.Model,
    "prepare": sections.Prepare,
    "adapter": training.Adapter,
    "reward": sections.Classifier,
    "ppo": training.Ppo,
    "summarize": sections.Summarize,
    "rivals": sections.Rivals,
    "evaluate": sections.Evaluate,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
GOOD = "".join(f'{{"id": "{n}", "dialogue": "Hello, {n}.", "summary": "A greeting."}}\n' for n in range(3)).encode()
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
thorough = hypothesis.settings(max_examples=100, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the examples of a test share."""
    return tmp_path_factory.mktemp("examples")


def read(path: Path) -> list[dict[str, Any]]:
    return list(reader.read_source([path], sections.Columns()))


def outcome(read: Callable[[], Any], path: Path) -> Any:
    """What comes of reading the path: a value; or None, if it is refused in one line that names it."""
    try:
        return read()
    except InputError as error:
        message = str(error)
    assert message.isprintable()
    assert str(path) in message
    return None


@thorough
@hypothesis.given(section=st.sampled_from(sorted(CLASSES)), value=VALUES, data=st.data())
def test_whatever_stands_in_the_place_of_a_param_is_that_value_or_refused(
    folder: Path, section: str, value: Any, data: Any
) -> None:
    key = data.draw(st.sampled_from(sorted(SECTIONS[section])))
    path = folder / "params.yaml"
    path.write_text(json.dumps({section: SECTIONS[section] | {key: value}}), encoding="utf-8")
    loaded = outcome(lambda: reading.load(CLASSES[section], path, section), path)
    if loaded is not None and key != "source":
        assert getattr(loaded, key) == value
        assert type(value) is not bool, "true is no number"


@thorough
@hypothesis.given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="replace")))
def test_any_bytes_are_params_or_refused(folder: Path, content: bytes) -> None:
    path = folder / "params.yaml"
    path.write_bytes(content)
    assert outcome(lambda: reading.load(sections.Prepare, path), path) is None


@thorough
@hypothesis.given(place=st.integers(0, len(GOOD)), length=st.integers(0, 9), put=st.binary(max_size=9))
def test_a_corpus_in_which_bytes_have_changed_is_read_or_refused(
    folder: Path, place: int, length: int, put: bytes
) -> None:
    path = folder / "rows.jsonl"
    path.write_bytes(GOOD[:place] + put + GOOD[place + length :])
    rows = outcome(lambda: read(path), path)
    for row in rows or []:
        assert row["id"].strip()
        assert row["references"] or not row["text"].strip()
        assert "\0" not in row["text"]


@thorough
@hypothesis.given(st.lists(st.tuples(TEXTS.filter(str.strip), TEXTS.filter(str.strip)), min_size=1, max_size=5))
def test_jsonl_and_csv_of_any_texts_are_the_same_corpus(folder: Path, texts: list[tuple[str, str]]) -> None:
    rows = [{"id": f"d{n}", "dialogue": text, "summary": summary} for n, (text, summary) in enumerate(texts)]
    files.write_jsonl(folder / "rows.jsonl", rows)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "dialogue", "summary"])
        writer.writeheader()
        writer.writerows(rows)
    from_lines = read(folder / "rows.jsonl")
    found = [(row["text"], row["references"][0]) for row in from_lines]
    assert found == [tuple(re.sub("\r\n?", "\n", text) for text in pair) for pair in texts]
    assert read(folder / "rows.csv") == from_lines


@thorough
@hypothesis.given(
    texts=st.lists(st.text("ab ", max_size=5), min_size=1, max_size=20),
    test=st.floats(0.01, 0.99),
    dev=st.just(0.0) | st.floats(0.01, 0.99),
)
def test_no_dialogue_is_lost_or_in_two_parts(folder: Path, texts: list[str], test: float, dev: float) -> None:
    """The parts are, in order, the different texts of 2 to 4 characters that are not blank, the last ones the test."""
    hypothesis.assume(test + dev < 1)
    path = folder / "rows.jsonl"
    files.write_jsonl(path, [{"id": f"{n}", "dialogue": text, "summary": f"{n}"} for n, text in enumerate(texts)])
    section = sections.Prepare(origins.Source(str(path)), 1, 4, test, dev)
    wanted = [text for text in dict.fromkeys(texts) if text.strip() and 1 < len(text) <= 4]
    sizes = math.ceil(dev * len(wanted)), math.ceil(test * len(wanted))
    shutil.rmtree(folder / "parts", ignore_errors=True)
    if sum(sizes) >= len(wanted):
        with pytest.raises(InputError):
            cleaning.prepare(section, layout.find(path, None), folder / "parts")
        return
    counts = cleaning.prepare(section, layout.find(path, None), folder / "parts")
    parts = [parsing.read_jsonl(folder / "parts" / f"{name}.jsonl") for name in ("train", "dev", "test")]
    assert [row["text"] for part in parts for row in part] == wanted
    assert (len(parts[1]), len(parts[2])) == sizes
    # Each of a text's rows has a summary of its own, and all of them are its references, in their order.
    brought = {text: [f"{n}" for n, each in enumerate(texts) if each == text] for text in wanted}
    assert {row["text"]: row["references"] for part in parts for row in part} == brought
    assert counts["read"] == len(texts)
    assert counts["read"] == counts["kept"] + counts["merged"] + sum(counts["dropped"].values())


def fresh(adapter: Path, folder: Path) -> Path:
    """The folder, with an unharmed copy of the adapter in the place of the last one."""
    shutil.rmtree(folder, ignore_errors=True)
    adapters.copy(adapter, folder)
    return folder


@thorough
@hypothesis.given(value=VALUES, data=st.data())
def test_whatever_an_adapters_configuration_says_is_plain_lora_or_refused(
    folder: Path, base: Path, adapter: Path, value: Any, data: Any
) -> None:
    path = fresh(adapter, folder / "adapter") / "adapter_config.json"
    config = json.loads(path.read_text())
    key = data.draw(st.sampled_from(sorted(config)))
    path.write_text(json.dumps(config | {key: value}))
    outcome(lambda: adapters.check(folder / "adapter", base), folder / "adapter")


@thorough
@hypothesis.given(place=st.integers(0, 3000), put=st.binary(min_size=1, max_size=9))
def test_an_adapter_in_which_bytes_have_changed_is_read_or_refused(
    folder: Path, base: Path, adapter: Path, place: int, put: bytes
) -> None:
    path = fresh(adapter, folder / "adapter") / "adapter_model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:place] + put + content[place + len(put) :])
    outcome(lambda: adapters.check(folder / "adapter", base), folder / "adapter")
