"""Dropout whose chance is drawn four numbers at a time, on a CPU.

PyTorch draws a number of 53 bits for each element there, in one thread: a quarter of the time of tuning T5-base.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANCES = 2**16  # of an element, as many as there are 16-bit numbers


def dropout(x: Tensor, rate: float) -> Tensor:
    """0 in the place of each element with this chance, to 1/65,536; the others are divided by 1 − rate.

    As torch's it takes from torch's own generator, and has gradients.
    """
    if x.device.type != "cpu":
        return functional.dropout(x, rate)
    dropped = min(round(rate * CHANCES), CHANCES - 1)
    drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = drawn.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - CHANCES // 2
    return x * kept.to(x.dtype).mul_(1 / (1 - rate))


class Dropout(nn.Dropout):
    """torch's layer, with `dropout`."""

    def forward(self, x: Tensor) -> Tensor:
        """`[…]` → `[…]`; nothing happens in eval mode."""
        return dropout(x, self.p) if self.training and self.p else x


def install(model: nn.Module) -> None:
    """Puts a Dropout in the place of every one of torch's."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
