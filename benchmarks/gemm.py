"""Measure how fast matrices are multiplied: the limit of a PPO step. Prints a line of JSON, GFLOP a second.

The weights are those of 48 feed-forward layers, 302 MB: as in a model, each comes from memory when its turn comes.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import cycle

import torch
from torch import Tensor

from detox.model import linear

ROWS, WIDTH, HIDDEN, WEIGHTS = 700, 768, 2048, 48
WARM = 4  # products before time is taken


Clock = Callable[[], float]  # seconds


def rate(
    multiply: Callable[[Tensor, Tensor], Tensor],
    weights: list[Tensor],
    rows: int,
    seconds: float,
    clock: Clock = time.perf_counter,
) -> float:
    """GFLOP a second of x · weightᵀ, float32; a multiply-add is two."""
    x = torch.randn(rows, weights[0].shape[1])
    for weight in weights[:WARM]:
        multiply(x, weight)
    done, start = 0, clock()
    for weight in cycle(weights):
        multiply(x, weight)
        done += 2 * rows * weight.numel()
        if (taken := clock() - start) > seconds:
            break
    return done / taken / 1e9


def fastest(seconds: float, clock: Clock = time.perf_counter) -> float:
    """GFLOP a second by the product that the frozen layers use, which is the fastest here."""
    weights = list(torch.randn(HIDDEN, WIDTH).repeat(WEIGHTS, 1, 1))
    product = (lambda x, weight: linear.product(x, weight, None)) if linear.FASTER else _mm
    return rate(product, weights, ROWS, seconds, clock)


def busy() -> float:
    """Seconds of processor time of a thread: what other programs take of the cores does not count."""
    return time.process_time() / torch.get_num_threads()


def _mm(x: Tensor, weight: Tensor) -> Tensor:
    return torch.mm(x, weight.t())


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.gemm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each kind of product")
    seconds = parser.parse_args().seconds
    weights = [torch.randn(HIDDEN, WIDTH) for _ in range(WEIGHTS)]
    rates = {"torch.mm": rate(_mm, weights, ROWS, seconds)}
    if linear.FASTER:
        rates["oneDNN"] = rate(lambda x, weight: linear.product(x, weight, None), weights, ROWS, seconds)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
