"""Paired cluster statistics: hand-computed values, closed forms, invariances."""

import numpy as np
import pytest

from detox.errors import InputError
from detox.evaluation import statistics
from detox.evaluation.statistics import (
    a_a_rejections,
    absolute_change,
    cluster_sums,
    holm,
    non_inferiority_p,
    relative_change,
    sign_flip_p,
    wilcoxon_p,
)

RESAMPLES = 999
SEED = 7
NOTHING = {"relative": 0.0, "absolute": 0.0, "low": 0.0, "high": 0.0, "mde": 0.0, "p": 1.0, "p_wilcoxon": 1.0}

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

    assert relative == NOTHING
    assert absolute_change(GROUPS, BEFORE, BEFORE, RESAMPLES, SEED) == {
        "absolute": 0.0,
        "low": 0.0,
        "high": 0.0,
        "mde": 0.0,
    }


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

    assert change == NOTHING


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


def test_the_minimum_detectable_effect_is_2_8_standard_errors() -> None:
    # Differences 0 and 1, half of each: the standard error of their mean is 0.5 / √400 = 0.025.
    change = absolute_change(
        [str(index) for index in range(400)], np.zeros(400), np.array([0.0, 1.0] * 200), 9999, SEED
    )

    assert change["mde"] == pytest.approx((1.96 + 0.8416) * 0.025, rel=0.03)


def test_an_effect_as_large_as_the_minimum_detectable_one_is_found_four_times_in_five() -> None:
    rng, found = np.random.default_rng(3), 0
    groups = [str(index) for index in range(60)]
    for _ in range(200):
        # Standard deviation 1, so a standard error of 1/√60 and a minimum detectable effect of 2.8/√60.
        differences = rng.normal(2.8016 / np.sqrt(60), 1.0, 60)
        found += sign_flip_p(cluster_sums(groups, differences), 499, SEED) < 0.05

    # Binomial(200, 0.8): 160 ± 3 · 5.7.
    assert 143 <= found <= 177


def test_the_interval_covers_a_planted_effect_as_often_as_it_says() -> None:
    """Clusters of unequal size whose toxicity falls by 30 % in the population, noise and scenario effects added."""
    rng, covered, simulations = np.random.default_rng(11), 0, 300
    sizes = np.tile([1, 2, 3], 20)
    groups = np.repeat([f"{cluster:02}" for cluster in range(60)], sizes)
    for simulation in range(simulations):
        level = np.repeat(rng.gamma(4.0, 0.1, 60), sizes)
        fall = np.repeat(rng.normal(0.7, 0.2, 60), sizes)
        before = level * rng.uniform(0.5, 1.5, len(groups))
        after = level * fall * rng.uniform(0.5, 1.5, len(groups))
        change = relative_change(groups.tolist(), before, after, 399, simulation)
        covered += change["low"] <= -0.3 <= change["high"]

    # Binomial(300, 0.95): 285 ± 3 · 3.8, and a bootstrap of 60 clusters is known to cover a little too rarely.
    assert 270 <= covered <= 296


def test_comparing_a_policy_with_itself_is_significant_at_5_percent_about_5_times_in_100() -> None:
    rng = np.random.default_rng(5)
    scenario = np.repeat(rng.beta(0.5, 1.5, 40), 3)
    samples = rng.binomial(1, np.tile(scenario[:, None], 16)).astype(float)
    groups = [f"{index // 3:02}" for index in range(120)]

    # Binomial(200, 0.05): 3 to 18 in 99 of 100 cases.
    assert 3 <= a_a_rejections(groups, samples, 200, 499, SEED) <= 18


def test_a_test_that_ignores_the_scenarios_would_fail_that_check() -> None:
    # All samples of a scenario move together, so 120 dialogues are no more than 10 observations.
    rng = np.random.default_rng(6)
    scenarios = [f"{index // 12:02}" for index in range(120)]
    rejected = {"scenarios": 0, "dialogues": 0}
    for split in range(200):
        differences = np.repeat(rng.normal(size=10), 12)
        rejected["scenarios"] += sign_flip_p(cluster_sums(scenarios, differences), 499, split) < 0.05
        rejected["dialogues"] += sign_flip_p(differences, 499, split) < 0.05

    assert rejected["scenarios"] <= 18
    assert rejected["dialogues"] > 60


def test_wilcoxon_ranks_the_zeros_and_leaves_them_out() -> None:
    # Of the 2⁵ signings of five differences two have all alike.
    assert wilcoxon_p(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(2 / 2**5)
    # With three zeros the others have ranks 4 to 8, the negative ones 4 + 5 = 9: {}, 4, 5, 6, 7, 8 and {4, 5} of the
    # 2⁵ subsets reach no more. Without the zeros' ranks it would be 1 + 2 = 3, and {}, 1, 2, 3, {1, 2}.
    assert wilcoxon_p(np.array([0.0, 0.0, 0.0, -1.0, -2.0, 3.0, 4.0, 5.0])) == pytest.approx(2 * 7 / 32)
    assert wilcoxon_p(np.zeros(5)) == 1.0


def test_holm_multiplies_the_smallest_by_the_size_of_the_family_and_never_lets_a_larger_p_become_smaller() -> None:
    # Sorted: 0.01 · 4, 0.013 · 3 = 0.039 (raised to 0.04), 0.03 · 2, 0.7 · 1.
    adjusted = holm({"a": 0.03, "b": 0.01, "c": 0.7, "d": 0.013})

    assert adjusted == pytest.approx({"a": 0.06, "b": 0.04, "c": 0.7, "d": 0.04})
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(("margin", "p"), [(0.5, 1 / 2**3), (0.25, 2 / 2**3)])
def test_non_inferiority_counts_the_signings_of_the_differences_moved_up_by_the_margin(margin: float, p: float) -> None:
    # Moved by 0.5: 0.75, 0.5, 0.25, all positive: one signing of 8. By 0.25: 0.5, 0.25, 0, of which either sign of 0
    # reaches the sum.
    after = np.array([0.25, 0.0, -0.25])

    assert non_inferiority_p(["a", "b", "c"], np.zeros(3), after, margin, RESAMPLES, SEED) == p


def test_a_loss_as_large_as_the_margin_is_not_non_inferior() -> None:
    groups = [str(index) for index in range(10)]

    assert non_inferiority_p(groups, np.full(10, 0.5), np.full(10, 0.25), 0.25, RESAMPLES, SEED) == 1.0


def test_what_a_test_can_find_is_said_before_hours_are_spent() -> None:
    """Of five differences no p is below 1/16, of six 1/32; 2.80 standard errors, of a hundred 0.28 of a deviation."""
    assert "5 of 300 dialogues, those with a toxic turn: too few for any test" in statistics.foreseen(5, 300)
    assert statistics.foreseen(6, 300).endswith("one of 1.14 standard deviations is found four times in five")
    assert statistics.foreseen(100, 300).endswith("one of 0.28 standard deviations is found four times in five")
    assert "0 of 300" in statistics.foreseen(0, 300)
