"""Profiles fit params.yaml, leave its comments alone and come back; `make pin` writes into both."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from ruamel.yaml import YAML

from detox.errors import InputError
from detox.params import origins, profiles, reading, sections, training
from detox.sources import local, pins

NAMES = sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))
REPOSITORIES = json.loads((ROOT / "tests" / "layouts" / "repositories.json").read_text())


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's params.yaml and profiles, in a folder of the test's own."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text() -> str:
    return Path("params.yaml").read_text(encoding="utf-8")


def plain(path: str) -> dict[str, Any]:
    tree: dict[str, Any] = YAML(typ="safe").load(Path(path))
    return tree


def keys(tree: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Dotted names of every value."""
    inner = {key: keys(value, f"{prefix}{key}.") for key, value in tree.items() if isinstance(value, Mapping)}
    return {f"{prefix}{key}" for key in tree if key not in inner}.union(*inner.values())


def test_the_committed_params_are_the_miniature() -> None:
    before = text()
    profiles.apply("miniature")
    assert text() == before


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_sets_its_values_keeps_every_comment_and_comes_back_to_the_same_bytes(name: str) -> None:
    before = text()
    profiles.apply(name)
    after = text()
    assert [line.split("#")[1:] for line in after.splitlines()] == [line.split("#")[1:] for line in before.splitlines()]
    overlay, tree = plain(f"profiles/{name}.yaml"), plain("params.yaml")
    assert all(tree[section] | values == tree[section] for section, values in overlay.items() if section == "ppo")
    profiles.apply(name)
    assert text() == after
    profiles.apply("miniature")
    assert text() == before


def test_all_profiles_set_the_same_keys_so_that_none_is_left_over_from_another() -> None:
    assert NAMES == ["flan-t5-base", "lab", "miniature"]
    assert len({frozenset(keys(plain(f"profiles/{name}.yaml"))) for name in NAMES}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_stages_can_read_what_a_profile_writes(name: str) -> None:
    profiles.apply(name)
    for kind in (
        sections.Model,
        sections.Prepare,
        training.Adapter,
        training.Ppo,
        sections.Summarize,
        sections.Evaluate,
    ):
        reading.load(kind)
    for section in ("reward", "judge"):
        reading.load(sections.Classifier, section=section)
    assert list(origins.sources()) == ["model", "prepare", "adapter", "reward", "judge"]


@pytest.mark.parametrize("name", ["flan-t5-base", "lab"])
def test_every_value_of_a_profile_says_where_it_comes_from_but_for_what_is_null_or_a_place(name: str) -> None:
    bare = [
        line.split(":")[0].strip()
        for line in Path(f"profiles/{name}.yaml").read_text(encoding="utf-8").splitlines()
        if ": " in line and "#" not in line and not line.endswith(": null")
    ]
    assert set(bare) <= {
        "path",
        "origin",
        "alpha",
        "dropout",
        "targets",
        "patience",
        "batch_size",
        "snapshot_every",
        "stress_share",
        "stress_minimum",
    }


@pytest.mark.parametrize("name", ["flan-t5-base", "lab"])
def test_every_repository_is_pinned_to_the_commit_whose_files_are_known(name: str) -> None:
    profiles.apply(name)
    found = {section: (source.origin, source.revision) for section, source in origins.sources().items()}
    assert found == {section: (facts["origin"], facts["revision"]) for section, facts in REPOSITORIES.items()}


def test_the_lab_has_the_notebooks_settings() -> None:
    profiles.apply("lab")
    ppo, prepare = reading.load(training.Ppo), reading.load(sections.Prepare)
    assert (ppo.steps, ppo.batch_size, ppo.mini_batch_size, ppo.learning_rate) == (10, 16, 4, 0.0000141)
    assert (ppo.kl_coef, ppo.calm_kl, ppo.risky_share, ppo.max_new_tokens) == (0.2, 1, None, 400)
    assert (prepare.min_characters, prepare.max_characters, prepare.test_fraction) == (200, 1000, 0.2)


def test_an_unknown_profile_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no profile 'flan': choose one of flan-t5-base, lab, miniature, as in `make"):
        profiles.apply("flan")


def test_the_command_says_what_it_did_and_what_comes_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["profiles", "lab"])
    profiles.main()
    assert capsys.readouterr().out == (
        "params.yaml has the settings of profile lab: `make check` says what a run takes, "
        "and docs/flan-t5.md the licences\n"
    )
    monkeypatch.setattr("sys.argv", ["profiles"])
    with pytest.raises(SystemExit) as stop:
        profiles.main()
    assert stop.value.code == (
        "error: no profile is named: choose one of flan-t5-base, lab, miniature, as in `make profile P=miniature`"
    )


@pytest.mark.parametrize(
    ("overlay", "where"),
    [
        ("pop: {steps: 1}", "profiles/mine.yaml: pop is not"),
        ("ppo: {stesp: 1}", "profiles/mine.yaml: ppo: stesp is not"),
        ("ppo: 1", "profiles/mine.yaml: ppo is not of the kind that it is in params.yaml: correct one of them"),
        ("seed: {a: 1}", "profiles/mine.yaml: seed is not of the kind that it is in params.yaml: correct one of them"),
        ("rivals: {scales: 1}", "profiles/mine.yaml: rivals: scales is not of the kind that it is in params.yaml"),
        ("seed: 1\nseed: 2", "profiles/mine.yaml, line 2: not valid YAML: found duplicate key"),
        ("seed: [1", "profiles/mine.yaml, line 1: not valid YAML: "),
        ("- seed", "profiles/mine.yaml must hold 'section: …' entries"),
    ],
)
def test_a_misspelt_key_of_a_profile_is_an_error_and_changes_nothing(overlay: str, where: str) -> None:
    before = text()
    Path("profiles/mine.yaml").write_text(overlay)
    with pytest.raises(InputError) as error:
        profiles.apply("mine")
    assert str(error.value).startswith(where)
    assert text() == before


def test_the_sources_of_the_committed_params_are_what_their_pins_say(monkeypatch: pytest.MonkeyPatch) -> None:
    found = origins.sources()
    monkeypatch.chdir(ROOT)
    for source in found.values():
        assert local.path(source) == Path(source.path)


def own_corpus() -> None:
    """A params.yaml whose every source is one file, not pinned yet."""
    Path("mine.jsonl").write_bytes(b"abc")
    tree = profiles.read(Path("params.yaml"))
    for section in origins.SOURCES:
        tree[section]["source"] |= {"path": "mine.jsonl", "sha256": None}
    profiles.write(Path("params.yaml"), tree)


def test_files_of_ones_own_are_pinned_to_what_they_are_now() -> None:
    own_corpus()
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert pins.pin() == dict.fromkeys(origins.SOURCES, ("sha256", abc))
    assert pins.pin() == {}
    assert plain("params.yaml")["prepare"]["source"]["sha256"] == abc
    Path("mine.jsonl").write_bytes(b"abcd")
    assert len(pins.pin()) == len(origins.SOURCES)


def test_a_pin_is_written_into_the_profile_that_has_the_same_source_and_into_no_other() -> None:
    others = {name: Path(f"profiles/{name}.yaml").read_bytes() for name in NAMES}
    own_corpus()
    shutil.copy("params.yaml", "profiles/mine.yaml")
    pins.pin()
    assert plain("profiles/mine.yaml") == plain("params.yaml")
    assert {name: Path(f"profiles/{name}.yaml").read_bytes() for name in NAMES} == others


def test_nothing_is_written_if_one_source_can_not_be_pinned() -> None:
    own_corpus()
    tree = profiles.read(Path("params.yaml"))
    tree["judge"]["source"]["path"] = "nowhere"
    profiles.write(Path("params.yaml"), tree)
    before = text()
    with pytest.raises(InputError, match=r"^nowhere does not exist: check the source's path in params.yaml$"):
        pins.pin()
    assert text() == before
