"""docs/house.md says what is in the rooms of detox/, and the rooms' docstrings list every file."""

from pathlib import Path

import pytest
from imports import ROOT

from docs import house

ROOMS = sorted(path.parent for path in (ROOT / "detox").glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_the_docstring_of_a_room_lists_its_files(room: Path) -> None:
    listed = [name for name, _ in house.LINE.findall((room / "__init__.py").read_text(encoding="utf-8"))]
    assert sorted(listed) == sorted(path.name for path in room.glob("*.py") if path.name != "__init__.py")


def test_the_page_is_what_the_command_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert (ROOT / "docs" / "house.md").read_text(encoding="utf-8") == house.page()


def test_no_file_of_library_stages_or_miniature_is_too_long_to_read_at_a_sitting() -> None:
    files = [path for folder in ("detox", "stages", "miniature") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    assert {path.name for path in files if path.read_text(encoding="utf-8").count("\n") > 200} == set()
