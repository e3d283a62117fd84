"""A stage that is given bad input: what it says of it, and what must hold whatever the input was."""

import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import stages

Case = dict[str, Any]
Refused = Callable[[ModuleType], str]

TABLE: dict[str, dict[str, Case]] = tomllib.loads((Path(__file__).parent / "bad_inputs.toml").read_text("utf-8"))
# Results of an earlier run, by the stage that would replace them.
EARLIER = {
    "stages.fetch_sources": ["downloads/model/config.json"],
    "stages.prepare": ["data/prepared/train.jsonl", "data/prepared/test.jsonl", "metrics/prepare.json"],
    "stages.fetch_adapter": ["models/adapter/adapter_model.safetensors", "metrics/adapter.csv"],
    "stages.train_ppo": ["models/ppo/adapter_model.safetensors", "models/snapshots/step_0001/x", "metrics/train.json"],
    "stages.summarize_rivals": ["data/rivals/base.jsonl"],
    "stages.evaluate": ["data/scores.jsonl", "metrics/evaluate.json"],
}
SHARING = {"stages.train_ppo", "stages.summarize_rivals", "stages.evaluate"}


def each(section: str) -> pytest.MarkDecorator:
    """Has a test run for every case of a section of the table."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE[section].items()])


def text_of(case: Case) -> bytes:
    """What the case describes: of `bytes` every character is a byte; `then` repeats something at the end."""
    repeated, times = case.get("then", ("", 0))
    text = str(case.get("text") or case.get("row") or "")
    return str(case.get("bytes", "")).encode("latin-1") + text.encode() + str(repeated).encode() * int(times)


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refused:
    """Runs a stage in a folder of the test's own, as its command line does, and returns what it complains of.

    That is one line on stderr that begins with `error: `, and exit code 1, which is what Python makes of a SystemExit
    with a text. Nothing else is printed but the device, and every file is there as it was, those of an earlier run too.
    """
    monkeypatch.chdir(tmp_path)

    def run(stage: ModuleType) -> str:
        for name in EARLIER[stage.__name__]:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text("earlier")
        before = everything()
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", [stage.__name__])
        with pytest.raises(SystemExit) as stop:
            (stages.run_in_ranks if stage.__name__ in SHARING else stages.run)(stage.main)
        line = stop.value.code
        assert isinstance(line, str)
        assert line.startswith("error: ")
        assert line.isprintable(), "it would break the line or speak to the terminal"
        said = capfd.readouterr()
        assert said.err == ""
        assert said.out in ("", "device: cpu\n")
        assert everything() == before
        return line.removeprefix("error: ")

    return run


def everything() -> dict[str, bytes | str | None]:
    """Every file below the working directory with its bytes, every link with its goal, every folder."""
    return {str(path): _content(path) for path in Path().rglob("*")}


def _content(path: Path) -> bytes | str | None:
    if path.is_symlink():
        return os.readlink(path)
    return path.read_bytes() if path.is_file() else None
