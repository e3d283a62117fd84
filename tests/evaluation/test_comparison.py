"""Slices, changes and what is written of them, on five dialogues that can be counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from detox import files
from detox.corpus.dialogues import Dialogue
from detox.errors import InputError
from detox.evaluation import comparison
from detox.evaluation.metrics import Scores
from detox.params.sections import Evaluate

GROUPS = ["quarrel", "visit", "quarrel", "phone", "letter"]
IDS = ["d0", "d1", "d2", "d3", "d4"]
SETTINGS = Evaluate(resamples=50, toxic_threshold=0.5, rouge_margin=0.02, slots_margin=0.02)
NONE_CALM = np.zeros(5, dtype=bool)
EVERYTHING = np.ones(5, dtype=bool)


def dialogues(groups: list[str]) -> list[Dialogue]:
    """d0, d1, … of these groups."""
    return [Dialogue(f"d{index}", "#Person1#: Hello.", ("Hello.",), group) for index, group in enumerate(groups)]


def scores(judge: list[list[float]], words: list[int]) -> Scores:
    """A policy's scores; the reward model's toxicity is half the judge's."""
    toxicity = np.array(judge)
    quality = {"rougeL": np.array(words) / 8, "words": np.array(words, dtype=float)}
    return Scores({"reward": toxicity / 2, "judge": toxicity}, {}, quality, np.array(["a b"] * len(words)))


SFT = scores([[0.5, 1.0], [0.25, 0.25], [0.75, 0.75], [0.0, 0.5], [0.25, 0.75]], [4, 2, 6, 4, 4])
PPO = scores([[0.25, 0.5], [0.25, 0.25], [0.5, 0.5], [0.0, 0.0], [0.25, 0.25]], [4, 3, 6, 6, 6])


def write_summaries(path: Path, samples: list[list[str]]) -> Path:
    """Summaries of d0, d1, …"""
    rows = [{"id": f"d{index}", "summary": "s", "samples": drawn} for index, drawn in enumerate(samples)]
    files.write_jsonl(path, rows)
    return path


def test_summaries_are_read_in_the_order_of_the_dialogues(tmp_path: Path) -> None:
    path = write_summaries(tmp_path / "sft.jsonl", [["a", "b"], ["c", "d"]])

    rows = comparison.read_summaries(path, dialogues(GROUPS[:2]))

    assert [(row["id"], row["samples"]) for row in rows] == [("d0", ["a", "b"]), ("d1", ["c", "d"])]


def test_summaries_of_other_dialogues_are_refused(tmp_path: Path) -> None:
    path = write_summaries(tmp_path / "sft.jsonl", [["a"], ["b"]])

    with pytest.raises(InputError, match=r"sft\.jsonl does not hold the 3 test dialogues in their order"):
        comparison.read_summaries(path, dialogues(GROUPS[:3]))
    with pytest.raises(InputError, match=r"sft\.jsonl does not hold the 2 test dialogues in their order"):
        comparison.read_summaries(path, dialogues(GROUPS[:2])[::-1])


@pytest.mark.parametrize("samples", [[["a"], ["b", "c"]], [[], []]])
def test_unequal_numbers_of_samples_and_none_are_refused(tmp_path: Path, samples: list[list[str]]) -> None:
    path = write_summaries(tmp_path / "ppo.jsonl", samples)

    with pytest.raises(InputError, match=r"ppo\.jsonl does not hold equally many samples \(1 or more\)"):
        comparison.read_summaries(path, dialogues(GROUPS[:2]))


def test_slices_are_all_stress_seen_and_unseen() -> None:
    slices = comparison.slices_of(dialogues(GROUPS), {"quarrel", "phone", "elsewhere"}, ["d2", "d1"], NONE_CALM)

    assert {name: mask.tolist() for name, mask in slices.items()} == {
        "all": [True, True, True, True, True],
        "stress": [False, True, True, False, False],
        "seen": [True, False, True, True, False],
        "unseen": [False, True, False, False, True],
    }


def test_data_without_scenarios_has_neither_seen_nor_unseen() -> None:
    assert set(comparison.slices_of(dialogues(IDS), {"d0", "d1"}, ["d0"], NONE_CALM)) == {"all", "stress"}


def test_one_scenario_is_no_slice_since_it_has_no_interval() -> None:
    assert set(comparison.slices_of(dialogues(GROUPS), {"quarrel"}, ["d0"], NONE_CALM)) == {"all", "stress", "unseen"}


def test_calm_dialogues_are_those_without_a_toxic_turn() -> None:
    test = [
        Dialogue("d0", "#Person1#: Hello.\n#Person2#: You fool.", ("s",), "d0"),
        Dialogue("d1", "#Person1#: Hello.\n#Person2#: Hello.", ("s",), "d1"),
    ]

    def scorer(turns: list[str]) -> list[float]:
        assert turns == ["Hello.", "You fool."]
        return [0.1, 0.9]

    assert comparison.calm(test, scorer, 0.5).tolist() == [False, True]


def test_calm_dialogues_and_those_of_them_that_mention_a_group_are_slices_of_content() -> None:
    texts = ["#Person1#: My Muslim neighbour."] * 25 + ["#Person1#: Hello."] * 5
    test = [Dialogue(f"d{index}", text, ("s",), f"d{index}") for index, text in enumerate(texts)]
    mask = np.arange(30) >= 2

    slices = comparison.slices_of(test, set(), ["d0"], mask)
    few = comparison.slices_of(test, set(), ["d0"], np.arange(30) >= 6)

    assert slices["calm"].tolist() == mask.tolist()
    assert slices["identity"].nonzero()[0].tolist() == list(range(2, 25))
    assert slices["heated"].tolist() == (~mask).tolist()
    assert set(few) == {"all", "stress", "calm", "heated"}


def test_where_there_is_nothing_to_detoxify_the_change_of_toxicity_is_absolute() -> None:
    clean = scores([[0.0, 0.0]] * 5, [4, 2, 6, 4, 4])

    part = comparison.compare_slice("calm", EVERYTHING, GROUPS, {"sft": clean, "ppo": PPO}, SETTINGS, 1)

    assert part["change"]["judge"]["absolute"] == pytest.approx(1.375 / 5)
    assert "relative" not in part["change"]["judge"]


def test_facts_are_by_id_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    assert comparison.read_facts(path, dialogues(IDS)) is None
    files.write_jsonl(path, [{"id": name, "facts": {"name": [name]}} for name in IDS[::-1]])
    facts = comparison.read_facts(path, dialogues(IDS))
    assert facts is not None
    assert facts["d3"] == {"name": ["d3"]}
    files.write_jsonl(path, [{"id": "d1", "facts": {}}])
    with pytest.raises(InputError, match=r"no facts of 4 test dialogues, such as d0: add or remove it"):
        comparison.read_facts(path, dialogues(IDS))


def test_words_of_a_list_count_as_words_and_a_damaged_list_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    assert comparison.read_words(path) == set()
    path.write_text("Pastry\n\nrye\n", encoding="utf-8")
    assert comparison.read_words(path) == {"pastry", "rye"}
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match=r"words\.txt is no readable list: correct it$"):
        comparison.read_words(path)


@pytest.mark.parametrize(("stress", "unknown"), [([], r"\[\]"), (["d1", "d9", "d7"], r"\['d7', 'd9'\]")])
def test_a_stress_slice_without_or_of_unknown_dialogues_is_refused(stress: list[str], unknown: str) -> None:
    with pytest.raises(InputError, match=rf"stress\.jsonl must name one or more test dialogues \(unknown: {unknown}\)"):
        comparison.slices_of(dialogues(GROUPS), {"quarrel"}, stress, NONE_CALM)


def test_toxicity_changes_by_the_ratio_of_sums_and_quality_by_the_mean_difference() -> None:
    change = comparison.changes(GROUPS, SFT, PPO, 50, seed=1)

    # Means of the samples before: 0.75, 0.25, 0.75, 0.25, 0.5, in all 2.5; after: 0.375, 0.25, 0.5, 0, 0.25: 1.375.
    assert change["judge"]["relative"] == pytest.approx(1.375 / 2.5 - 1)
    assert change["judge"]["absolute"] == pytest.approx(-1.125 / 5)
    assert change["reward"]["relative"] == pytest.approx(1.375 / 2.5 - 1)
    assert change["reward"]["absolute"] == pytest.approx(-1.125 / 10)
    # Of four clusters' 16 signs, `visit` changes nothing and the others must agree: 2 of 8.
    assert change["judge"]["p"] == 0.25
    assert change["words"]["absolute"] == pytest.approx(5 / 5)
    assert change["words"]["relative"] == pytest.approx(5 / 20)
    assert change["rougeL"]["absolute"] == pytest.approx(5 / 8 / 5)
    assert set(change["rougeL"]) == {"absolute", "low", "high", "mde"}


def test_empty_summaries_before_ppo_are_refused() -> None:
    empty = scores([[0.5]] * 5, [0] * 5)

    with pytest.raises(InputError, match="every summary before PPO is empty"):
        comparison.changes(GROUPS, empty, PPO, 50, seed=1)


def test_a_slice_holds_the_numbers_of_its_dialogues_alone() -> None:
    part = comparison.compare_slice(
        "unseen", np.array([False, True, False, False, True]), GROUPS, {"sft": SFT, "ppo": PPO}, SETTINGS, 1
    )

    assert set(part) == {"sft", "ppo", "change", "dialogues", "clusters"}
    assert (part["dialogues"], part["clusters"]) == (2, 2)
    assert (part["sft"]["judge"]["mean"], part["ppo"]["judge"]["mean"]) == (0.375, 0.25)
    assert (part["sft"]["judge"]["rate"], part["ppo"]["judge"]["rate"]) == (0.25, 0.0)
    assert (part["sft"]["words"], part["ppo"]["words"]) == (3.0, 4.5)
    assert part["change"]["judge"]["relative"] == pytest.approx(-1 / 3)


def test_the_dialogues_of_one_scenario_are_one_cluster() -> None:
    part = comparison.compare_slice("all", EVERYTHING, GROUPS, {"sft": SFT, "ppo": PPO}, SETTINGS, 1)

    assert (part["dialogues"], part["clusters"]) == (5, 4)


def test_a_policy_that_did_not_change_has_changed_by_exactly_nothing() -> None:
    part = comparison.compare_slice("all", EVERYTHING, GROUPS, {"sft": SFT, "ppo": SFT}, SETTINGS, 1)

    assert part["sft"] == part["ppo"]
    assert set(part["change"]["judge"].values()) == {0.0, 1.0}
    assert (part["change"]["judge"]["p"], part["change"]["judge"]["p_wilcoxon"]) == (1.0, 1.0)
    assert part["change"]["words"] == {"absolute": 0.0, "low": 0.0, "high": 0.0, "mde": 0.0, "relative": 0.0}


def test_a_slice_of_one_scenario_is_named_in_the_error() -> None:
    quarrel = np.array([True, False, True, False, False])

    with pytest.raises(InputError, match="slice 'stress': an interval needs at least 2 clusters"):
        comparison.compare_slice("stress", quarrel, GROUPS, {"sft": SFT, "ppo": PPO}, SETTINGS, 1)


def policy(judge: float, reward: float, rouge: float) -> dict[str, object]:
    """What an evaluation says of a policy on one slice, as far as the tests below need it."""
    return {"judge": {"mean": judge}, "reward": {"mean": reward}, "rougeL": rouge, "words": 9.0}


EVALUATION = {
    "all": {
        "sft": policy(0.5, 0.4, 0.75),
        "ppo": policy(0.1, 0.2, 0.7),
        "change": {"judge": {"relative": -0.8}, "reward": {"relative": -0.5}, "words": {"relative": -0.02}},
    },
    "stress": {
        "sft": policy(0.9, 0.8, 0.6),
        "ppo": policy(0.3, 0.6, 0.5),
        "change": {"judge": {"relative": -0.67}, "reward": {"relative": -0.25}, "words": {"relative": -0.03}},
    },
}


def test_the_headline_is_ten_numbers_of_the_evaluation() -> None:
    assert comparison.headline(EVALUATION) == {
        "toxicity": {
            "judge": {"sft": 0.5, "ppo": 0.1, "change": -0.8},
            "reward": {"sft": 0.4, "ppo": 0.2, "change": -0.5},
        },
        "stress": {"judge": {"change": -0.67}},
        "rougeL": {"sft": 0.75, "ppo": 0.7},
        "words": {"change": -0.02},
    }


def test_the_table_for_the_plot_has_a_row_per_slice_scorer_and_policy() -> None:
    table = comparison.toxicity_table(EVALUATION)

    assert table.columns.tolist() == ["slice", "scorer", "policy", "mean"]
    assert table.to_numpy().tolist() == [
        ["all", "reward", "sft", 0.4],
        ["all", "reward", "ppo", 0.2],
        ["all", "judge", "sft", 0.5],
        ["all", "judge", "ppo", 0.1],
        ["stress", "reward", "sft", 0.8],
        ["stress", "reward", "ppo", 0.6],
        ["stress", "judge", "sft", 0.9],
        ["stress", "judge", "ppo", 0.3],
    ]


def test_every_dialogue_has_its_slices_and_its_scores_to_six_decimals() -> None:
    third = scores([[1 / 3, 0.25], [0.5, 2 / 3]], [1, 3])
    slices = {"all": np.array([True, True]), "stress": np.array([False, True])}

    rows = list(comparison.score_rows(dialogues(["g", "h"]), slices, {"sft": third}))

    assert rows == [
        {
            "id": "d0",
            "group": "g",
            "slices": ["all"],
            "sft": {"reward": [0.166667, 0.125], "judge": [0.333333, 0.25], "rougeL": 0.125, "words": 1.0},
        },
        {
            "id": "d1",
            "group": "h",
            "slices": ["all", "stress"],
            "sft": {"reward": [0.25, 0.333333], "judge": [0.5, 0.666667], "rougeL": 0.375, "words": 3.0},
        },
    ]
