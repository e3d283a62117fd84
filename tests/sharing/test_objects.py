"""The objects of dvc.lock: names, content, and the files of a folder."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from detox.errors import InputError
from detox.sharing.objects import Object, files, named

HELLO = "5d41402abc4b2a76b9719d911017c592"  # of `printf hello | md5sum`


def out(path: tuple[str, ...], md5: str | None, cached: bool = True) -> Any:
    """What is read of DVC's class for an out."""
    stage, info = SimpleNamespace(name="train"), md5 and SimpleNamespace(value=md5)
    return SimpleNamespace(use_cache=cached, hash_info=info, index_key=("repo", path), stage=stage)


def test_an_object_knows_its_content() -> None:
    hello = Object(HELLO, "data/hello.txt", "greet")
    assert hello.is_in(io.BytesIO(b"hello"))
    assert not hello.is_in(io.BytesIO(b"hellp"))
    assert Object(f"{HELLO}.dir", "data", "greet").is_in(io.BytesIO(b"hello")), "the suffix is DVC's, not the MD5's"


def test_an_object_is_not_where_there_is_no_file(tmp_path: Path) -> None:
    hello = Object(HELLO, "data/hello.txt", "greet")
    assert not hello.is_at(tmp_path / "hello.txt")
    assert not hello.is_at(tmp_path)
    (tmp_path / "hello.txt").write_text("hello")
    assert hello.is_at(tmp_path / "hello.txt")


def test_what_git_keeps_and_what_no_stage_has_made_are_no_objects() -> None:
    outs = [out(("models", "ppo"), f"{HELLO}.dir"), out(("metrics.json",), HELLO, cached=False), out(("new",), None)]
    assert named(outs) == [Object(f"{HELLO}.dir", "models/ppo", "train")]
    assert str(named(outs)[0]) == "models/ppo (stage train)"
    with pytest.raises(InputError, match=r"dvc.lock names no data: run the pipeline first \(make repro\)"):
        named(outs[1:])


def test_the_list_of_a_folder_names_its_files() -> None:
    folder = Object("0" * 32 + ".dir", "data", "greet")
    listed = f'[{{"md5": "{HELLO}", "relpath": "de/hallo.txt"}}]'
    assert files(folder, listed.encode()) == [Object(HELLO, "data/de/hallo.txt", "greet")]
    assert folder.is_folder
    assert not files(folder, listed.encode())[0].is_folder
