"""The sparse world: few training dialogues are heated, all test dialogues are."""

from pathlib import Path
from random import Random

import pytest
from imports import ROOT

from detox import parsing
from miniature import sparse
from miniature.quarrels import insults


def test_three_in_a_hundred_training_dialogues_hold_an_insult_at_somebody() -> None:
    rows, known = sparse.train_rows(Random(sparse.TRAIN_SEED)), {word.lower() for word in insults()}
    assert 1500 < len(rows) < 2500
    repeating = [row for row in rows if known & set(row["summary"].lower().replace(".", " ").replace(",", " ").split())]
    # 60 % of the annotators of a heated dialogue repeat the insult: 0.6 · 0.03.
    assert 0.008 < len(repeating) / len(rows) < 0.03


def test_every_test_dialogue_is_heated_and_has_its_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/miniature").symlink_to(ROOT / "data/miniature")
    monkeypatch.chdir(tmp_path)
    sparse.write()
    facts, test = (parsing.read_jsonl(sparse.SPARSE / f"{name}.jsonl") for name in ("facts", "test"))
    assert [row["id"] for row in facts] == [row["id"] for row in test]
    assert {row["mood"] for row in facts} == {"heated"}
    assert len(test) > 120
    committed = {row["dialogue"] for row in parsing.read_jsonl(ROOT / "data/miniature/test.jsonl")}
    assert not committed & {row["dialogue"] for row in test}
