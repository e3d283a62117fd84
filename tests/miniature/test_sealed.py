"""The sealed test: the same training dialogues, other test dialogues, and a line for each look."""

from pathlib import Path

import pytest
from commands import output
from imports import ROOT

from detox import parsing
from miniature import sealed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of git with the miniature's data, in which the test stands."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/miniature").symlink_to(ROOT / "data/miniature")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_training_stays_and_no_test_dialogue_is_one_of_the_committed_ones(project: Path) -> None:
    sealed.write(31)
    made, known = Path("data/sealed"), Path("data/miniature")
    for name in ("train.jsonl", "insults.txt", "words.txt"):
        assert (made / name).read_bytes() == (known / name).read_bytes()
    fresh, old = ({row["dialogue"] for row in parsing.read_jsonl(each / "test.jsonl")} for each in (made, known))
    assert len(fresh) == len(old) == 144 * 2
    assert not fresh & old
    facts, test = (parsing.read_jsonl(made / f"{name}.jsonl") for name in ("facts", "test"))
    assert [row["id"] for row in facts] == [row["id"] for row in test]


def test_each_look_is_a_line_with_its_seed_and_commit(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    author = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    output(project, "git", "init", "--quiet")
    output(project, "git", *author, "commit", "--quiet", "--allow-empty", "--message", "All is chosen")
    monkeypatch.setattr(sealed, "LOOKS", looks := project / "looks.csv")
    looks.write_text("seed,commit\n")
    sealed.count(31)
    sealed.count(32)
    head = output(project, "git", "rev-parse", "HEAD").strip()
    assert looks.read_text() == f"seed,commit\n31,{head}\n32,{head}\n"
