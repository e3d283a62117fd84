"""What a summary earns, and what distance from the reference costs it."""

from collections.abc import Sequence

import torch
from torch import Tensor


def score(margins: Tensor, truncated: Tensor, score_clip: float, missing_eos_penalty: float) -> Tensor:
    """The margin of each summary, clipped to ±score_clip, less the penalty where the summary was cut short."""
    return margins.clamp(-score_clip, score_clip) - missing_eos_penalty * truncated


def prices(risky: Sequence[bool], kl_coef: float, calm_kl: float) -> Tensor:
    """`[dialogue]` the price of a nat, in units of the score: `calm_kl` times `kl_coef` where nothing can be gained."""
    return torch.tensor([kl_coef if each else kl_coef * calm_kl for each in risky])
