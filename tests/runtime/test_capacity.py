"""Room on the disks and in memory, held against what is needed."""

import shutil
from pathlib import Path

import psutil
import pytest

from detox.errors import InputError
from detox.runtime import capacity


def test_a_container_has_no_more_memory_than_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = psutil.virtual_memory().total
    monkeypatch.setattr(capacity, "LIMIT", tmp_path / "memory.max")
    assert capacity.memory() == machine
    for text, expected in (("max\n", machine), ("1000000\n", 1_000_000), (f"{2 * machine}\n", machine)):
        capacity.LIMIT.write_text(text)
        assert capacity.memory() == expected
    capacity.LIMIT.write_text("1000000\n")
    assert capacity.available() == 1_000_000


def test_what_is_written_to_one_disk_is_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of folders that are not there yet the nearest one above counts."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3_000_000_000))
    first, second = tmp_path / "a" / "b", tmp_path / "c"
    capacity.check_disks([(first, 1_000_000_000), (second, 2_000_000_000)])
    with pytest.raises(InputError) as refused:
        capacity.check_disks([(first, 1_000_000_000), (second, 2_000_000_001), (tmp_path, 0)])
    assert str(refused.value).startswith(
        f"no space: 1.0 GB in {first}, 2.0 GB in {second} are to be written, and 3.0 GB are free there: make room"
    )


def test_a_stage_whose_models_do_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    total = capacity.memory()
    capacity.check_memory({"summarize": total})
    with pytest.raises(
        InputError, match=r"^no memory: the models of train_ppo alone take .*: lower compute\.processes"
    ):
        capacity.check_memory({"summarize": total, "train_ppo": total + 1})
