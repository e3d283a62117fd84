"""The numbers of README and docs are those of metrics/, and so are those of the seeds."""

from pathlib import Path

import pandas as pd
import pytest
from imports import ROOT

from detox import parsing
from detox.params import profiles
from docs import readme


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/flan-t5.md"])
def test_what_a_command_writes_is_what_it_would_write_now(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = Path(page).read_text(encoding="utf-8")
    assert readme.MARKED.search(text)
    assert readme.filled(text, Path(page)) == text, "run 'make readme'"


def test_every_part_stands_on_a_page_and_no_other_name_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    texts = [page.read_text(encoding="utf-8") for page in readme.pages()]
    assert {match["name"] for text in texts for match in readme.MARKED.finditer(text)} == set(readme.PARTS)


def test_the_seeds_are_those_of_this_pipeline() -> None:
    """The pipeline's own seed is one of them, and gives what the pipeline has given, but for rounding.

    Another processor rounds otherwise, which training amplifies: the same commit gave −66.8 % on an AMD EPYC and
    −68.1 % on an Intel Xeon. So each change has to lie in the other's interval.
    """
    rows = pd.read_csv(ROOT / "metrics" / "seeds.csv").set_index("seed")
    change = parsing.read_metrics(ROOT / "metrics" / "evaluate.json")["all"]["change"]
    own = rows.loc[profiles.read(ROOT / "params.yaml")["seed"]]

    kinds = {"judge": "relative", "judge_greedy": "relative", "rougeL": "absolute", "slots_samples": "absolute"}
    for name, kind in kinds.items():
        assert own[f"{name}_low"] <= change[name][kind] <= own[f"{name}_high"], "run 'make seeds'"
        assert change[name]["low"] <= own[name] <= change[name]["high"], "run 'make seeds'"
