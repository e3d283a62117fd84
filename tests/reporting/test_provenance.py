"""What a page says that it is about."""

import copy
from typing import Any

import pytest
from imports import ROOT

from detox.params import profiles
from detox.reporting import provenance

HUB = {"path": "downloads/model", "origin": "hf://google/flan-t5-base"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (HUB, "google/flan-t5-base"),
        ({"path": "downloads/prepare", "origin": "hf://datasets/knkarthick/dialogsum"}, "knkarthick/dialogsum"),
        ({"path": "downloads/x", "origin": "s3://bucket/folder"}, "s3://bucket/folder"),
        ({"path": "data/prepared", "origin": "train"}, "data/prepared"),
        ({"path": "models/base", "origin": None}, "models/base"),
        ({"path": "/home/someone/models/base", "origin": None}, "base"),
    ],
)
def test_a_source_is_named_without_anybodys_folders(source: dict[str, Any], name: str) -> None:
    assert provenance.name_of(source) == name


def test_the_committed_settings_are_the_miniature() -> None:
    params = profiles.read(ROOT / "params.yaml")
    known = {path.stem: profiles.read(path) for path in (ROOT / "profiles").glob("*.yaml")}
    assert provenance.profile_of(params, known) == "miniature"
    assert provenance.toy(params)
    assert list(provenance.described(params, "miniature")) == [
        "Base model",
        "Dialogues",
        "Reward",
        "Judge",
        "Profile",
        "Seed",
    ]


def test_a_profile_with_changes_is_named_with_them_and_one_of_many_changes_is_none() -> None:
    profile: dict[str, Any] = {"a": {"b": 1, "c": 2, "d": 3, "e": 4}, "compute": {"processes": 1}, "track": []}
    params: dict[str, Any] = {**copy.deepcopy(profile), "compute": {"processes": 8}, "track": ["wandb"]}
    assert provenance.digest(params) == provenance.digest(profile) != provenance.digest({"a": {"b": 1}})
    assert provenance.profile_of(params, {"mine": profile, "other": {"a": {"b": 5}}}) == "mine"
    params["a"]["c"] = 5
    assert provenance.profile_of(params, {"mine": profile}) == "mine, but for a.c"
    params["a"] = {"b": 0, "c": 0, "d": 0, "e": 0}
    assert provenance.profile_of(params, {"mine": profile}) == "settings of its own"
    assert provenance.profile_of(params, {}) == "settings of its own"


def test_what_comes_from_elsewhere_is_no_toy() -> None:
    assert not provenance.toy({"model": {"source": HUB}})
