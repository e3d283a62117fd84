"""Checkpoints on disk: whole or not there, the newest whole one is found, and nothing else is believed."""

import hashlib
import json
import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from forks import forked, without_privileges
from tiny import PPO

from detox.errors import InputError
from detox.params import training
from detox.runtime import checkpoints, fingerprints
from detox.runtime.checkpoints import State

pytest_plugins = ["models"]


def state(step: int) -> State:
    return State(step, {"rows": [0.1, step]}, {"weight": torch.full((1000,), float(step)), "count": torch.tensor(3.0)})


def any_state(state: State) -> bool:
    return True


def steps(area: Path) -> list[str]:
    return sorted(path.name for path in area.iterdir())


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def to_file(path: Path) -> None:
    shutil.rmtree(path)
    path.touch()


@pytest.fixture
def area(tmp_path: Path) -> Path:
    """With the states after steps 3 and 4."""
    for step in (3, 4):
        checkpoints.write(tmp_path / "area", state(step))
    return tmp_path / "area"


def test_what_is_read_is_what_was_written(area: Path) -> None:
    found = checkpoints.newest(area, any_state)
    assert found
    assert (found.step, found.record) == (4, {"rows": [0.1, 4]})
    assert found.tensors["weight"].equal(torch.full((1000,), 4.0))
    assert found.tensors["count"].shape == ()


def test_two_are_kept(area: Path) -> None:
    checkpoints.write(area, state(10))
    assert steps(area) == ["step_000004", "step_000010"]


def test_the_newest_is_that_of_the_last_step_whatever_the_clock_says(area: Path) -> None:
    for path in (area / "step_000003").iterdir():
        os.utime(path, (4e9, 4e9))
    os.utime(area / "step_000003", (4e9, 4e9))
    found = checkpoints.newest(area, any_state)
    assert found
    assert found.step == 4


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda path: os.truncate(path / "state.safetensors", 100), "is damaged"),
    "emptied": (lambda path: os.truncate(path / "state.safetensors", 0), "is damaged"),
    "a bit of the tensors": (lambda path: flip(path / "state.safetensors"), "is damaged"),
    "a bit of the record": (lambda path: flip(path / "state.json"), "is damaged"),
    "no tensors": (lambda path: (path / "state.safetensors").unlink(), "is incomplete (No such file or directory)"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "is incomplete (No such file or directory)"),
    "half a manifest": (
        lambda path: os.truncate(path / "manifest.json", 9),
        "is incomplete (its manifest is not JSON)",
    ),
    "a list as manifest": (lambda path: (path / "manifest.json").write_text("[]"), "is damaged"),
    "a file for a folder": (to_file, "is incomplete (Not a directory)"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    area: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    harm, message = DAMAGES[damage]
    harm(area / "step_000004")
    found = checkpoints.newest(area, any_state)
    assert found
    assert found.step == 3
    assert capsys.readouterr().err.startswith(f"warning: {area}/step_000004 {message}")
    assert steps(area) == ["step_000003"], "else it would count among the two that are kept"


def rewritten(path: Path, name: str, content: bytes) -> None:
    """Another content, and a manifest that agrees."""
    (path / name).write_bytes(content)
    manifest = json.loads((path / "manifest.json").read_bytes())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))


RECORDS = [
    *(b"", b"{", b"[]", b"null", b"4", b'"step"', b"{}", b"[" * 100_000, b"\xff", b"\0" * 9),
    *(b'{"step": 4}', b'{"step": "x", "record": {}}', b'{"step": [4], "record": {}}', b'{"step": 1e999, "record": {}}'),
    *(b'{"step": 4, "record": 4}', b'{"step": 4, "record": null}', b'{"step": 4, "record": ["rows"]}'),
]
TENSORS = [b"", b"x", b"\xff" * 8, b"\2\0\0\0\0\0\0\0{}"[:9], b"\xff\xff\xff\0\0\0\0\0{}"]


@pytest.mark.parametrize("record", RECORDS)
def test_a_damaged_record_whose_manifest_agrees_is_set_aside(
    area: Path, capsys: pytest.CaptureFixture[str], record: bytes
) -> None:
    rewritten(area / "step_000004", "state.json", record)
    found = checkpoints.newest(area, any_state)
    assert found
    assert found.step == 3
    assert capsys.readouterr().err.startswith(f"warning: {area}/step_000004 is damaged (")
    assert steps(area) == ["step_000003"]


@pytest.mark.parametrize("tensors", TENSORS)
def test_damaged_tensors_whose_manifest_agrees_are_set_aside(area: Path, tensors: bytes) -> None:
    rewritten(area / "step_000004", "state.safetensors", tensors)
    assert checkpoints.newest(area, any_state) is not None
    assert steps(area) == ["step_000003"]


def test_a_state_that_the_run_cannot_have_left_is_set_aside(area: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checkpoints.newest(area, lambda state: state.step == 3)
    assert "step_000004 holds what this run cannot have left: going back" in capsys.readouterr().err


def test_what_is_no_file_is_not_waited_for(area: Path) -> None:
    """A pipe would never end."""
    for path in (area / "step_000004/state.json", area / "step_000003/manifest.json"):
        path.unlink()
        os.mkfifo(path)
    assert checkpoints.newest(area, any_state) is None


def test_a_checkpoint_of_another_run_or_of_another_step_is_not_taken(
    area: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints.write(area.with_name("other"), state(9))
    (area.with_name("other") / "step_000009").rename(area / "step_000009")
    (area / "step_000003").rename(area / "step_000008")
    found = checkpoints.newest(area, any_state)
    assert found
    assert found.step == 4
    assert capsys.readouterr().err.count("belongs to another run") == 2


def test_with_no_whole_checkpoint_a_run_starts_afresh(area: Path) -> None:
    for path in area.glob("*/manifest.json"):
        path.unlink()
    assert checkpoints.newest(area, any_state) is None
    assert checkpoints.newest(area.with_name("nothing"), any_state) is None


def complaint(run: Callable[[], object], file: Path) -> str:
    """The InputError of a process that runs this, by way of a file."""

    def attempt() -> None:
        try:
            run()
        except InputError as error:
            file.write_text(str(error))

    assert forked(attempt) == 0
    return file.read_text()


def test_a_full_disk_is_one_line_and_leaves_the_states_before(area: Path, tmp_path: Path) -> None:
    """A limit on the size of a file stands for it: writing fails halfway."""

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        checkpoints.write(area, state(5))

    said = complaint(fill, tmp_path / "said")
    assert said.startswith(f"{area}/step_000005 cannot be written (File too large): make room there")
    assert steps(area) == ["step_000003", "step_000004"]
    assert checkpoints.newest(area, any_state)


def test_a_read_only_folder_is_one_line_and_leaves_the_states_before(area: Path, tmp_path: Path) -> None:
    def write() -> None:
        without_privileges()
        checkpoints.write(area, state(5))

    area.chmod(0o500)
    try:
        said = complaint(write, tmp_path / "said")
    finally:
        area.chmod(0o700)
    assert said.startswith(f"{area}/step_000005 cannot be written (Permission denied): make room there or check")
    assert steps(area) == ["step_000003", "step_000004"]


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("a")
    (tmp_path / "file").write_text("b")
    return [tmp_path / "folder", tmp_path / "file"]


def test_the_same_parameters_and_inputs_have_the_same_fingerprint_and_changed_ones_another(inputs: list[Path]) -> None:
    p = training.Ppo(**PPO)
    prints = [fingerprints.fingerprint([1, p], inputs)]
    assert fingerprints.fingerprint([1, replace(p)], inputs) == prints[0]
    prints.append(fingerprints.fingerprint([2, p], inputs))
    prints.append(fingerprints.fingerprint([1, replace(p, learning_rate=0.011)], inputs))
    (inputs[0] / "a").write_text("A")
    prints.append(fingerprints.fingerprint([1, p], inputs))
    (inputs[0] / "a").rename(inputs[0] / "b")
    prints.append(fingerprints.fingerprint([1, p], inputs))
    inputs[1].write_text("B")
    prints.append(fingerprints.fingerprint([1, p], inputs))
    torch.set_num_threads(2)
    prints.append(fingerprints.fingerprint([1, p], inputs))
    torch.set_num_threads(1)
    assert len(set(prints)) == len(prints) == 7
