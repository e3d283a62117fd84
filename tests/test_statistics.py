"""Paired cluster statistics: hand-computed values, closed forms, invariances."""

import numpy as np
import pytest

from detox.errors import InputError
from detox.statistics import absolute_change, cluster_sums, relative_change, sign_flip_p

RESAMPLES = 999
SEED = 7

# Sixteenths are exact in binary, so that sums do not depend on their order.
GROUPS = ["a", "a", "a", "b", "c", "c", "d", "e"]
BEFORE = np.array([8, 4, 4, 16, 2, 6, 12, 10]) / 16
AFTER = np.array([2, 4, 3, 7, 3, 1, 5, 10]) / 16


def planted(repeats: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """4 · repeats clusters of one dialogue: a fall of 30 % on the whole, of 20 % or 40 % in each."""
    before = np.array([1.0, 1.0, 2.0, 2.0] * repeats)
    after = before * np.array([0.8, 0.6, 0.8, 0.6] * repeats)
    return [f"{index:04}" for index in range(len(before))], before, after


def test_cluster_sums_are_in_the_order_of_the_names() -> None:
    assert cluster_sums(["b", "a", "b", "c"], np.array([1.0, 2.0, 4.0, 8.0])).tolist() == [2.0, 5.0, 8.0]


def test_relative_change_is_the_ratio_of_sums_with_unequal_clusters() -> None:
    # Sums 4 and 1: −75 %, though the clusters change by −100 % and 0 %, the dialogues by −33 % on average.
    change = relative_change(["a", "b", "b"], np.array([3.0, 0.5, 0.5]), np.array([0.0, 0.5, 0.5]), RESAMPLES, SEED)

    assert change["relative"] == pytest.approx(-0.75)
    assert change["absolute"] == pytest.approx(-1.0)


def test_absolute_change_is_the_mean_over_dialogues_with_unequal_clusters() -> None:
    change = absolute_change(["a", "b", "b"], np.zeros(3), np.array([3.0, 1.0, 2.0]), RESAMPLES, SEED)

    assert change["absolute"] == pytest.approx(2.0)


@pytest.mark.parametrize("repeats", [5, 20, 80])
def test_interval_contains_the_planted_effect(repeats: int) -> None:
    change = relative_change(*planted(repeats), RESAMPLES, SEED)

    assert change["relative"] == pytest.approx(-0.3)
    assert -0.4 < change["low"] < -0.3 < change["high"] < -0.2


def test_interval_halves_with_four_times_the_clusters() -> None:
    small, large = (relative_change(*planted(repeats), 9999, SEED) for repeats in (20, 80))

    assert (large["high"] - large["low"]) / (small["high"] - small["low"]) == pytest.approx(0.5, rel=0.05)


def test_interval_of_a_mean_is_the_normal_one_for_many_clusters() -> None:
    differences = np.array([0.0, 1.0] * 200)

    change = absolute_change([str(index) for index in range(400)], np.zeros(400), differences, 9999, SEED)

    half = 1.96 * 0.5 / np.sqrt(400)
    assert (change["low"], change["high"]) == pytest.approx((0.5 - half, 0.5 + half), abs=0.004)


def test_interval_is_wider_where_dialogues_of_a_cluster_move_together() -> None:
    before, after = np.ones(40), np.repeat([0.2, 0.8] * 5, 4)

    alone = relative_change([str(index) for index in range(40)], before, after, RESAMPLES, SEED)
    together = relative_change([str(index // 4) for index in range(40)], before, after, RESAMPLES, SEED)

    # Ten clusters of four equal dialogues hold the information of ten dialogues, not of forty: twice the width.
    ratio = (together["high"] - together["low"]) / (alone["high"] - alone["low"])
    assert ratio == pytest.approx(2.0, rel=0.15)


def test_repeating_every_dialogue_within_its_cluster_changes_nothing_but_its_count() -> None:
    once = relative_change(GROUPS, BEFORE, AFTER, RESAMPLES, SEED)
    twice = relative_change(GROUPS * 2, np.tile(BEFORE, 2), np.tile(AFTER, 2), RESAMPLES, SEED)

    assert twice == once


def test_identical_summaries_change_by_exactly_nothing() -> None:
    relative = relative_change(GROUPS, BEFORE, BEFORE, RESAMPLES, SEED)

    assert relative == {"relative": 0.0, "absolute": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    assert absolute_change(GROUPS, BEFORE, BEFORE, RESAMPLES, SEED) == {"absolute": 0.0, "low": 0.0, "high": 0.0}


def test_permuting_the_dialogues_changes_nothing() -> None:
    order = [5, 2, 7, 0, 3, 6, 1, 4]
    groups = [GROUPS[index] for index in order]

    permuted = relative_change(groups, BEFORE[order], AFTER[order], RESAMPLES, SEED)

    assert permuted == relative_change(GROUPS, BEFORE, AFTER, RESAMPLES, SEED)


def test_the_unit_of_the_score_does_not_matter_to_a_relative_change() -> None:
    doubled = relative_change(GROUPS, 2 * BEFORE, 2 * AFTER, RESAMPLES, SEED)
    single = relative_change(GROUPS, BEFORE, AFTER, RESAMPLES, SEED)

    assert doubled == single | {"absolute": 2 * single["absolute"]}


def test_exchanging_before_and_after_mirrors_the_absolute_change() -> None:
    there = absolute_change(GROUPS, BEFORE, AFTER, RESAMPLES, SEED)
    back = absolute_change(GROUPS, AFTER, BEFORE, RESAMPLES, SEED)

    assert (back["absolute"], back["low"], back["high"]) == pytest.approx(
        (-there["absolute"], -there["high"], -there["low"])
    )


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    first, again, other = (relative_change(*planted(5), RESAMPLES, seed) for seed in (1, 1, 2))

    assert first == again
    assert first["low"] != other["low"]


@pytest.mark.parametrize("clusters", [2, 5, 9])
def test_sign_flip_p_is_exact_for_clusters_of_one_sign(clusters: int) -> None:
    # Of the 2^k signs only "all alike" reach the observed sum, in two directions.
    assert sign_flip_p(np.arange(1.0, clusters + 1), RESAMPLES, SEED) == 2 / 2**clusters
    assert sign_flip_p(-np.arange(1.0, clusters + 1), RESAMPLES, SEED) == 2 / 2**clusters


def test_sign_flip_p_of_four_clusters_by_enumeration() -> None:
    # ±1 ±2 ±3 ±1 reaches 5 or more in 3 of 16 ways (7, and 5 with either 1 negative); twice that for two sides.
    assert sign_flip_p(np.array([1.0, 2.0, 3.0, -1.0]), RESAMPLES, SEED) == 6 / 16


def test_sign_flip_p_of_many_clusters_cannot_fall_below_what_the_resamples_resolve() -> None:
    assert sign_flip_p(np.ones(40), RESAMPLES, SEED) == 2 / (RESAMPLES + 1)


def test_clusters_without_change_leave_p_as_it_is() -> None:
    assert sign_flip_p(np.array([1.0, 2.0, 3.0, 0.0, 0.0]), RESAMPLES, SEED) == 2 / 2**3


def test_the_same_relative_change_everywhere_has_an_interval_of_one_value() -> None:
    change = relative_change(GROUPS, BEFORE, BEFORE * 0.75, RESAMPLES, SEED)

    assert (change["relative"], change["low"], change["high"]) == (-0.25, -0.25, -0.25)


def test_nothing_before_and_nothing_after_is_no_change() -> None:
    change = relative_change(["a", "b"], np.zeros(2), np.zeros(2), RESAMPLES, SEED)

    assert change == {"relative": 0.0, "absolute": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}


def test_nothing_before_but_something_after_has_no_relative_change() -> None:
    with pytest.raises(InputError, match="no relative change exists"):
        relative_change(["a", "b"], np.zeros(2), np.ones(2), RESAMPLES, SEED)


def test_one_cluster_has_no_interval() -> None:
    with pytest.raises(InputError, match="there is 1"):
        absolute_change(["a", "a"], np.zeros(2), np.ones(2), RESAMPLES, SEED)


def test_clusters_that_are_nearly_all_zero_have_no_interval() -> None:
    before, after = np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.25, 0.0])

    with pytest.raises(InputError, match="too few of them hold anything but 0"):
        relative_change(["a", "b", "c"], before, after, RESAMPLES, SEED)
