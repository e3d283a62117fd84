"""Prepared rows are loaded as they were written."""

from pathlib import Path

from detox.corpus import dialogues
from detox.corpus.dialogues import Dialogue
from detox.files import write_jsonl


def test_prepared_rows_are_loaded_as_dialogues(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    write_jsonl(path, [{"id": "a", "text": "Hi.", "references": ["s", "t"], "group": "g"}])
    assert dialogues.load(path) == [Dialogue("a", "Hi.", ("s", "t"), "g")]
