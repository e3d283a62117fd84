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


def rate(multiply: Callable[[Tensor, Tensor], Tensor], weights: list[Tensor], rows: int, seconds: float) -> float:
    """GFLOP a second of x · weightᵀ, float32; a multiply-add is two."""
    x = torch.randn(rows, weights[0].shape[1])
    for weight in weights:
        multiply(x, weight)
    done, start = 0, time.perf_counter()
    for weight in cycle(weights):
        multiply(x, weight)
        done += 2 * rows * weight.numel()
        if (taken := time.perf_counter() - start) > seconds:
            break
    return done / taken / 1e9


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.gemm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each kind of product")
    seconds = parser.parse_args().seconds
    weights = [torch.randn(HIDDEN, WIDTH) for _ in range(WEIGHTS)]
    rates = {"torch.mm": rate(lambda x, weight: torch.mm(x, weight.t()), weights, ROWS, seconds)}
    if linear.FASTER:
        rates["oneDNN"] = rate(lambda x, weight: linear.product(x, weight, None), weights, ROWS, seconds)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
