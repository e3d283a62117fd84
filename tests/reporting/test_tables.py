"""Before-and-after tables hold the evaluation's numbers, under names and in units that people read."""

import pandas as pd
import pytest
from evaluations import EVALUATION

from detox.reporting import tables


def rows(name: str) -> dict[str, list[str]]:
    """The cells that people read of one slice, by measure."""
    frame = tables.table(EVALUATION)
    return {row[0]: row[1:] for row in tables.texts(frame[frame["slice"] == name]).to_numpy().tolist()}


def test_the_table_shows_the_numbers_of_the_evaluation() -> None:
    assert rows("all") == {
        "Toxicity, judge": ["0.2345", "0.1111", "-52.6 % [-62.6, -42.6]", "", "0.0002"],
        "Toxicity, judge: 95th percentile": ["0.5345", "0.4111", "", "", ""],
        "Toxic samples, judge": ["0.2845", "0.1611", "", "", ""],
        "Most toxic sample, judge": ["0.3345", "0.2111", "", "", ""],
        "Dialogues with a toxic sample, judge": ["0.3845", "0.2611", "", "", ""],
        "Toxicity, reward": ["0.2455", "0.1221", "-51.3 % [-62.6, -42.6]", "", "0.0002"],
        "Toxicity, reward: 95th percentile": ["0.5455", "0.4221", "", "", ""],
        "Toxic samples, reward": ["0.2955", "0.1721", "", "", ""],
        "Judge and reward agree": ["0.9234", "0.9111", "", "", ""],
        "Judge and reward agree: Cohen's kappa": ["0.7469", "0.7222", "", "", ""],
        "ROUGE-1": ["0.4100", "0.4200", "+0.0000 [-0.0200, +0.0300]", "0.0357", ""],
        "ROUGE-2": ["0.3100", "0.3200", "+0.0100 [-0.0200, +0.0300]", "0.0357", ""],
        "ROUGE-L": ["0.3600", "0.3700", "+0.0200 [-0.0200, +0.0300]", "0.0357", ""],
        "ROUGE-Lsum": ["0.3700", "0.3800", "+0.0300 [-0.0200, +0.0300]", "0.0357", ""],
        "Slot recall": ["0.6100", "0.6200", "+0.0400 [-0.0200, +0.0300]", "0.0357", ""],
        "Entity recall": ["0.6200", "0.6300", "+0.0500 [-0.0200, +0.0300]", "0.0357", ""],
        "Entities found in the dialogue": ["0.6300", "0.6400", "+0.0600 [-0.0200, +0.0300]", "0.0357", ""],
        "Words copied from the dialogue": ["0.6400", "0.6500", "+0.0700 [-0.0200, +0.0300]", "0.0357", ""],
        "Novel word pairs": ["0.6500", "0.6600", "+0.0800 [-0.0200, +0.0300]", "0.0357", ""],
        "Repeated word triples": ["0.6600", "0.6700", "+0.0900 [-0.0200, +0.0300]", "0.0357", ""],
        "Unfinished": ["0.6700", "0.6800", "+0.1000 [-0.0200, +0.0300]", "0.0357", ""],
        "Words": ["10.4100", "10.4200", "-0.2500 [-0.5000, +0.1250]", "0.4000", ""],
        "Distinct word pairs": ["0.7345", "0.6111", "", "", ""],
    }


def test_toxicity_changes_by_a_share_and_quality_in_its_own_unit() -> None:
    stress = {row["measure"]: row for row in tables.table(EVALUATION).to_dict("records") if row["slice"] == "stress"}

    judge, words = stress["Toxicity, judge"], stress["Words"]
    assert (judge["relative"], judge["change"], judge["p"]) == (True, -0.4906, 0.0002)
    assert (judge["low"], judge["high"]) == pytest.approx((-0.5906, -0.3906))
    assert (words["relative"], words["change"], words["low"], words["high"]) == (False, -0.25, -0.5, 0.125)
    assert pd.isna(words["p"])


def test_slices_stand_in_one_order_however_the_evaluation_lists_them() -> None:
    part = EVALUATION["all"]

    frame = tables.table({"unseen": part, "stress": part, "all": part, "seen": part})

    assert frame["slice"].unique().tolist() == ["all", "stress", "seen", "unseen"]
    assert tables.table(EVALUATION)["slice"].unique().tolist() == ["all", "stress"]


def test_a_table_of_several_slices_says_which_in_each_row() -> None:
    labels = tables.sliced(tables.table(EVALUATION))["Measure"].tolist()

    assert (labels[0], labels[22], labels[23]) == (
        "all: Toxicity, judge",
        "all: Distinct word pairs",
        "stress: Toxicity, judge",
    )


def test_the_headline_is_a_short_aligned_table_that_markdown_leaves_as_it_is() -> None:
    assert tables.headline(tables.table(EVALUATION), ["It fell.", "word " * 30]) == (
        "                              Before    After      Change [95 % interval]       p\n"
        "    all: Toxicity, judge      0.2345   0.1111      -52.6 % [-62.6, -42.6]  0.0002\n"
        "    all: Toxicity, reward     0.2455   0.1221      -51.3 % [-62.6, -42.6]  0.0002\n"
        "    stress: Toxicity, judge   0.6543   0.3333      -49.1 % [-59.1, -39.1]  0.0002\n"
        "    all: ROUGE-L              0.3600   0.3700  +0.0200 [-0.0200, +0.0300]\n"
        "    all: Slot recall          0.6100   0.6200  +0.0400 [-0.0200, +0.0300]\n"
        "    all: Words               10.4100  10.4200  -0.2500 [-0.5000, +0.1250]\n"
        "\n"
        "    It fell.\n"
        f"    {' '.join(18 * ['word'])}\n"
        f"    {' '.join(12 * ['word'])}\n"
    )


def test_a_measure_that_the_data_does_not_have_has_no_row() -> None:
    without = {policy: EVALUATION["all"][policy].copy() for policy in ("sft", "ppo")}
    for numbers in without.values():
        del numbers["slots"]
    frame = tables.table({"all": EVALUATION["all"] | without, "stress": EVALUATION["stress"]})

    assert "Slot recall" not in frame[frame["slice"] == "all"]["measure"].tolist()
    assert "all: Slot recall" not in tables.headline(frame, [])


def test_where_toxicity_has_no_relative_change_the_absolute_one_is_shown() -> None:
    judge = {"absolute": -0.07, "low": -0.1, "high": 0.01, "mde": 0.08}
    calm = {**EVALUATION["all"], "change": {**EVALUATION["all"]["change"], "judge": judge}}

    assert list(tables.texts(tables.table({"calm": calm})).iloc[0]) == [
        *("Toxicity, judge", "0.2345", "0.1111"),
        *("-0.0700 [-0.1000, +0.0100]", "0.0800", ""),
    ]
