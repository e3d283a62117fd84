"""dvc.yaml, params.yaml, .gitignore, README and the code say the same."""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from imports import CODE, ROOT, imports, name_of, packages
from ruamel.yaml import YAML

PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")
STAGES: dict[str, Any] = PIPELINE["stages"]

OUTSIDE = {"stages", "miniature", "benchmarks", "docs"}

every_stage = pytest.mark.parametrize("stage", STAGES)


def detox_modules(file: Path) -> set[Path]:
    """The modules of detox/ that the file imports itself."""
    names = {name for each in imports(file) for name in (each, each.rpartition(".")[0]) if name.startswith("detox.")}
    files = {ROOT / f"{name.replace('.', '/')}.py" for name in names}
    return {file for file in files if file.is_file()}


def closure(file: Path) -> set[Path]:
    """The modules of detox/ that the file imports, directly or through one another."""
    found: set[Path] = set()
    waiting = detox_modules(file)
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= detox_modules(module) - found
    return found


def code(stage: str) -> set[str]:
    """What a stage depends on in code: its script, modules of detox/ itself, and rooms; where it takes at most a third
    of a room's files, these.
    """
    modules = closure(ROOT / "stages" / f"{stage}.py")
    rooms = Counter(module.parent for module in modules)
    files = {room: len([file for file in room.glob("*.py") if file.stem != "__init__"]) for room in rooms}
    whole = {room for room, count in rooms.items() if 3 * count > files[room] and room != ROOT / "detox"}
    return {f"stages/{stage}.py"} | {name_of(module.parent if module.parent in whole else module) for module in modules}


def outs(stage: str) -> dict[str, bool]:
    """Every out of the stage, and whether DVC caches it (git holds the others)."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in STAGES[stage].get(kind, [])]
    return dict((entry, True) if isinstance(entry, str) else one_out(entry) for entry in entries)


def one_out(entry: dict[str, dict[str, bool]]) -> tuple[str, bool]:
    """Path and `cache` of an out that is written with options."""
    [(path, options)] = entry.items()
    return path, options.get("cache", True)


@every_stage
def test_a_stage_runs_the_script_of_its_name_and_lists_exactly_the_rooms_that_this_imports_from(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"exec python -m stages.{stage}"
    assert {path for path in STAGES[stage]["deps"] if path.startswith(("detox/", "stages/"))} == code(stage)


def test_every_script_of_stages_is_a_stage() -> None:
    """But seeds, which runs all of them several times, and plan, which says what is to be run."""
    assert {file.stem for file in (ROOT / "stages").glob("*.py")} - {"__init__", "plan", "seeds"} == set(STAGES)


def test_the_library_and_its_rooms_do_nothing_on_import() -> None:
    packages = [ROOT / "detox", *(folder for folder in (ROOT / "detox").iterdir() if any(folder.glob("*.py")))]
    for package in packages:
        body = ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body
        assert [type(statement) for statement in body] == [ast.Expr], f"{name_of(package)} is more than its docstring"


@every_stage
def test_a_stage_says_what_it_does_in_one_line_and_so_does_the_readme(stage: str) -> None:
    desc = STAGES[stage]["desc"]
    assert desc.endswith(".")
    assert len(desc) <= 64, "`dvc stage list` cuts it"
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if f"`{stage}`" in line]
    assert any(desc in row for row in rows), f"README's stage table lacks: {desc}"


def test_a_stage_reads_every_section_of_params_but_track_which_changes_no_result() -> None:
    sections = set(YAML(typ="safe").load(ROOT / "params.yaml"))
    read = {section.split(".")[0] for stage in STAGES.values() for section in stage.get("params", [])}
    assert read == sections - {"track"}
    assert not [stage for stage, entry in STAGES.items() if "params.yaml" in entry["deps"]]


@every_stage
def test_a_stage_names_the_params_section_of_every_source_that_it_depends_on(stage: str) -> None:
    sources = re.findall(r"\$\{(\w+)\.source\.path\}", " ".join(STAGES[stage]["deps"]))
    assert set(sources) <= set(STAGES[stage].get("params", []))


@every_stage
def test_what_dvc_caches_is_ignored_by_git_and_what_it_does_not_is_tracked(stage: str) -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {path: f"/{path}" in ignored for path in outs(stage)} == outs(stage)


def test_dvc_metrics_diff_shows_the_headline_alone() -> None:
    assert [entry for stage in STAGES.values() for entry in stage.get("metrics", [])] == [
        {"metrics/headline.json": {"cache": False}}
    ]


def test_every_plot_draws_a_file_that_a_stage_writes() -> None:
    drawn = {path for plot in PIPELINE["plots"] for options in plot.values() for path in options["y"]}
    assert drawn <= {path for stage in STAGES for path in outs(stage)}


def test_the_adapter_is_an_artifact_that_a_stage_writes() -> None:
    assert PIPELINE["artifacts"]["detoxified-adapter"]["path"] in outs("train_ppo")


def test_only_the_policy_imports_trl() -> None:
    assert [name_of(file) for file in CODE if "trl" in packages(file)] == ["detox/model/policy.py"]


def test_the_mathematics_of_ppo_knows_only_tensors() -> None:
    assert packages(ROOT / "detox" / "ppo" / "losses.py") == {"torch", "jaxtyping"}


def test_the_library_does_not_know_the_stages() -> None:
    assert not [name_of(file) for file in (ROOT / "detox").rglob("*.py") if packages(file) & OUTSIDE]
