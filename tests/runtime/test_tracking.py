"""Trackers are told the steps, in their order and alone; none of them can fail a run, ask a question or carry a key."""

import csv
import importlib.util
import json
import re
import socket
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from imports import ROOT
from projects import contents, write_params
from ruamel.yaml import YAML

from detox.errors import InputError
from detox.params import sections
from detox.runtime import checkpoints, group, trackers, tracking
from stages import train_ppo

pytest_plugins = ["models", "projects"]

NAMES = list(get_args(get_args(sections.Trackers)[0]))
# In the place of the package: it writes down what it is told.
TRACKIO = """\
import json, os
from types import SimpleNamespace

def note(**told):
    os.makedirs(os.environ["TRACKIO_DIR"], exist_ok=True)
    with open(os.path.join(os.environ["TRACKIO_DIR"], "told.jsonl"), "a") as file:
        file.write(json.dumps(told) + "\\n")

config = SimpleNamespace(update=lambda values, allow_val_change: note(config=values))

def init(**options):
    note(init=options)
    return SimpleNamespace(log=lambda values, step: note(step=step, **values), finish=lambda: note(finished=True))
"""
FAILING = "def init(**options):\n    raise ConnectionError('https://ann:secret@example.com refuses')\n"
HANGING = f"{TRACKIO}\nimport threading\n\ndef init(**options):\n    note(asked=True)\n    threading.Event().wait()\n"

Installed = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test stands in the project's root, and what trackers write is the test's own."""
    monkeypatch.chdir(finished)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for variable in trackers.defaults(tmp_path):
        monkeypatch.setenv(variable, "")  # so that what the thread sets is undone
        monkeypatch.delenv(variable)
    write_params()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Puts a module into the place of a tracker's package."""
    added: list[str] = []

    def install(name: str, text: str) -> None:
        (tmp_path / "packages").mkdir(exist_ok=True)
        (tmp_path / "packages" / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path / "packages")
        monkeypatch.delitem(sys.modules, name, raising=False)
        added.append(name)

    yield install
    for name in added:
        sys.modules.pop(name, None)


def told(folder: Path) -> list[dict[str, Any]]:
    """What the module in the place of trackio has written down."""
    return [json.loads(line) for line in (folder / ".track/trackio/told.jsonl").read_text().splitlines()]


def test_every_tracker_is_an_extra_of_the_project() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(NAMES) == set(extras) - {"cpu", "cuda"}
    assert all(re.search(rf"\b{name}(-skinny)?>=", " ".join(extras[name])) for name in NAMES)


def test_nobody_is_told_anything_unless_params_say_so(tmp_path: Path) -> None:
    for path in (ROOT / "params.yaml", *(ROOT / "profiles").glob("*.yaml")):
        assert YAML(typ="safe").load(path)["track"] == []
    train_ppo.main()
    assert not (tmp_path / ".track").exists()


def test_a_tracker_is_told_every_step_and_training_writes_what_it_writes_without(
    tmp_path: Path, installed: Installed
) -> None:
    without = contents("models", "metrics")
    installed("trackio", TRACKIO)
    write_params(track=["trackio"])
    train_ppo.main()
    assert contents("models", "metrics") == without
    begun, config, *steps, end = told(tmp_path)
    assert begun["init"]["project"] == "dialogue-detox"
    assert re.fullmatch(r"ppo-[0-9a-f]{16}", begun["init"]["name"])
    assert (config["config"]["seed"], config["config"]["steps"], end) == (5, 2, {"finished": True})
    assert "risky_share" not in config["config"], "it is null"
    with Path("metrics/train.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert len(rows) == len(steps) == 2
    for row, step in zip(rows, steps, strict=True):
        assert {name: step[name] for name in row} == pytest.approx(row, rel=1e-5)


def test_an_interrupted_run_goes_on_under_the_same_name_from_its_step(
    tmp_path: Path, installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("trackio", TRACKIO)
    write_params(track=["trackio"])
    keep = checkpoints.Run.keep

    def keep_and_stop(run: checkpoints.Run, state: checkpoints.State) -> None:
        keep(run, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Run, "keep", keep_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train_ppo.main()
    monkeypatch.setattr(checkpoints.Run, "keep", keep)
    train_ppo.main()
    [first, second] = [line["init"] for line in told(tmp_path) if "init" in line]
    assert first == second
    assert first["resume"] == "allow"
    assert [line["step"] for line in told(tmp_path) if "step" in line] == [1, 2]


def test_one_that_fails_is_a_line_without_its_words_and_the_others_go_on(
    tmp_path: Path, installed: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    installed("trackio", TRACKIO)
    installed("wandb", FAILING)
    with tracking.tracked(["wandb", "trackio"], "run", {}) as log:
        for step in (1, 2):
            log(step, {"reward": 0.5})
    assert capsys.readouterr().err == "warning: track: wandb has failed (ConnectionError): going on without it\n"
    assert [line["reward"] for line in told(tmp_path) if "step" in line] == [0.5, 0.5]


def test_one_that_does_not_answer_holds_nothing_up(
    tmp_path: Path, installed: Installed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed("trackio", HANGING)
    monkeypatch.setattr(tracking, "PATIENCE", 0)
    with tracking.tracked(["trackio"], "run", {}) as log:
        log(1, {"reward": 0.5})
        while not Path(tmp_path, ".track/trackio/told.jsonl").exists():
            time.sleep(0.01)  # or its thread would import the module when the test has ended
    assert capsys.readouterr().err == "warning: track: trackio is late, and its last numbers may be missing\n"


def test_the_first_rank_alone_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    class Second:
        rank, size = 1, 2

    monkeypatch.setattr(group, "current", Second())
    before = threading.active_count()
    with tracking.tracked(["wandb"], "run", {}) as log:
        log(1, {"reward": 0.5})
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("track", "line"),
    [
        (
            ["trackio", "nothing"],
            r"params.yaml: track.1 is 'nothing', but must be 'tensorboard', 'wandb', 'mlflow', .*",
        ),
        ("wandb", r"params.yaml: track is 'wandb', but must be a valid list"),
    ],
)
def test_what_is_no_tracker_is_refused(track: Any, line: str) -> None:
    write_params(track=track)
    with pytest.raises(InputError) as error:
        trackers.wanted()
    assert re.fullmatch(line, str(error.value))


def test_a_missing_package_is_refused_before_anything_is_computed_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """None in the place of a module is Python's own sign that it cannot be imported."""
    missing = [name for name in NAMES if importlib.util.find_spec(name) is None]
    if len(missing) < 2:
        pytest.skip("the packages are installed")
    write_params(track=missing[:2])
    before = contents("models", "metrics")
    with pytest.raises(InputError) as error:
        train_ppo.main()
    one, two = missing[:2]
    remedy = f"pip install --editable '.[{one},{two}]', or remove it there"
    assert str(error.value) == f"params.yaml: track wants {one}, {two}: {remedy}"
    assert capsys.readouterr().out == "", "it says on which device it computes before it loads a model"
    assert contents("models", "metrics") == before


@pytest.mark.parametrize("name", NAMES)
def test_an_installed_package_takes_what_it_is_told_and_writes_no_path_nor_host(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    for steps in ([1, 2], [3]):
        with tracking.tracked([name], "ppo-0123456789abcdef", {"seed": 1}) as log:
            for step in steps:
                log(step, {"reward": 0.25 * step})
    written = {path: path.read_bytes() for path in (tmp_path / ".track").rglob("*") if path.is_file()}
    assert written
    for path, content in written.items():
        if path.name != "debug.log":  # wandb's own, which it does not send
            assert not [each for each in (ROOT, tmp_path) if str(each).encode() in content], path
            assert socket.gethostname().encode() not in content, path
