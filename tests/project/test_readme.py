"""The README's numbers are those of metrics/, and so are those of the seeds."""

import pandas as pd
import pytest
from imports import ROOT

from benchmarks import cost
from detox import parsing
from detox.params import profiles
from docs import readme
from stages import seeds


def test_the_results_in_the_readme_are_what_the_command_writes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = readme.MARKED.search(text)

    assert found is not None
    assert found[0] == readme.results(ROOT / "metrics"), "run 'make readme'"
    assert all(len(line) <= 120 for line in found[0].splitlines())


def test_what_a_full_run_costs_is_what_the_command_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = readme.COST.search((ROOT / "README.md").read_text(encoding="utf-8"))

    assert found is not None
    assert found[0] == cost.read(), "run 'make readme'"
    assert all(len(line) <= 120 for line in found[0].splitlines())


def test_the_seeds_are_those_of_this_pipeline() -> None:
    """The pipeline's own seed is one of them, and gives what the pipeline has given, but for rounding.

    Another processor rounds otherwise, which training amplifies: the same commit gave −66.8 % on an AMD EPYC and
    −68.1 % on an Intel Xeon. So each change has to lie in the other's interval.
    """
    rows = pd.read_csv(ROOT / "metrics" / "seeds.csv").set_index("seed")
    change = parsing.read_metrics(ROOT / "metrics" / "evaluate.json")["all"]["change"]
    own = rows.loc[profiles.read(ROOT / "params.yaml")["seed"]]

    for name, kind in (("judge", "relative"), ("reward", "relative"), ("rougeL", "absolute"), ("slots", "absolute")):
        assert own[f"{name}_low"] <= change[name][kind] <= own[f"{name}_high"], "run 'make seeds'"
        assert change[name]["low"] <= own[name] <= change[name]["high"], "run 'make seeds'"


def test_the_worst_seed_is_the_least_fall_of_toxicity_and_the_largest_loss_of_quality() -> None:
    changes = {"judge": [-0.75, -0.5], "judge_low": [-0.8, -0.6], "judge_high": [-0.7, -0.4]}
    changes |= {"rougeL": [0.25, -0.25], "rougeL_low": [0.125, -0.5], "rougeL_high": [0.5, 0.0]}

    spread = seeds.spread(pd.DataFrame({"seed": [1, 2], **changes}))

    assert spread["judge"] == {"mean": -0.625, "sd": pytest.approx(0.25 / 2**0.5), "worst": -0.5, "bound": -0.4}
    assert spread["rougeL"] == {"mean": 0.0, "sd": pytest.approx(0.5 / 2**0.5), "worst": -0.25, "bound": -0.5}
    assert set(spread) == {"judge", "rougeL"}
