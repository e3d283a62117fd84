"""params.yaml is read strictly: every mistake is one line that names the file, the key and the remedy."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from detox import params
from detox.errors import InputError

COMPLETE = """\
seed: 7
model: {source: {path: models/base}, max_prompt_tokens: 512}
prepare:
  source: {path: data/source}
  min_characters: 200
  max_characters: 1000
  test_fraction: 0.2
  dev_fraction: 0
adapter: {source: {path: models/start}}
reward: {source: {path: models/reward}, toxic_label: hate, batch_size: 64}
judge: {source: {path: models/judge}, toxic_label: toxic, batch_size: 32}
ppo:
  steps: 10
  batch_size: 16
  mini_batch_size: 4
  micro_batch_size: 2
  samples_per_prompt: 2
  epochs: 2
  learning_rate: 1.41e-5
  value_learning_rate: 3e-06
  gamma: 1
  lam: 0.95
  clip_range: 0.2
  value_clip_range: 0.2
  value_coef: 0.1
  kl_coef: 0.2
  kl_target: 6
  kl_horizon: 10000
  kl_limit: 60
  score_clip: 10
  missing_eos_penalty: 0
  max_grad_norm: 1
  max_new_tokens: 400
  snapshot_every: 5
  checkpoint_every: 1
  scale: 1
summarize:
  samples: 4
  stress_samples: 8
  stress_share: 0.1
  stress_minimum: 30
  batch_size: 64
  max_new_tokens: 60
  checkpoint_every: 10
rivals: {dialogues: 50, pool: 16, scales: [0.5, 1.25], bad_words: data/words.txt}
evaluate: {resamples: 9999, toxic_threshold: 0.5, best_of: 4, rouge_margin: 0.02, slots_margin: 0.02}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(COMPLETE, encoding="utf-8")
    return path


def test_each_section_becomes_its_dataclass(path: Path) -> None:
    assert params.seed(path) == 7
    assert params.load(params.Model, path) == params.Model(params.Source("models/base"), 512)
    assert params.load(params.Prepare, path) == params.Prepare(params.Source("data/source"), 200, 1000, 0.2, 0.0)
    assert params.load(params.Adapter, path) == params.Adapter(params.Source("models/start"))
    assert params.load(params.Summarize, path) == params.Summarize(4, 8, 0.1, 30, 64, 60, 10)
    assert params.load(params.Rivals, path) == params.Rivals(50, 16, [0.5, 1.25], "data/words.txt")
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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps: 10", "stesp: 10", "ppo.steps is missing: add it; {path}: ppo.stesp is not a known key: remove it"),
        ("lam: 0.95", "", "ppo.lam is missing: add it"),
        ("lam: 0.95", "lam: 0.95\n  lamda: 1", "ppo.lamda is not a known key: remove it or correct its spelling"),
        ("epochs: 2", "epochs: true", "ppo.epochs is True, but must be a valid integer"),
        ("epochs: 2", "epochs: 2.5", "ppo.epochs is 2.5, but must be a valid integer"),
        ("epochs: 2", "epochs: 0", "ppo.epochs is 0, but must be greater than or equal to 1"),
        ("3e-06", "'3e-06'", "ppo.value_learning_rate is '3e-06', but must be a valid number: write 3.0e-6"),
        ("gamma: 1", "gamma: true", "ppo.gamma is True, but must be a valid number"),
        ("gamma: 1", "gamma: 1.5", "ppo.gamma is 1.5, but must be less than or equal to 1"),
        ("kl_target: 6", "kl_target: .nan", "ppo.kl_target is nan, but must be a finite number"),
        ("kl_target: 6", "kl_target:", "ppo.kl_target is None, but must be a valid number"),
        (
            "samples_per_prompt: 2",
            "samples_per_prompt: 3",
            "ppo: micro_batch_size must be a multiple of samples_per_prompt",
        ),
        ("  batch_size: 16", "  batch_size: 1", "ppo: batch_size must be 2 or more"),
        ("mini_batch_size: 4", "mini_batch_size: 5", "ppo: batch_size must be a multiple of mini_batch_size"),
        ("micro_batch_size: 2", "micro_batch_size: 3", "ppo: mini_batch_size must be a multiple of micro_batch_size"),
        ("ppo:", "pop:", "'ppo' is missing: add it (the file has seed, model, prepare, adapter, reward, judge, pop,"),
        ("batch_size: 16", "batch_size: 16\n  batch_size: 8", ""),
    ],
)
def test_a_mistake_in_a_section_is_one_line_that_names_file_key_and_remedy(
    path: Path, old: str, new: str, message: str
) -> None:
    path.write_text(COMPLETE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as error:
        params.load(params.Ppo, path)
    assert str(error.value).startswith(f"{path}")
    assert message.format(path=path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{path: data/source}", "data/source", "prepare.source must be a mapping of its own keys"),
        ("{path: data/source}", "{path: 3}", "prepare.source.path is 3, but must be a valid string"),
        ("{path: data/source}", "{path: ''}", "prepare.source.path is '', but"),
        ("{path: data/source}", "{url: x}", "prepare.source.path is missing: add it"),
        ("min_characters: 200", "min_characters: 1000", "prepare: min_characters must be below max_characters"),
        ("test_fraction: 0.2", "test_fraction: 0", "prepare.test_fraction is 0, but must be greater than 0"),
        ("test_fraction: 0.2", "test_fraction: 1.0", "prepare.test_fraction is 1.0, but must be less than 1"),
        ("dev_fraction: 0", "dev_fraction: 0.8", "prepare: test_fraction and dev_fraction together must leave rows"),
    ],
)
def test_a_mistake_in_a_source_or_a_split_is_named(path: Path, old: str, new: str, message: str) -> None:
    path.write_text(COMPLETE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as error:
        params.load(params.Prepare, path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: true", "seed is True, but must be a valid integer"),
        ("seed: -1", "seed is -1, but must be greater than or equal to 0"),
        ("seed: '7'", "seed is '7', but must be a valid integer"),
        ("a: 1", "'seed' is missing: add it (the file has a)"),
        ("", "must hold 'section: …' entries"),
        ("- seed", "must hold 'section: …' entries"),
        ("a: 1\nseed: [7", "line 2: not valid YAML:"),
        ("seed: 7\nseed: 8", "line 2: not valid YAML: found duplicate key"),
    ],
)
def test_a_mistake_in_the_seed_or_the_file_is_named(path: Path, text: str, message: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        params.seed(path)
    assert str(error.value).startswith(f"{path}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_prompt_must_have_room_for_more_than_the_instruction_and_the_cue(path: Path) -> None:
    path.write_text(COMPLETE.replace("max_prompt_tokens: 512", "max_prompt_tokens: 8"), encoding="utf-8")
    with pytest.raises(InputError, match=r"model.max_prompt_tokens is 8, but must be greater than or equal to 16"):
        params.load(params.Model, path)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read .No such file or directory.: run this in the project's root"):
        params.seed(tmp_path / "params.yaml")


def test_a_file_that_is_not_utf8_is_an_input_error(path: Path) -> None:
    path.write_bytes(b"seed: \xff")
    with pytest.raises(InputError, match=r"not valid YAML"):
        params.seed(path)
