"""Paired before-and-after statistics over clusters of dialogues (scenarios where the data marks them).

Dialogues of one scenario resemble each other, so the cluster, not the dialogue, is what is resampled and flipped.
Every change is a ratio of sums, which stays right where clusters differ in size:

    relative = Σ(after − before) / Σ before        absolute = Σ(after − before) / number of dialogues
"""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from detox.errors import InputError

Array = NDArray[np.float64]

BATCH = 500  # resamples held in memory at a time; changes no number
ROUNDING = 1e-12  # relative difference below which two floating-point sums count as equal


def relative_change(groups: Sequence[str], before: Array, after: Array, resamples: int, seed: int) -> dict[str, float]:
    """Relative and absolute change; low, high: 95 % interval of the relative one; p: sign-flip test.

    before, after [dialogue]; groups names each dialogue's cluster. Without any change: relative 0 in [0, 0], p = 1.
    Raises InputError for fewer than two clusters, or where `before` sums to 0 and `after` doesn't.
    """
    difference, base = cluster_sums(groups, after - before), cluster_sums(groups, before)
    if base.sum() == 0 and difference.any():
        raise InputError("everything is 0 before and not after, so no relative change exists")
    low, high = ratio_interval(difference, base, resamples, seed)
    return {
        "relative": _ratio(difference, base),
        "absolute": float((after - before).mean()),
        "low": low,
        "high": high,
        "p": sign_flip_p(difference, resamples, seed),
    }


def absolute_change(groups: Sequence[str], before: Array, after: Array, resamples: int, seed: int) -> dict[str, float]:
    """Mean change over dialogues, and its 95 % interval. Raises InputError for fewer than two clusters."""
    difference, sizes = cluster_sums(groups, after - before), cluster_sums(groups, np.ones(len(before)))
    low, high = ratio_interval(difference, sizes, resamples, seed)
    return {"absolute": _ratio(difference, sizes), "low": low, "high": high}


def cluster_sums(groups: Sequence[str], values: Array) -> Array:
    """Sum of `values` [dialogue] in each cluster [cluster], clusters sorted by name."""
    names, cluster = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros(len(names))
    np.add.at(sums, cluster, values)
    return sums


def ratio_interval(numerator: Array, denominator: Array, resamples: int, seed: int) -> tuple[float, float]:
    """95 % BCa bootstrap interval of Σ numerator / Σ denominator, both [cluster] (Efron & Tibshirani 1993, §14.3).

    Where every cluster has the same ratio no resample differs: the interval is that one value.
    Raises InputError for fewer than two clusters, or where an interval can't be had (resamples that sum to 0).
    """
    if len(numerator) < 2:
        raise InputError(f"an interval needs at least 2 clusters (groups of dialogues), there is {len(numerator)}")
    ratio = _ratio(numerator, denominator)
    if np.abs(numerator - ratio * denominator).max() <= ROUNDING * np.abs(denominator).max():
        return ratio, ratio
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings(action="ignore"):
        interval = stats.bootstrap(
            (numerator, denominator),
            lambda over, under, axis: over.sum(axis) / under.sum(axis),
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            batch=BATCH,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    if not np.isfinite(interval).all():
        raise InputError(f"no interval for {len(numerator)} clusters: too few of them hold anything but 0")
    return float(interval.low), float(interval.high)


def sign_flip_p(differences: Array, resamples: int, seed: int) -> float:
    """Two-sided p of Σ differences [cluster] if each cluster's sign were a fair coin.

    All 2^clusters signs are tried where that is at most `resamples`; otherwise `resamples` random ones (and the
    observed one counts as one of them, so that p is at least 2 / (resamples + 1)).
    """
    test = stats.permutation_test(
        (differences,),
        lambda values, axis: values.sum(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def _ratio(numerator: Array, denominator: Array) -> float:
    # 0 / 0 is "nothing before, nothing after": no change.
    return float(numerator.sum() / denominator.sum()) if numerator.any() else 0.0
