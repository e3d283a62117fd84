"""params.yaml becomes dataclasses; what is said of mistakes in it stands in test_bad_params.py."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from settings import COMPLETE

from detox import params


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(COMPLETE, encoding="utf-8")
    return path


def test_each_section_becomes_its_dataclass(path: Path) -> None:
    assert params.seed(path) == 7
    assert params.load(params.Model, path) == params.Model(params.Source("models/base"), 512, "float32")
    assert params.load(params.Prepare, path) == params.Prepare(params.Source("data/source"), 200, 1000, 0.2, 0.0)
    assert params.load(params.Adapter, path) == params.Adapter(params.Source("models/start"))
    assert params.load(params.Summarize, path) == params.Summarize(4, 8, 0.1, 30, 64, 60, 10)
    assert params.load(params.Rivals, path) == params.Rivals(50, 16, [0.5, 1.25], "data/words.txt")
    assert params.load(params.Compute, path) == params.Compute("cpu", 1, 1)
    assert params.load(params.Evaluate, path) == params.Evaluate(9999, 0.5, 4, 0.02, 0.02)


def test_reward_and_judge_share_one_class(path: Path) -> None:
    reward = params.load(params.Classifier, path, section="reward")
    judge = params.load(params.Classifier, path, section="judge")
    assert (reward.source.path, reward.toxic_label, reward.batch_size) == ("models/reward", "hate", 64)
    assert (judge.source.path, judge.toxic_label, judge.batch_size) == ("models/judge", "toxic", 32)


def test_numbers_in_any_yaml_notation_are_floats(path: Path) -> None:
    ppo = params.load(params.Ppo, path)
    assert (ppo.learning_rate, ppo.value_learning_rate) == (0.0000141, 0.000003)
    assert (ppo.gamma, type(ppo.gamma)) == (1.0, float)


def test_null_fractions_are_none(path: Path) -> None:
    path.write_text(COMPLETE.replace("test_fraction: 0.2", "test_fraction: null"), encoding="utf-8")
    assert params.load(params.Prepare, path).test_fraction is None


def test_a_section_is_frozen(path: Path) -> None:
    section = params.load(params.Evaluate, path)
    with pytest.raises(FrozenInstanceError):
        section.resamples = 1  # type: ignore[misc]
