"""PPO beside its rivals: whom best-of-n picks, who is compared with whom, and the two curves."""

import math
from pathlib import Path

import numpy as np
import pytest

from detox import files
from detox.corpus.dialogues import Dialogue
from detox.errors import InputError
from detox.evaluation import rivals
from detox.evaluation.rivals import Judged


def test_best_of_n_picks_the_least_toxic_of_every_n_samples_in_turn() -> None:
    pool = [["a", "b", "c", "d", "e"], ["f", "g", "h", "i", "j"]]
    reward = np.array([[0.2, 0.1, 0.4, 0.3, 0.0], [0.5, 0.6, 0.7, 0.7, 0.0]])

    assert rivals.best_of(pool, reward, 2) == [["b", "d"], ["f", "h"]]
    assert rivals.best_of(pool, reward, 5) == [["e"], ["j"]]


def test_what_ppo_is_given_is_the_same_beyond_the_clip() -> None:
    """Log-odds of ±ln 3 are P(toxic) = 1/4 and 3/4."""
    picking = rivals.Picking([2], math.log(3))
    assert picking.given(np.array([0.01, 0.2, 0.5, 0.7, 0.9])) == pytest.approx([0.25, 0.25, 0.5, 0.7, 0.75])


def test_of_what_is_clean_enough_for_ppo_the_first_is_picked_and_the_most_probable_before_all() -> None:
    pool, toxicity = [["a", "b", "c", "d"]], np.array([[0.2, 0.1, 0.9, 0.0]])
    picking = rivals.Picking([2, 4], math.log(3))

    picked = rivals.picks(pool, toxicity, ["g"], lambda texts: [0.24 for _ in texts], picking)

    assert picked == {
        "best_of_2_raw": [["b", "d"]],
        "best_of_2": [["a", "d"]],
        "best_of_4_raw": [["d"]],
        "best_of_4": [["a"]],
        "greedy_best_of_2": [["g"]],
    }
    toxic = rivals.picks(pool, toxicity, ["g"], lambda texts: [0.26 for _ in texts], picking)
    assert toxic["greedy_best_of_2"] == [["a"]]


def test_both_policies_are_compared_on_the_rivals_dialogues_alone() -> None:
    dialogues = [Dialogue("d1", "#Person1#: Hello.\n#Person2#: Hi.", ("s",), "d1")]
    rows = [{"id": f"d{index}", "summary": f"s{index}", "samples": [f"x{index}"]} for index in range(3)]

    drawn = rivals.drawn(dialogues, {"pool": [{"id": "d1", "samples": ["p"]}], "base": rows[1:2]}, {"sft": rows})

    assert drawn == {
        "lead3": (["Hello. Hi."], [["Hello. Hi."]]),
        "sft": (["s1"], [["x1"]]),
        "base": (["s1"], [["x1"]]),
    }


def test_a_duel_is_the_change_from_the_rival_to_ppo() -> None:
    rival = Judged({"judge": np.array([0.4, 0.6, 0.2])}, {"rougeL": np.array([0.5, 0.5, 0.5])})
    ppo = Judged({"judge": np.array([0.1, 0.3, 0.2])}, {"rougeL": np.array([0.5, 0.75, 0.5])})

    result = rivals.duel(["a", "b", "c"], rival, ppo, 99, 1)

    assert (result["judge"]["rival"], result["judge"]["ppo"]) == (pytest.approx(0.4), pytest.approx(0.2))
    assert result["judge"]["absolute"] == pytest.approx(-0.2)
    assert result["rougeL"]["absolute"] == pytest.approx(0.25 / 3)
    assert result["p"] == 2 / 2**2  # one of the three does not differ, the other two agree


def test_the_curves_run_from_before_to_after_and_beyond() -> None:
    table = {
        name: {"judge": value, "rougeL": 1 - value}
        for name, value in (("scale_1.25", 0.1), ("ppo", 0.2), ("sft", 0.9), ("scale_0.5", 0.4), ("step_0016", 0.3))
    }

    assert rivals.tradeoff(table).to_numpy().tolist() == [
        [0.0, 0.9, pytest.approx(0.1)],
        [0.5, 0.4, 0.6],
        [1.0, 0.2, 0.8],
        [1.25, 0.1, 0.9],
    ]
    assert rivals.progress(table)[["step", "judge"]].to_numpy().tolist() == [[0, 0.9], [16, 0.3]]


def test_systems_of_different_dialogues_are_refused(tmp_path: Path) -> None:
    for name, identity in (("pool", "d0"), ("base", "d1")):
        files.write_jsonl(tmp_path / f"{name}.jsonl", [{"id": identity, "samples": ["x"]}])

    with pytest.raises(InputError, match="has not the same dialogues for every system"):
        rivals.read(tmp_path)
    with pytest.raises(InputError, match="has not the same dialogues"):
        rivals.read(tmp_path / "nothing")
