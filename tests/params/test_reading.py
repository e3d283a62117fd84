"""params.yaml becomes dataclasses; what is said of mistakes in it stands in test_bad_params.py."""

import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from settings import COMPLETE

from detox.errors import InputError
from detox.params import origins, reading, sections, training


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(COMPLETE, encoding="utf-8")
    return path


def test_each_section_becomes_its_dataclass(path: Path) -> None:
    assert reading.seed(path) == 7
    assert reading.load(sections.Model, path) == sections.Model(origins.Source("models/base"), 512, "float32")
    assert reading.load(sections.Prepare, path) == sections.Prepare(origins.Source("data/source"), 200, 1000, 0.2, 0.0)
    assert reading.load(training.Adapter, path) == training.Adapter(origins.Source("models/start"))
    assert reading.load(sections.Summarize, path) == sections.Summarize(4, 8, 0.1, 30, 10, "data/rude.txt", 64, 60, 10)
    assert reading.load(sections.Rivals, path) == sections.Rivals(50, [4, 16], [0.5, 1.25], "data/words.txt")
    assert reading.load(sections.Compute, path) == sections.Compute("cpu", 1, 1)
    assert reading.load(sections.Evaluate, path) == sections.Evaluate(9999, 0.5, 0.02, 0.02)


def test_reward_and_judge_share_one_class(path: Path) -> None:
    reward = reading.load(sections.Classifier, path, section="reward")
    judge = reading.load(sections.Classifier, path, section="judge")
    assert (reward.source.path, reward.toxic_label, reward.batch_size) == ("models/reward", "hate", 64)
    assert (judge.source.path, judge.toxic_label, judge.batch_size) == ("models/judge", "toxic", 32)


def test_numbers_in_any_yaml_notation_are_floats(path: Path) -> None:
    ppo = reading.load(training.Ppo, path)
    assert (ppo.learning_rate, ppo.value_learning_rate) == (0.0000141, 0.000003)
    assert (ppo.gamma, type(ppo.gamma)) == (1.0, float)


def test_null_fractions_are_none(path: Path) -> None:
    path.write_text(COMPLETE.replace("test_fraction: 0.2", "test_fraction: null"), encoding="utf-8")
    assert reading.load(sections.Prepare, path).test_fraction is None


def test_parameters_are_not_read_through_a_link_out_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text("seed: 1\n")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    Path("params.yaml").symlink_to("../credentials")
    with pytest.raises(InputError, match=r"^params.yaml leads out of the project by a link: put what it leads to in"):
        reading.seed(Path("params.yaml"))


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "params.yaml")
    with pytest.raises(InputError, match=r"params.yaml is no file: put the project's own there$"):
        reading.seed(tmp_path / "params.yaml")


def test_a_section_is_frozen(path: Path) -> None:
    section = reading.load(sections.Evaluate, path)
    with pytest.raises(FrozenInstanceError):
        section.resamples = 1  # type: ignore[misc]
