"""Paired before-and-after statistics over clusters of dialogues (scenarios where the data marks them).

Dialogues of one scenario resemble each other, so the cluster, not the dialogue, is what is resampled and flipped.
Every change is a ratio of sums, which stays right where clusters differ in size:

    relative = Σ(after − before) / Σ before        absolute = Σ(after − before) / number of dialogues

Beside every interval stands `mde`, the minimum detectable effect: the change that a two-sided test at 5 % would find
with a probability of 80 %: (z₀.₉₇₅ + z₀.₈) times the bootstrap's standard error. A smaller one may go unnoticed.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from detox.errors import InputError

Array = NDArray[np.float64]

BATCH = 500  # resamples held in memory at a time; changes no number
ROUNDING = 1e-12  # relative difference below which two floating-point sums count as equal
LEVEL, POWER = 0.05, 0.8  # of every test, and what the minimum detectable effect refers to
DETECTABLE = float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER))  # 2.80 standard errors


class Interval(NamedTuple):
    """A 95 % interval, and the bootstrap's standard error."""

    low: float
    high: float
    error: float

    def numbers(self) -> dict[str, float]:
        """As the metrics have it: low, high and the minimum detectable effect."""
        return {"low": self.low, "high": self.high, "mde": DETECTABLE * self.error}


def foreseen(risky: int, dialogues: int) -> str:
    """What change in toxicity a test can find at all, where it can only show in the `risky` ones of the dialogues.

    The sign-flip test of n paired differences has no p below 2^(1−n). Else the mean difference has to be
    DETECTABLE / √n of the differences' standard deviations for a power of 80 %.
    """
    said = f"test: a change in toxicity can show in {risky} of {dialogues} dialogues, those with a toxic turn"
    if 2.0 ** (1 - risky) > LEVEL:
        return f"{said}: too few for any test to find one (summarize.provoked adds dialogues that can)"
    return f"{said}; one of {DETECTABLE / risky**0.5:.2f} standard deviations is found four times in five"


def relative_change(groups: Sequence[str], before: Array, after: Array, resamples: int, seed: int) -> dict[str, float]:
    """Relative and absolute change; low, high, mde of the relative one; p of the sign-flip test, p_wilcoxon beside it.

    before, after [dialogue]; groups names each dialogue's cluster. Without any change: relative 0 in [0, 0], p = 1.
    Raises InputError for fewer than two clusters, or where `before` sums to 0 and `after` doesn't.
    """
    difference, base = cluster_sums(groups, after - before), cluster_sums(groups, before)
    if base.sum() == 0 and difference.any():
        raise InputError("everything is 0 before and not after, so no relative change exists")
    return {
        "relative": _ratio(difference, base),
        "absolute": float((after - before).mean()),
        **ratio_interval(difference, base, resamples, seed).numbers(),
        "p": sign_flip_p(difference, resamples, seed),
        "p_wilcoxon": wilcoxon_p(difference / cluster_sums(groups, np.ones(len(before)))),
    }


def absolute_change(groups: Sequence[str], before: Array, after: Array, resamples: int, seed: int) -> dict[str, float]:
    """Mean change over dialogues, its 95 % interval and mde. Raises InputError for fewer than two clusters."""
    difference, sizes = cluster_sums(groups, after - before), cluster_sums(groups, np.ones(len(before)))
    return {"absolute": _ratio(difference, sizes), **ratio_interval(difference, sizes, resamples, seed).numbers()}


def non_inferiority_p(
    groups: Sequence[str], before: Array, after: Array, margin: float, resamples: int, seed: int
) -> float:
    """One-sided p of "the mean fell by `margin` or more": small where the loss, if any, is smaller than that.

    The sign-flip test of the differences moved up by the margin (Wellek 2010, §2). before, after [dialogue].
    """
    return sign_flip_p(cluster_sums(groups, after - before + margin), resamples, seed, "greater")


def cluster_sums(groups: Sequence[str], values: Array) -> Array:
    """Sum of `values` [dialogue] in each cluster [cluster], clusters sorted by name."""
    names, cluster = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros(len(names))
    np.add.at(sums, cluster, values)
    return sums


def ratio_interval(numerator: Array, denominator: Array, resamples: int, seed: int) -> Interval:
    """95 % BCa bootstrap interval of Σ numerator / Σ denominator, both [cluster] (Efron & Tibshirani 1993, §14.3).

    Where every cluster has the same ratio no resample differs: the interval is that one value.
    Raises InputError for fewer than two clusters, or where an interval can't be had (resamples that sum to 0).
    """
    if len(numerator) < 2:
        raise InputError(f"an interval needs at least 2 clusters (groups of dialogues), there is {len(numerator)}")
    ratio = _ratio(numerator, denominator)
    if np.abs(numerator - ratio * denominator).max() <= ROUNDING * np.abs(denominator).max():
        return Interval(ratio, ratio, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings(action="ignore"):
        result = stats.bootstrap(
            (numerator, denominator),
            lambda over, under, axis: over.sum(axis) / under.sum(axis),
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            batch=BATCH,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    low, high = result.confidence_interval
    interval = Interval(float(low), float(high), float(result.standard_error))
    if not np.isfinite(interval).all():
        raise InputError(f"no interval for {len(numerator)} clusters: too few of them hold anything but 0")
    return interval


def sign_flip_p(
    differences: Array, resamples: int, seed: int, alternative: Literal["two-sided", "greater"] = "two-sided"
) -> float:
    """p of Σ differences [cluster] if each cluster's sign were a fair coin.

    All 2^clusters signs are tried where that is at most `resamples`; otherwise `resamples` random ones (and the
    observed one counts as one of them, so that a two-sided p is at least 2 / (resamples + 1)).
    """
    test = stats.permutation_test(
        (differences,),
        lambda values, axis: values.sum(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=BATCH,
        alternative=alternative,
        rng=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def wilcoxon_p(differences: Array) -> float:
    """Two-sided p of the Wilcoxon signed-rank test of differences [cluster]; zeros are ranked, then left out (Pratt).

    1 where nothing differs.
    """
    return float(stats.wilcoxon(differences, zero_method="pratt").pvalue) if differences.any() else 1.0


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p adjusted for the size of the family, step-down: p₍ᵢ₎ → maxⱼ≤ᵢ min(1, (m − j + 1) p₍ⱼ₎) (Holm 1979)."""
    adjusted, largest = {}, 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def a_a_rejections(groups: Sequence[str], samples: Array, splits: int, resamples: int, seed: int) -> int:
    """How often the sign-flip test finds a change at 5 % where there is none: about `splits` / 20 if it is honest.

    samples [dialogue sample] are all of one policy; each split halves every dialogue's samples at random and compares
    the halves as before and after are compared.
    """
    rng, half = np.random.default_rng(seed), samples.shape[1] // 2
    rejections = 0
    for split in range(splits):
        shuffled = rng.permuted(samples, axis=1)
        difference = shuffled[:, half : 2 * half].mean(axis=1) - shuffled[:, :half].mean(axis=1)
        rejections += sign_flip_p(cluster_sums(groups, difference), resamples, seed + split) < LEVEL
    return rejections


def _ratio(numerator: Array, denominator: Array) -> float:
    # 0 / 0 is "nothing before, nothing after": no change.
    return float(numerator.sum() / denominator.sum()) if numerator.any() else 0.0
